/**
 * The handshake with one connection: challenge, answer, access, verdict.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'
import { encodeDenied, encodeFrame, FRAME } from './frames.ts'
import { CHALLENGE_BYTES, tokenOf, verifyAuth } from './handshake.ts'
import type { DeriveKey } from './handshake.ts'
import type { RelayCounters } from './metrics.ts'
import type { RelayAccessRequest } from './options.ts'
import type { RelaySettings } from './settings.ts'

const POLICY_VIOLATION = 1008

/** What a greeting needs. */
export interface GreetingParts {
  readonly socket: WebSocket
  readonly request: IncomingMessage
  readonly url: URL
  readonly settings: RelaySettings
  readonly counters: RelayCounters
  readonly deriveKey: DeriveKey
  /** The client is who it says and may come in. */
  readonly onAccepted: (asked: RelayAccessRequest) => void
  /** The greeting is over, whatever came of it; before `onAccepted`. */
  readonly onOver: () => void
}

/** A connection that is not a client yet. */
export class Greeting {
  readonly #parts: GreetingParts
  readonly #challenge: Uint8Array
  readonly #deadlineMs: number
  #state: 'challenged' | 'deciding' | 'denied' | 'over' = 'challenged'

  constructor(parts: GreetingParts) {
    this.#parts = parts
    const { socket, settings } = parts
    const { runtime, limits } = settings
    this.#challenge = runtime.randomBytes(CHALLENGE_BYTES)
    this.#deadlineMs = runtime.now() + limits.handshakeTimeoutMs
    socket.on('message', this.#receive)
    socket.on('close', this.#over)
    socket.send(encodeFrame(FRAME.challenge, this.#challenge))
  }

  /** Cuts the connection off when its time is up. */
  tick(nowMs: number): void {
    if (nowMs < this.#deadlineMs) return
    if (this.#state !== 'denied') this.#parts.counters.handshakeTimeouts++
    this.terminate()
  }

  terminate(): void {
    this.#parts.socket.terminate()
  }

  readonly #over = (): void => {
    if (this.#state === 'over') return
    this.#state = 'over'
    const { socket, onOver } = this.#parts
    socket.off('message', this.#receive)
    socket.off('close', this.#over)
    onOver()
  }

  readonly #receive = (data: Buffer, isBinary: boolean): void => {
    const { counters, deriveKey, socket } = this.#parts
    if (this.#state === 'denied') return
    try {
      if (!isBinary) throw P2PError.of('protocol', 'the client sent text', {})
      if (this.#state !== 'challenged') {
        throw P2PError.of('protocol', 'the client did not wait for the verdict', {})
      }
      const id = verifyAuth(data, this.#challenge, deriveKey)
      if (id) void this.#decide(id)
      else this.#deny('signature invalid')
    } catch (error) {
      if (!P2PError.is(error, 'protocol')) throw error
      counters.protocolErrors++
      this.#state = 'denied'
      socket.close(POLICY_VIOLATION, error.message.slice(0, 120))
    }
  }

  async #decide(id: NodeId): Promise<void> {
    this.#state = 'deciding'
    const { request, settings, socket, url, onAccepted } = this.#parts
    const token = tokenOf(request.headers.authorization, url)
    const asked = { id, token, remoteAddress: request.socket.remoteAddress ?? '' }
    const verdict = await settings.admission.decide(asked)
    // The connection may have ended, or been cut off, in the meantime.
    if (this.#state !== 'deciding') return
    if (verdict !== true) {
      this.#deny(verdict)
      return
    }
    socket.send(Uint8Array.of(FRAME.accepted))
    this.#over()
    if (socket.readyState === socket.OPEN) onAccepted(asked)
  }

  #deny(reason: string): void {
    const { counters, socket } = this.#parts
    this.#state = 'denied'
    counters.denied++
    socket.send(encodeDenied(reason))
    socket.close(POLICY_VIOLATION, 'denied')
  }
}
