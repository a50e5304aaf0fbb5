/**
 * What a relay and those attached to it send each other: WebSocket messages over TLS over TCP, as iroh's relays do. The
 * hellos travel in the open; everything else is sealed in records that only the two ends can make and open, in order.
 *
 * @module
 */
import { TRACE_RELAY_MESSAGES, TraceItem } from '../core/trace.ts'
import type { IdentityProof, KeyShare, SessionKeys } from './transport/identity.ts'
import type { Packet, PacketKey } from './transport/packet.ts'

const RELAY = TraceItem['Relay'] as number

/** What is said to and by a relay, for traces: an item as `TRACE_ITEMS` says. */
export function describeRelayMessage(items: number[], type: string): void {
  items.push(RELAY, 1, Math.max(TRACE_RELAY_MESSAGES.indexOf(type), 0))
}

/** Proves to a relay that it speaks to the node of an id. */
export const RELAY_CONTEXT = 'relay'
/** The largest frame; what is larger is not sent. */
export const MAX_FRAME_BYTES = 65_536

/** A relay's question: a new object each time. */
export interface RelayChallenge {
  readonly is: 'challenge'
}

/** A message inside of a record. */
export type RelayMessage =
  /** The end of the TLS handshake, and the HTTP request that makes a WebSocket of it. */
  | { readonly type: 'upgrade' }
  | { readonly type: 'challenge'; readonly challenge: RelayChallenge }
  | { readonly type: 'proof'; readonly challenge: RelayChallenge; readonly proof: IdentityProof }
  | { readonly type: 'accepted' }
  | { readonly type: 'denied'; readonly reason: string }
  | { readonly type: 'ping'; readonly token: number }
  | { readonly type: 'pong'; readonly token: number }
  /** To the relay: `peer` is the id to forward to; from it: the id it comes from. */
  | { readonly type: 'packet'; readonly peer: string; readonly packet: Packet }
  /** `same-id`: another connection of this id gets its packets now; `rate-limited`: what it sends has to wait. */
  | { readonly type: 'status'; readonly status: 'same-id' | 'rate-limited' }

/** The first message of each side, in the open: TLS hellos with the public halves of ephemeral keys. */
export class RelayHello {
  readonly share: KeyShare
  readonly sizeBytes: number

  constructor(share: KeyShare, sizeBytes: number) {
    this.share = share
    this.sizeBytes = sizeBytes
    Object.freeze(this)
  }

  /** Appends what it is, for traces. */
  describe(items: number[]): void {
    describeRelayMessage(items, 'hello')
  }
}

/** A TLS record: opens with the key it was sealed with, at its place in the row, and is beyond anyone's changing. */
export class RelayRecord {
  readonly #key: PacketKey
  readonly #number: number
  readonly #message: RelayMessage

  constructor(key: PacketKey, number: number, message: RelayMessage) {
    this.#key = key
    this.#number = number
    this.#message = message
  }

  /** Appends what it is, for traces. */
  describe(items: number[]): void {
    const message = this.#message
    describeRelayMessage(items, message.type)
    if (message.type === 'packet') message.packet.describe(items)
  }

  /** The message in `value`; undefined when it was not sealed with this key as the record of this number. */
  static open(value: unknown, key: PacketKey, number: number): RelayMessage | undefined {
    if (typeof value !== 'object' || value === null || !(#message in value)) return undefined
    return value.#key === key && value.#number === number ? value.#message : undefined
  }
}

/** The keys of both directions. */
export function relayKeys(
  keys: SessionKeys,
  role: 'client' | 'server',
): { readonly own: PacketKey; readonly peer: PacketKey } {
  const { clientData, serverData } = keys
  return role === 'client' ? { own: clientData, peer: serverData } : { own: serverData, peer: clientData }
}

/** TLS 1.3 (RFC 8446, 5.2): header, content type, tag. */
const RECORD_BYTES = 5 + 1 + 16
/** A WebSocket header; what clients send is masked (RFC 6455, 5.2). */
const WEBSOCKET_BYTES = 4
const MASK_BYTES = 4

/**
 * What goes before a relay's own messages, in a record and a segment of its own: iroh-relay writes a WebSocket frame's
 * header by itself, as was seen on the wire. Clients do not, because they have to mask what follows and so copy it anyway.
 */
export const FRAME_HEADER: unique symbol = Symbol('frame header')
export const FRAME_HEADER_BYTES: number = RECORD_BYTES + WEBSOCKET_BYTES

/** The bytes of the stream that a message takes, without a header that goes before it. */
export function relayMessageBytes(message: RelayMessage, role: 'client' | 'server'): number {
  const framing = RECORD_BYTES + (role === 'client' ? WEBSOCKET_BYTES + MASK_BYTES : 0)
  switch (message.type) {
    case 'upgrade':
      // Finished (36, in a record), and the request with its headers.
      return RECORD_BYTES + 36 + RECORD_BYTES + 300
    case 'challenge':
      // The answer 101 with its headers goes before it.
      return RECORD_BYTES + 180 + framing + 1 + 16
    case 'proof':
      return framing + 1 + 32 + 1 + 64
    case 'accepted':
      return framing + 1
    case 'denied':
      return framing + 2 + message.reason.length
    case 'ping':
    case 'pong':
      return framing + 1 + 8
    case 'status':
      return framing + 2
    case 'packet':
      return framing + 1 + 32 + 1 + message.packet.datagramBytes
  }
}

/** Where a relay's URL leads. */
export interface RelayLocation {
  /** `ip:port` of its TCP port. */
  readonly address: string
  /** `ip` as it stands in an address: with brackets where it is IPv6. */
  readonly ip: string
  readonly isTls: boolean
}

/** Takes a relay's URL apart; undefined when it is no `http://ip` or `https://ip`. */
export function relayLocation(url: string): RelayLocation | undefined {
  const parts = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::(\d{1,5}))?\/?$/.exec(url)
  if (!parts) return undefined
  const [, scheme = '', ip = '', port] = parts
  const isTls = scheme === 'https'
  return { address: `${ip}:${port ?? (isTls ? 443 : 80)}`, ip, isTls }
}
