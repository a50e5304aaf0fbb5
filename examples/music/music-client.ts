/**
 * A music server as its clients see it: lists, covers, and tracks of which every byte is checked.
 *
 * @module
 */
import type { DefaultP2P, NodeId, P2PAddress } from '@moosicbox/p2p'
import { BLOCK_BYTES, sha256 } from './digest.ts'
import type { TrackDigest } from './digest.ts'
import { MAX_TRACKS } from './catalogue-service.ts'
import type { Page } from './catalogue-service.ts'
import { MusicError } from './errors.ts'
import { printable } from './format.ts'
import type { Latencies } from './latency.ts'
import type { Album, Artist, Cover, Track } from './media/index.ts'

/** Enough for the digest of a file of 4 GB. */
const MAX_JSON_BYTES = 4_194_304
const MAX_COVER_BYTES = 16_777_216
/** A server on a slow disk needs a while to digest a large file. */
const DIGEST_DEADLINE_MS = 30_000
const DEADLINE_MS = 30_000
type Query = Readonly<Record<string, string>>

/** A part of a track. */
export interface Block {
  readonly index: number
  /** Where it begins in the file. */
  readonly offset: number
  readonly bytes: Uint8Array
}

/** What a client is made of. */
export interface MusicClientOptions {
  /** The server. */
  readonly peer: NodeId | P2PAddress
  /** Is given the time from each request to the first byte of its answer. */
  readonly latencies: Latencies
}

/** Asks a music server. Every method throws P2PError when the server is out of reach and MusicError when it says no. */
export class MusicClient {
  readonly #p2p: DefaultP2P
  readonly #peer: NodeId | P2PAddress
  readonly #latencies: Latencies

  constructor(p2p: DefaultP2P, { peer, latencies }: MusicClientOptions) {
    this.#p2p = p2p
    this.#peer = peer
    this.#latencies = latencies
  }

  /** A page of artists. */
  async artists(offset = 0): Promise<Page<Artist>> {
    return (await this.#json('/menu/artists', { offset: String(offset) })) as Page<Artist>
  }

  /** A page of albums. */
  async albums(offset = 0): Promise<Page<Album>> {
    return (await this.#json('/menu/albums', { offset: String(offset) })) as Page<Album>
  }

  /** One album. */
  async album(id: number): Promise<Album> {
    return (await this.#json(`/menu/albums/${id}`)) as Album
  }

  /** Those of the tracks that exist, in the order of `ids`. */
  async tracks(ids: readonly number[]): Promise<readonly Track[]> {
    const found: Track[] = []
    for (let start = 0; start < ids.length; start += MAX_TRACKS) {
      const trackIds = ids.slice(start, start + MAX_TRACKS).join(',')
      found.push(...((await this.#json('/menu/tracks', { trackIds })) as readonly Track[]))
    }
    return found
  }

  /** The cover of an album that has one. */
  async cover(albumId: number): Promise<Cover> {
    const answer = await this.#get(`/files/albums/${albumId}/cover`)
    const contentType = answer.headers.get('content-type') ?? 'application/octet-stream'
    return { contentType, bytes: await answer.bytes(MAX_COVER_BYTES) }
  }

  /** What the bytes of a track must be. */
  async digest(trackId: number): Promise<TrackDigest> {
    const digest = (await this.#json(
      '/files/track/digest',
      { trackId: String(trackId) },
      DIGEST_DEADLINE_MS,
    )) as TrackDigest
    const { sizeBytes, blockBytes, blocks } = digest
    if (blockBytes !== BLOCK_BYTES || blocks.length !== Math.ceil(sizeBytes / BLOCK_BYTES)) {
      throw new MusicError(`the server's digest of track ${trackId} makes no sense to this version`)
    }
    return digest
  }

  /**
   * The blocks of a track in the order of `indexes`, each asked for with a `Range` of its own and checked against the
   * digest. Leaving the loop cancels what was asked for ahead.
   *
   * @param options.ahead how many to ask for before the one in hand is complete, so that a long way costs no pauses
   * @throws MusicError when a block is not what the digest says
   */
  async *blocks(
    trackId: number,
    digest: TrackDigest,
    indexes: Iterable<number>,
    { ahead, signal }: { readonly ahead: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<Block, void, undefined> {
    const giveUp = new AbortController()
    const abort = (): void => giveUp.abort(signal?.reason)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
    const underWay: Promise<Block>[] = []
    try {
      for (const index of indexes) {
        const block = this.#block(trackId, digest, index, giveUp.signal)
        // One that fails before its turn is heard of when its turn comes.
        block.catch(() => undefined)
        underWay.push(block)
        if (underWay.length > ahead) yield await (underWay.shift() as Promise<Block>)
      }
      for (let next = underWay.shift(); next; next = underWay.shift()) yield await next
    } finally {
      signal?.removeEventListener('abort', abort)
      giveUp.abort()
    }
  }

  async #block(trackId: number, digest: TrackDigest, index: number, signal: AbortSignal): Promise<Block> {
    const offset = index * BLOCK_BYTES
    const end = Math.min(offset + BLOCK_BYTES, digest.sizeBytes)
    const range = `bytes=${offset}-${end - 1}`
    const answer = await this.#get('/files/track', { trackId: String(trackId) }, { range, signal })
    if (
      answer.status !== 206 ||
      answer.headers.get('content-range') !== `bytes ${offset}-${end - 1}/${digest.sizeBytes}`
    ) {
      answer.body.cancel()
      throw new MusicError(`track ${trackId} has changed on the server: start it again`)
    }
    const bytes = await answer.bytes(BLOCK_BYTES)
    if (sha256(bytes) !== digest.blocks[index]) {
      throw new MusicError(`bytes ${offset} to ${end - 1} of track ${trackId} are not what the server's digest says`)
    }
    return { index, offset, bytes }
  }

  async #json(path: string, query: Query = {}, deadlineMs?: number): Promise<unknown> {
    return (await this.#get(path, query, { deadlineMs })).json(MAX_JSON_BYTES)
  }

  async #get(
    path: string,
    query: Query = {},
    options: { readonly range?: string; readonly signal?: AbortSignal; readonly deadlineMs?: number | undefined } = {},
  ) {
    const { range, signal, deadlineMs = DEADLINE_MS } = options
    const { runtime } = this.#p2p
    const startMs = runtime.now()
    const headers = range === undefined ? {} : { range }
    const answer = await this.#p2p.request(this.#peer, { method: 'GET', path, query, headers, signal, deadlineMs })
    this.#latencies.add(runtime.now() - startMs)
    if (!answer.ok) {
      throw new MusicError(
        `the server says: ${printable((await answer.text()).trim())} (${answer.status} to GET ${path})`,
      )
    }
    return answer
  }
}
