/**
 * The music server: its routes and its control channel, on any node.
 *
 * @module
 */
import { P2PRouter } from '@moosicbox/p2p'
import type { Authorize, DefaultP2P, P2PNodeId } from '@moosicbox/p2p'
import { CatalogueService } from './catalogue-service.ts'
import { ControlServer } from './control-server.ts'
import type { MusicLibrary } from './media/index.ts'
import { explainToPeer } from './parameters.ts'
import { TrackService } from './track-service.ts'

/** Options of {@link serveMusic}. */
export interface MusicServerOptions {
  /** Who may connect. @default everyone */
  readonly authorize?: Authorize | undefined
  /** Told of controllers that come and go. */
  readonly onController?: ((peer: P2PNodeId, here: boolean) => void) | undefined
  /** Told of requests that failed on this side. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** Serves `library` to peers until the node is closed. */
export async function serveMusic(
  p2p: DefaultP2P,
  library: MusicLibrary,
  options: MusicServerOptions = {},
): Promise<void> {
  const { authorize, onController, onError } = options
  const router = new P2PRouter()
    .use(explainToPeer)
    .use('/menu', new CatalogueService(library))
    .use('/files', new TrackService(library))
  await p2p.serve(router, { authorize, onError })
  const listener = await p2p.listen('', { authorize })
  const control = new ControlServer()
  const acceptControllers = async (): Promise<void> => {
    for await (const connection of listener) {
      const peer = connection.remoteNodeId()
      onController?.(peer, true)
      void control.serve(connection).then(() => onController?.(peer, false))
    }
  }
  // The loop ends with the listener, and the listener with the node.
  acceptControllers().catch((error: unknown) => onError?.(error))
}
