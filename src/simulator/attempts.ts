/**
 * Connections that an endpoint is making: who waits for them, and what to say when they come to nothing.
 *
 * @module
 */
import type { CarrierConnection } from '../core/carrier.ts'
import { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'
import type { Kernel, KernelEvent } from './kernel.ts'
import type { SimConnection } from './sim-connection.ts'
import type { Deferred } from './sim-stream.ts'
import { deferred } from './sim-stream.ts'
import type { TransportClose } from './transport/sink.ts'
import { TransportErrorCode } from './transport/frames.ts'

/**
 * How long others may take to answer when one place has refused that may be a stranger's: time for one more hello
 * everywhere, after 999 ms.
 */
const REFUSED_GRACE_US = 3_000_000

interface Attempt {
  readonly connected: Deferred<CarrierConnection>
  readonly peer: NodeId
  readonly alpn: string
  /** Places tried where somebody else has answered. */
  impostors: number
  readonly candidates: number
  /** A place that may be a stranger's has refused. */
  isRefused: boolean
  timer: KernelEvent | undefined
  readonly cleanUp: () => void
}

/** The attempts of one endpoint. */
export class Attempts {
  readonly #kernel: Kernel
  #attempts: Map<SimConnection, Attempt> | undefined

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Waits for a connection to `peer`, which is tried at `candidates` places. */
  add(
    connection: SimConnection,
    peer: NodeId,
    alpn: string,
    candidates: number,
    signal: AbortSignal,
  ): Promise<CarrierConnection> {
    const connected = deferred<CarrierConnection>()
    const onAbort = (): void => {
      // Whatever it answers now, nobody waits for it any more.
      this.#take(connection)
      connection.close(0, '')
      connected.reject(P2PError.aborted(signal, 'connect'))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    ;(this.#attempts ??= new Map()).set(connection, {
      connected,
      peer,
      alpn,
      impostors: 0,
      candidates,
      isRefused: false,
      timer: undefined,
      cleanUp: () => signal.removeEventListener('abort', onAbort),
    })
    return connected.promise
  }

  /** Whether anybody waits for it. */
  has(connection: SimConnection): boolean {
    return this.#attempts?.has(connection) === true
  }

  /** The connection is there; false when nobody waits for it. */
  succeed(connection: SimConnection): boolean {
    const attempt = this.#take(connection)
    attempt?.connected.resolve(connection)
    return attempt !== undefined
  }

  /** It came to nothing; false when nobody waits for it. */
  fail(connection: SimConnection, close: TransportClose): boolean {
    const attempt = this.#take(connection)
    attempt?.connected.reject(attempt.isRefused ? refused(attempt) : connectError(attempt, close))
    return attempt !== undefined
  }

  /** Somebody else has answered at one of the places; true when that was the last of them. */
  onImpostor(connection: SimConnection): boolean {
    const attempt = this.#attempts?.get(connection)
    if (!attempt || ++attempt.impostors < attempt.candidates) return false
    this.#take(connection)
    const peer = attempt.peer.fmtShort()
    const message = `somebody else answers where ${peer} should be: its address is out of date, or taken over`
    attempt.connected.reject(attempt.isRefused ? refused(attempt) : P2PError.of('connection-failed', message, {}))
    return true
  }

  /** A place that may be a stranger's has refused. `giveUp` is called when nobody else answers in time. */
  onRefused(connection: SimConnection, giveUp: () => void): void {
    const attempt = this.#attempts?.get(connection)
    if (!attempt) return
    attempt.isRefused = true
    attempt.timer ??= this.#kernel.schedule(REFUSED_GRACE_US, () => {
      if (this.#take(connection)) attempt.connected.reject(refused(attempt))
      giveUp()
    })
  }

  /** Nobody who waits hears anything any more. */
  clear(): void {
    for (const connection of this.#attempts?.keys() ?? []) this.#take(connection)
  }

  #take(connection: SimConnection): Attempt | undefined {
    const attempt = this.#attempts?.get(connection)
    this.#attempts?.delete(connection)
    attempt?.cleanUp()
    attempt?.timer?.cancel()
    return attempt
  }
}

/** There is not even a place to try. */
export function noRoute(id: NodeId, relays: readonly string[]): P2PError {
  const node = id.toString()
  const message =
    relays.length === 0
      ? `no address is known for ${id.fmtShort()}: give one with its id, or have it looked up`
      : `${id.fmtShort()} is known only at the relay ${relays.join(', ')}, which this node cannot use: ` +
        "relays are disabled here (`relay: 'disabled'`), or it is not of this internet"
  return P2PError.of('no-route', message, { node })
}

function refused({ peer, alpn }: Attempt): P2PError {
  const message = `${peer.fmtShort()} does not serve ${alpn}: is it listening for this protocol?`
  return P2PError.of('refused', message, { node: peer.toString() })
}

/** Why a handshake came to nothing. */
function connectError(attempt: Attempt, close: TransportClose): P2PError {
  const short = attempt.peer.fmtShort()
  if (close.by === 'remote' && close.code === TransportErrorCode.noApplicationProtocol) return refused(attempt)
  if (close.by === 'transport' && close.code === 0) {
    const afterMs = close.afterUs === undefined ? 0 : close.afterUs / 1000
    return P2PError.of('timeout', `${short} did not answer within ${afterMs} ms: is it running, and reachable?`, {
      afterMs,
    })
  }
  return P2PError.of('connection-failed', `the handshake with ${short} failed: ${close.reason || 'closed'}`, {})
}
