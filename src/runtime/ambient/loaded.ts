/**
 * Which scripts this thread has loaded so far. Node lists modules nowhere, but its inspector tells each script that it
 * has parsed.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { isOwnFile } from './caller.ts'

/** The application's own files that are loaded: neither Node's, nor this library's, nor in `node_modules`. */
export function loadedApplicationFiles(): string[] {
  const files = new Set<string>()
  // Some builds of Node have none.
  const inspector = process.getBuiltinModule('node:inspector')
  if (typeof inspector?.Session !== 'function') return []
  const session = new inspector.Session()
  try {
    session.connect()
    session.on('Debugger.scriptParsed', ({ params: { url } }) => {
      const isFile = url.startsWith('file:') || url.startsWith('/') || /^[A-Za-z]:[\\/]/.test(url)
      if (isFile && !isOwnFile(url) && !/[\\/]node_modules[\\/]/.test(url)) {
        files.add(url.startsWith('file:') ? fileURLToPath(url) : url)
      }
    })
    // Answered at once, within the call.
    session.post('Debugger.enable')
    session.post('Debugger.disable')
  } catch {
    // An inspector that cannot be used: nothing can be said.
  } finally {
    session.disconnect()
  }
  return [...files]
}
