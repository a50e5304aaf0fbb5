/**
 * Content types of files by their extension: what a music server and a small web application serve.
 *
 * @module
 */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['aac', 'audio/aac'],
  ['aif', 'audio/aiff'],
  ['aiff', 'audio/aiff'],
  ['ape', 'audio/x-ape'],
  ['flac', 'audio/flac'],
  ['m3u8', 'application/vnd.apple.mpegurl'],
  ['m4a', 'audio/mp4'],
  ['mka', 'audio/x-matroska'],
  ['mp3', 'audio/mpeg'],
  ['oga', 'audio/ogg'],
  ['ogg', 'audio/ogg'],
  ['opus', 'audio/ogg'],
  ['wav', 'audio/wav'],
  ['weba', 'audio/webm'],
  ['wma', 'audio/x-ms-wma'],
  ['wv', 'audio/x-wavpack'],
  ['avif', 'image/avif'],
  ['bmp', 'image/bmp'],
  ['gif', 'image/gif'],
  ['ico', 'image/x-icon'],
  ['jpeg', 'image/jpeg'],
  ['jpg', 'image/jpeg'],
  ['png', 'image/png'],
  ['svg', 'image/svg+xml'],
  ['webp', 'image/webp'],
  ['mkv', 'video/x-matroska'],
  ['mov', 'video/quicktime'],
  ['mp4', 'video/mp4'],
  ['webm', 'video/webm'],
  ['css', 'text/css; charset=utf-8'],
  ['csv', 'text/csv; charset=utf-8'],
  ['cue', 'text/plain; charset=utf-8'],
  ['htm', 'text/html; charset=utf-8'],
  ['html', 'text/html; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['json', 'application/json'],
  ['lrc', 'text/plain; charset=utf-8'],
  ['map', 'application/json'],
  ['md', 'text/markdown; charset=utf-8'],
  ['mjs', 'text/javascript; charset=utf-8'],
  ['txt', 'text/plain; charset=utf-8'],
  ['xml', 'application/xml'],
  ['gz', 'application/gzip'],
  ['pdf', 'application/pdf'],
  ['tar', 'application/x-tar'],
  ['wasm', 'application/wasm'],
  ['woff2', 'font/woff2'],
  ['zip', 'application/zip'],
])

/** The type of a file of that name; `application/octet-stream` when its extension says nothing. */
export function contentTypeOf(path: string): string {
  const extension = /\.([0-9a-z]+)$/i.exec(path)?.[1]?.toLowerCase()
  return TYPES.get(extension ?? '') ?? 'application/octet-stream'
}
