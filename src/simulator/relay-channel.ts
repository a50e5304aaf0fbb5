/**
 * The secure channel between a relay and a node, over a TCP connection: TLS 1.3 and the upgrade to a WebSocket take a
 * round trip each. Whoever sits in between can cut it, but neither read nor change nor repeat anything.
 *
 * @module
 */
import {
  FRAME_HEADER,
  FRAME_HEADER_BYTES,
  MAX_FRAME_BYTES,
  RelayHello,
  relayKeys,
  relayMessageBytes,
  RelayRecord,
} from './relay-wire.ts'
import type { RelayMessage } from './relay-wire.ts'
import type { TcpConnection } from './tcp/connection.ts'
import { KeyShare } from './transport/identity.ts'
import type { Agree } from './transport/identity.ts'
import type { PacketKey } from './transport/packet.ts'

// What rustls writes with X25519 and a chain of two ECDSA certificates; without TLS the shares cost nothing.
const CLIENT_HELLO_BYTES = 5 + 250
const SERVER_HELLO_BYTES = 5 + 90 + 22 + 2_600
/** The proof of an id is for this very channel: nobody can pass it on to another (TLS exporter, RFC 9266). */
export type ChannelBinding = readonly [KeyShare, KeyShare]

/** One end of a channel. */
export class RelayChannel {
  #onMessage: (message: RelayMessage) => void = () => {}
  #onTampered: () => void = () => {}
  readonly #tcp: TcpConnection
  readonly #role: 'client' | 'server'
  readonly #isTls: boolean
  readonly #share: KeyShare
  readonly #agree: Agree
  #peerShare: KeyShare | undefined
  #own: PacketKey | undefined
  #peer: PacketKey | undefined
  #sent = 0
  #received = 0

  constructor(tcp: TcpConnection, role: 'client' | 'server', isTls: boolean) {
    const { share, agree } = KeyShare.generate()
    this.#tcp = tcp
    this.#role = role
    this.#isTls = isTls
    this.#share = share
    this.#agree = agree
  }

  /** What a proof of identity over this channel has to be bound to; undefined before both sides have said hello. */
  get binding(): ChannelBinding | undefined {
    if (!this.#peerShare) return undefined
    return this.#role === 'client' ? [this.#share, this.#peerShare] : [this.#peerShare, this.#share]
  }

  /** Tells its owner of each message, and when somebody has meddled with it, so that it is to be given up. */
  tell(onMessage: (message: RelayMessage) => void, onTampered: () => void): void {
    this.#onMessage = onMessage
    this.#onTampered = onTampered
  }

  /** The client's first word. */
  start(): void {
    this.#hello(CLIENT_HELLO_BYTES)
  }

  /** False when no more should be sent until the connection is writable. */
  send(message: RelayMessage): boolean {
    if (!this.#own) return false
    const sizeBytes = relayMessageBytes(message, this.#role)
    if (sizeBytes > MAX_FRAME_BYTES) return true
    const isServer = this.#role === 'server'
    if (isServer) this.#tcp.write(FRAME_HEADER, FRAME_HEADER_BYTES, true)
    return this.#tcp.write(new RelayRecord(this.#own, this.#sent++, message), sizeBytes, isServer)
  }

  /** Something has arrived. */
  receive(payload: unknown): void {
    if (payload === FRAME_HEADER) return
    if (this.#peer) {
      const message = RelayRecord.open(payload, this.#peer, this.#received)
      if (message) {
        this.#received++
        this.#onMessage(message)
      } else {
        this.#onTampered()
      }
    } else if (payload instanceof RelayHello && payload.share instanceof KeyShare) {
      this.#onHello(payload)
    } else {
      this.#onTampered()
    }
  }

  #onHello({ share }: RelayHello): void {
    this.#peerShare = share
    const { own, peer } = relayKeys(this.#agree(share), this.#role)
    this.#own = own
    this.#peer = peer
    if (this.#role === 'server') this.#hello(SERVER_HELLO_BYTES)
    else this.send({ type: 'upgrade' })
  }

  #hello(tlsBytes: number): void {
    const sizeBytes = this.#isTls ? tlsBytes : 1
    this.#tcp.write(new RelayHello(this.#share, sizeBytes), sizeBytes)
  }
}
