/**
 * What there is to hear: artists, albums and tracks as JSON.
 *
 * @module
 */
import { P2PResponse } from '@moosicbox/p2p'
import type { P2PRouter, P2PService } from '@moosicbox/p2p'
import type { MusicLibrary } from './media/index.ts'
import { RequestError, wholeNumber } from './parameters.ts'

/** Most albums of one answer, and how many unless asked for. */
const MAX_PAGE = 500
const DEFAULT_PAGE = 100
/** Most tracks of one answer: about 60 kB of JSON. */
export const MAX_TRACKS = 200

/** A part of a list, and how long the whole list is. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly offset: number
  readonly total: number
}

/**
 * - `GET /artists?offset&limit`: a {@link Page} of artists
 * - `GET /albums?offset&limit`: a {@link Page} of albums
 * - `GET /albums/:id`: one album
 * - `GET /tracks?trackIds=1,2,3`: those tracks that exist, in the order of the ids
 */
export class CatalogueService implements P2PService {
  readonly #library: MusicLibrary

  constructor(library: MusicLibrary) {
    this.#library = library
  }

  registerRoutes(router: P2PRouter): void {
    const { artists, albums } = this.#library
    router.route('GET', '/artists', (req) => P2PResponse.json(page(artists, req.query.offset, req.query.limit)))
    router.route('GET', '/albums', (req) => P2PResponse.json(page(albums, req.query.offset, req.query.limit)))
    router.route('GET', '/albums/:id', (req) => {
      const id = wholeNumber(req.params.id, 'the id of an album', Number.MAX_SAFE_INTEGER)
      const album = this.#library.album(id)
      if (!album) throw RequestError.notFound(`album ${id}`)
      return P2PResponse.json(album)
    })
    router.route('GET', '/tracks', (req) => {
      const ids = (req.query.trackIds ?? '')
        .split(',')
        .map((id) => wholeNumber(id, 'each of trackIds', Number.MAX_SAFE_INTEGER))
      if (ids.length > MAX_TRACKS) throw RequestError.bad(`at most ${MAX_TRACKS} trackIds a request`)
      return P2PResponse.json(ids.flatMap((id) => this.#library.track(id) ?? []))
    })
  }
}

function page<Item>(all: readonly Item[], offsetText: string | undefined, limitText: string | undefined): Page<Item> {
  const offset = wholeNumber(offsetText, 'offset', Number.MAX_SAFE_INTEGER, 0)
  const limit = wholeNumber(limitText, 'limit', MAX_PAGE, DEFAULT_PAGE)
  return { items: all.slice(offset, offset + limit), offset, total: all.length }
}
