/**
 * Gives the files of a shelf to peers. Whoever is still downloading a file gives what it has of it already.
 *
 * @module
 */
import { P2PResponse } from '@moosicbox/p2p'
import type { P2PRouter, P2PService } from '@moosicbox/p2p'
import type { Shelf } from './shelf.ts'

/**
 * - `GET /files/:id`: the manifest
 * - `GET /files/:id/have`: which blocks are there, as a text of `0` and `1`
 * - `GET /files/:id/blocks/:index`: a block
 */
export class ShareService implements P2PService {
  readonly #shelf: Shelf

  constructor(shelf: Shelf) {
    this.#shelf = shelf
  }

  registerRoutes(router: P2PRouter): void {
    router.route('GET', '/files/:id', (req) => {
      const file = this.#shelf.file(req.params.id ?? '')
      return file ? P2PResponse.json(file.manifest) : P2PResponse.error(404, 'no such file here')
    })
    router.route('GET', '/files/:id/have', (req) => {
      const file = this.#shelf.file(req.params.id ?? '')
      if (!file) return P2PResponse.error(404, 'no such file here')
      return P2PResponse.text(file.manifest.blocks.map((_, index) => (file.has(index) ? '1' : '0')).join(''))
    })
    router.route('GET', '/files/:id/blocks/:index', async (req) => {
      const bytes = await this.#shelf.file(req.params.id ?? '')?.block(Number(req.params.index))
      return bytes ? P2PResponse.bytes(bytes) : P2PResponse.error(404, 'no such block here')
    })
  }
}
