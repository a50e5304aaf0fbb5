/**
 * A controller's end of the control channel.
 *
 * @module
 */
import type { P2PConnection, Runtime, RuntimeTimer } from '@moosicbox/p2p'
import { decodeEvent, encodeControl } from './control.ts'
import type { ControlEvent, ControlRequest, Session } from './control.ts'
import { MusicError } from './errors.ts'
import type { Latencies } from './latency.ts'

/** Longest wait for an answer. */
const ANSWER_TIMEOUT_MS = 10_000

type Unnumbered<Request> = Request extends ControlRequest ? Omit<Request, 'requestId'> : never

interface Pending {
  readonly resolve: (event: ControlEvent) => void
  readonly reject: (error: unknown) => void
  readonly timer: RuntimeTimer
  readonly sentMs: number
}

/** Asks the server to do things, and hears what others do. */
export class ControlChannel {
  /** Called for sessions that others changed. */
  onSession: ((session: Session) => void) | undefined
  readonly #connection: P2PConnection
  readonly #runtime: Runtime
  readonly #latencies: Latencies
  readonly #pending = new Map<number, Pending>()
  #nextId = 1

  /** @param latencies is given the time from each request to its answer */
  constructor(connection: P2PConnection, runtime: Runtime, latencies: Latencies) {
    this.#connection = connection
    this.#runtime = runtime
    this.#latencies = latencies
    void this.#listen()
  }

  /** Asks for a sign of life. */
  async ping(): Promise<void> {
    await this.#ask({ type: 'PING' })
  }

  /** What every player is doing. */
  async sessions(): Promise<readonly Session[]> {
    const answer = await this.#ask({ type: 'GET_SESSIONS' })
    return answer.type === 'SESSIONS' ? answer.sessions : []
  }

  /** Says what this player is doing. */
  async update(session: Session): Promise<void> {
    await this.#ask({ type: 'UPDATE_SESSION', ...session })
  }

  /** Moves a session to another position. */
  async seek(sessionId: string, positionMs: number): Promise<void> {
    await this.#ask({ type: 'SET_SEEK', sessionId, positionMs })
  }

  async #ask(request: Unnumbered<ControlRequest>): Promise<ControlEvent> {
    const requestId = this.#nextId++
    const answer = new Promise<ControlEvent>((resolve, reject) => {
      const timer = this.#runtime.setTimer(ANSWER_TIMEOUT_MS, () => {
        this.#pending.delete(requestId)
        reject(new MusicError(`the server did not answer ${request.type} within ${ANSWER_TIMEOUT_MS / 1000} s`))
      })
      this.#pending.set(requestId, { resolve, reject, timer, sentMs: this.#runtime.now() })
    })
    this.#connection.send(encodeControl({ ...request, requestId })).catch((error: unknown) => {
      this.#settle(requestId)?.reject(error)
    })
    return answer
  }

  #settle(requestId: number): Pending | undefined {
    const pending = this.#pending.get(requestId)
    this.#pending.delete(requestId)
    pending?.timer.cancel()
    return pending
  }

  async #listen(): Promise<void> {
    try {
      for (;;) this.#heard(await this.#connection.recv())
    } catch (error) {
      for (const requestId of this.#pending.keys()) this.#settle(requestId)?.reject(error)
      // What the server says makes no sense: better no channel than a wrong one.
      if (error instanceof MusicError) this.#connection.close(1, error.message)
    }
  }

  #heard(message: Uint8Array): void {
    const event = decodeEvent(message)
    if (!event) return
    const pending = event.requestId === undefined ? undefined : this.#settle(event.requestId)
    if (event.type === 'ERROR') {
      pending?.reject(new MusicError(`the server says: ${event.message}`))
    } else if (pending) {
      this.#latencies.add(this.#runtime.now() - pending.sentMs)
      pending.resolve(event)
    } else if (event.type === 'SESSION_UPDATED') {
      this.onSession?.(event)
    }
  }
}
