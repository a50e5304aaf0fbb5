/**
 * The music server: its routes and its control channel, on any node.
 *
 * @module
 */
import { P2PRouter } from '@moosicbox/p2p'
import type { Authorize, DefaultP2P, P2PMiddleware, P2PServer } from '@moosicbox/p2p'
import { CatalogueService } from './catalogue-service.ts'
import { ControlServer } from './control-server.ts'
import type { OnController } from './control-server.ts'
import type { MusicLibrary } from './media/index.ts'
import { explainToPeer } from './parameters.ts'
import { TrackService } from './track-service.ts'

/** Options of {@link serveMusic}. */
export interface MusicServerOptions {
  /** Who may connect. @default everyone */
  readonly authorize?: Authorize | undefined
  /** Runs around every request: for logs, limits, and the like. */
  readonly middleware?: P2PMiddleware | undefined
  /** Told of controllers that come and go. */
  readonly onController?: OnController | undefined
  /** Told of requests that failed on this side. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** Serves `library` to peers until the node, or what this resolves with, is closed; the latter lets requests end first. */
export async function serveMusic(
  p2p: DefaultP2P,
  library: MusicLibrary,
  options: MusicServerOptions = {},
): Promise<P2PServer> {
  const { authorize, middleware, onController, onError } = options
  const router = new P2PRouter()
    .use(middleware ?? ((_request, next) => next()))
    .use(explainToPeer)
    .use('/menu', new CatalogueService(library))
    .use('/files', new TrackService(library))
  const server = await p2p.serve(router, { authorize, onError })
  const listener = await p2p.listen('', { authorize })
  const control = new ControlServer(onController)
  const acceptControllers = async (): Promise<void> => {
    for await (const connection of listener) void control.serve(connection)
  }
  // The loop ends with the listener, and the listener with the node.
  acceptControllers().catch((error: unknown) => onError?.(error))
  return server
}
