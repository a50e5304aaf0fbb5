/**
 * A node's attachment to a relay: made with a proof of its id, kept by pings, made again when it is lost. The pings keep
 * the mapping of a NAT on the way alive, and bring the address at which this node is seen from outside.
 *
 * @module
 */
import type { Kernel, KernelEvent } from './kernel.ts'
import { RELAY_CONTEXT, RelayDatagram } from './relay-wire.ts'
import type { RelayMessage, RelaySession } from './relay-wire.ts'
import { IdentityProof } from './transport/identity.ts'
import type { Identity } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'
import { powerOfTwo } from './power-of-two.ts'

/** What an attachment needs of its endpoint. */
export interface RelayClientHost {
  readonly kernel: Kernel
  readonly identity: Identity
  /** Sends a datagram to the relay. */
  transmit(datagram: RelayDatagram): void
  /** A packet from a node, over the relay. */
  onPacket(peer: string, packet: Packet): void
  /** This node is seen at `observed`. */
  onObserved(observed: string): void
}

/** The time between two attempts to attach; iroh's dial time-out. */
const DIAL_US = 1_500_000
const MAX_DIAL_US = 16_000_000
const PING_US = 15_000_000
/** Pings without an answer after which the attachment counts as lost. */
const MAX_MISSED = 2
/** Packets kept while there is no attachment. */
const MAX_QUEUED = 512

/** One attachment. */
export class RelayClient {
  readonly #host: RelayClientHost
  readonly #queue: { readonly peer: string; readonly packet: Packet }[] = []
  #session: RelaySession | undefined
  #timer: KernelEvent | undefined
  #dials = 0
  #missed = 0
  #closed = false

  constructor(host: RelayClientHost) {
    this.#host = host
    this.#dial()
  }

  /** Whether packets go through at present. */
  get isAttached(): boolean {
    return this.#session !== undefined
  }

  /** Sends a packet to a node that is attached to the same relay; it waits while this one is not. */
  send(peer: string, packet: Packet): void {
    if (this.#closed) return
    if (this.#session) {
      this.#transmit({ type: 'packet', session: this.#session, peer, packet })
    } else if (this.#queue.length < MAX_QUEUED) {
      this.#queue.push({ peer, packet })
    }
  }

  /** A datagram from the relay's address. */
  receive(message: RelayMessage): void {
    if (this.#closed) return
    switch (message.type) {
      case 'challenge': {
        if (this.#session) return
        const { challenge } = message
        const proof = new IdentityProof(this.#host.identity, RELAY_CONTEXT, [challenge])
        this.#transmit({ type: 'proof', challenge, proof })
        break
      }
      case 'accepted':
        if (!this.#session) this.#attached(message.session, message.observed)
        break
      case 'pong':
        if (message.session !== this.#session) return
        this.#missed = 0
        this.#host.onObserved(message.observed)
        break
      case 'packet':
        if (message.session === this.#session) this.#host.onPacket(message.peer, message.packet)
        break
      case 'unknown':
        if (message.session === this.#session) this.#lost()
        break
      case 'hello':
      case 'proof':
      case 'ping':
      case 'detach':
        break
    }
  }

  /** Says goodbye. */
  close(): void {
    if (this.#session) this.#transmit({ type: 'detach', session: this.#session })
    this.destroy()
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#queue.length = 0
  }

  #attached(session: RelaySession, observed: string): void {
    this.#session = session
    this.#dials = 0
    this.#missed = 0
    this.#schedule(PING_US, () => this.#ping())
    this.#host.onObserved(observed)
    for (const { peer, packet } of this.#queue.splice(0)) this.send(peer, packet)
  }

  #lost(): void {
    this.#session = undefined
    this.#dial()
  }

  #dial(): void {
    this.#transmit({ type: 'hello' })
    this.#schedule(Math.min(DIAL_US * powerOfTwo(this.#dials), MAX_DIAL_US), () => this.#dial())
    this.#dials = Math.min(this.#dials + 1, 8)
  }

  #ping(): void {
    if (!this.#session) return
    if (this.#missed++ >= MAX_MISSED) {
      this.#lost()
      return
    }
    this.#transmit({ type: 'ping', session: this.#session })
    this.#schedule(PING_US, () => this.#ping())
  }

  #schedule(delayUs: number, callback: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#host.kernel.schedule(delayUs, () => {
      this.#timer = undefined
      if (!this.#closed) callback()
    })
  }

  #transmit(message: RelayMessage): void {
    this.#host.transmit(new RelayDatagram(message))
  }
}
