/**
 * The server's end of the control channel: keeps the sessions and tells every controller of each change.
 *
 * @module
 */
import type { P2PConnection, P2PNodeId } from '@moosicbox/p2p'
import { decodeRequest, encodeControl } from './control.ts'
import type { ControlEvent, Session } from './control.ts'
import { explain, MusicError } from './errors.ts'

/** Sessions kept at a time. */
const MAX_SESSIONS = 256
/** Events waiting for one controller; one that reads more slowly is let go. */
const MAX_WAITING = 64

/** One connected controller, with the events that it has yet to be sent. */
class Controller {
  readonly #connection: P2PConnection
  #waiting = 0

  constructor(connection: P2PConnection) {
    this.#connection = connection
  }

  /** Sends without waiting: one slow controller must not hold up the others. */
  tell(event: ControlEvent): void {
    if (this.#waiting >= MAX_WAITING) {
      this.#connection.close(1, 'the control channel is not being read')
      return
    }
    this.#waiting++
    this.#connection.send(encodeControl(event)).then(
      () => this.#waiting--,
      // The connection is over, which the loop in `serve` notices too.
      () => undefined,
    )
  }
}

/** Told of controllers that come and go. */
export type OnController = (peer: P2PNodeId, here: boolean) => void

/** Serves the control channel to any number of connections. */
export class ControlServer {
  readonly #onController: OnController | undefined
  readonly #sessions = new Map<string, Session>()
  readonly #controllers = new Set<Controller>()

  constructor(onController?: OnController) {
    this.#onController = onController
  }

  /**
   * Serves one connection until it is over. One that never says anything, as it only carries requests, is no
   * controller's. Never rejects.
   */
  async serve(connection: P2PConnection): Promise<void> {
    const controller = new Controller(connection)
    const peer = connection.remoteNodeId()
    try {
      for await (const message of connection) {
        if (!this.#controllers.has(controller)) this.#onController?.(peer, true)
        this.#controllers.add(controller)
        this.#answer(controller, message)
      }
    } catch {
      // A connection that breaks is over like one that ends; the controller comes back when it can.
    } finally {
      if (this.#controllers.delete(controller)) this.#onController?.(peer, false)
    }
  }

  #answer(controller: Controller, message: Uint8Array): void {
    try {
      const request = decodeRequest(message)
      const { requestId } = request
      switch (request.type) {
        case 'PING':
          controller.tell({ type: 'PONG', requestId })
          break
        case 'GET_SESSIONS':
          controller.tell({ type: 'SESSIONS', requestId, sessions: [...this.#sessions.values()] })
          break
        case 'UPDATE_SESSION': {
          const { sessionId, trackId, playing, positionMs, volume } = request
          this.#update(controller, requestId, { sessionId, trackId, playing, positionMs, volume })
          break
        }
        case 'SET_SEEK': {
          const session = this.#sessions.get(request.sessionId)
          if (!session) throw new MusicError(`there is no session ${request.sessionId}`)
          this.#update(controller, requestId, { ...session, positionMs: request.positionMs })
          break
        }
      }
    } catch (error) {
      controller.tell({ type: 'ERROR', message: explain(error), ...requestIdIn(message) })
    }
  }

  #update(sender: Controller, requestId: number, session: Session): void {
    if (!this.#sessions.has(session.sessionId) && this.#sessions.size >= MAX_SESSIONS) {
      throw new MusicError(`there are ${MAX_SESSIONS} sessions already`)
    }
    this.#sessions.set(session.sessionId, session)
    for (const controller of this.#controllers) {
      controller.tell({ type: 'SESSION_UPDATED', ...(controller === sender && { requestId }), ...session })
    }
  }
}

/** The id of a request that is wrong otherwise, so that its sender learns which one. */
function requestIdIn(message: Uint8Array): { readonly requestId: number } | undefined {
  try {
    const { requestId } = JSON.parse(new TextDecoder().decode(message)) as { readonly requestId: unknown }
    return Number.isSafeInteger(requestId) ? { requestId: requestId as number } : undefined
  } catch {
    return undefined
  }
}
