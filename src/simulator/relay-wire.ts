/**
 * What a relay and those attached to it send each other. The model is a datagram each, where iroh's relays speak
 * WebSocket over TLS: nobody but the two can make or read these messages, because each is bound to the objects of its
 * own session.
 *
 * @module
 */
import { TRACE_RELAY_MESSAGES, TraceItem } from '../core/trace.ts'
import type { IdentityProof } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'

const RELAY = TraceItem['Relay'] as number

/** Proves to a relay that it speaks to the node of an id. */
export const RELAY_CONTEXT = 'relay'

/** A relay's question: a new object each time. */
export interface RelayChallenge {
  readonly is: 'challenge'
}

/** The right to use one attachment: only the relay and the node that proved itself have the object. */
export interface RelaySession {
  readonly is: 'session'
}

/** A message; bytes are those of iroh's frames with a small allowance for what carries them. */
export type RelayMessage =
  | { readonly type: 'hello' }
  | { readonly type: 'challenge'; readonly challenge: RelayChallenge }
  | { readonly type: 'proof'; readonly challenge: RelayChallenge; readonly proof: IdentityProof }
  /** `observed` is the `ip:port` from which the node is seen. */
  | { readonly type: 'accepted'; readonly session: RelaySession; readonly observed: string }
  | { readonly type: 'ping'; readonly session: RelaySession }
  | { readonly type: 'pong'; readonly session: RelaySession; readonly observed: string }
  /** To the relay: `peer` is the id to forward to; from it: the id it comes from. */
  | { readonly type: 'packet'; readonly session: RelaySession; readonly peer: string; readonly packet: Packet }
  | { readonly type: 'detach'; readonly session: RelaySession }
  /** The relay does not know the session: it was restarted, or has given the node up. */
  | { readonly type: 'unknown'; readonly session: RelaySession }

/** A sealed relay message: only what knows this class can look into it. */
export class RelayDatagram {
  readonly #message: RelayMessage

  constructor(message: RelayMessage) {
    this.#message = message
  }

  /** The message in `value`; undefined when there is none. */
  static messageOf(value: unknown): RelayMessage | undefined {
    return typeof value === 'object' && value !== null && #message in value ? value.#message : undefined
  }

  /** Appends what it is, as `TRACE_ITEMS` says, for traces. */
  describe(items: number[]): void {
    const message = this.#message
    items.push(RELAY, 1, Math.max(TRACE_RELAY_MESSAGES.indexOf(message.type), 0))
    if (message.type === 'packet') message.packet.describe(items)
  }

  /** The UDP payload it stands for. */
  get sizeBytes(): number {
    const message = this.#message
    switch (message.type) {
      case 'hello':
        return 40
      case 'challenge':
        return 1 + 16
      case 'proof':
        return 1 + 32 + 1 + 64
      case 'accepted':
      case 'pong':
        return 1 + 8 + 19
      case 'ping':
      case 'detach':
      case 'unknown':
        return 1 + 8
      case 'packet':
        return 1 + 32 + 1 + message.packet.datagramBytes
    }
  }
}

/** `ip:port` of a relay's URL. */
export function relayAddress(url: string): string {
  const { hostname, port, protocol } = new URL(url)
  return `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`
}
