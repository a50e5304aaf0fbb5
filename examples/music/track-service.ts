/**
 * The music itself: audio, covers, and the digests that tell whether every byte arrived.
 *
 * @module
 */
import { P2PResponse } from '@moosicbox/p2p'
import type { P2PRequest, P2PRouter, P2PService } from '@moosicbox/p2p'
import { DigestCache } from './digest.ts'
import { contentTypeOf } from './media/index.ts'
import type { MusicLibrary, Track } from './media/index.ts'
import { RequestError, wholeNumber } from './parameters.ts'

/**
 * - `GET|HEAD /track?trackId`: the file as it is, whole or a `Range` of it
 * - `GET /track/digest?trackId`: its {@link TrackDigest}
 * - `GET /albums/:id/cover`: the picture
 */
export class TrackService implements P2PService {
  readonly #library: MusicLibrary
  readonly #digests = new DigestCache()

  constructor(library: MusicLibrary) {
    this.#library = library
  }

  registerRoutes(router: P2PRouter): void {
    router.route('GET', '/track', (req) => {
      const { track, path } = this.#find(req)
      return P2PResponse.file(path, req, { contentType: contentTypeOf(track.format) })
    })
    router.route('GET', '/track/digest', async (req) => {
      const { path } = this.#find(req)
      return P2PResponse.json(await this.#digests.digest(path, req))
    })
    router.route('GET', '/albums/:id/cover', async (req) => {
      const id = wholeNumber(req.params.id, 'the id of an album', Number.MAX_SAFE_INTEGER)
      const cover = await this.#library.cover(id)
      if (!cover) throw RequestError.notFound(`cover of an album ${id}`)
      return P2PResponse.bytes(cover.bytes, { headers: { 'content-type': cover.contentType } })
    })
  }

  #find(req: P2PRequest): { readonly track: Track; readonly path: string } {
    const id = wholeNumber(req.query.trackId, 'trackId', Number.MAX_SAFE_INTEGER)
    const track = this.#library.track(id)
    const path = this.#library.path(id)
    if (!track || path === undefined) throw RequestError.notFound(`track ${id}`)
    return { track, path }
  }
}
