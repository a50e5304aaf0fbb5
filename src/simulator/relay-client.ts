/**
 * A node's connection to a relay: dialled, proven, kept by pings, dialled again when it is lost. As iroh's relay actor.
 *
 * @module
 */
import type { Kernel, KernelEvent, RandomStream } from './kernel.ts'
import { powerOfTwo } from './power-of-two.ts'
import { RelayChannel } from './relay-channel.ts'
import { RELAY_CONTEXT, relayLocation } from './relay-wire.ts'
import type { RelayLocation, RelayMessage } from './relay-wire.ts'
import type { TcpSnapshot } from './tcp/connection.ts'
import { TcpClientSocket } from './tcp/socket.ts'
import type { TcpInterface } from './tcp/socket.ts'
import { IdentityProof } from './transport/identity.ts'
import type { Identity } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'

/** What a connection to a relay needs of its endpoint. */
export interface RelayClientHost {
  readonly kernel: Kernel
  readonly identity: Identity
  readonly network: TcpInterface
  readonly random: RandomStream
  /** A packet from a node, over the relay. */
  onPacket(peer: string, packet: Packet): void
  /** It is attached, or no longer. */
  onState(client: RelayClient): void
}

/** As netstat shows it. */
export interface RelayClientSnapshot {
  readonly url: string
  readonly isHome: boolean
  readonly state: RelayClientState
  /** Why the last attempt failed; undefined when it did not. */
  readonly failure: string | undefined
  readonly queuedPackets: number
  readonly droppedPackets: number
  readonly tcp: TcpSnapshot | undefined
}

/** `idle`: nothing to send, and not the home relay. */
export type RelayClientState = 'idle' | 'dialling' | 'waiting' | 'attached' | 'closed'

/** How long the TCP handshake may take (iroh-relay, DIAL_ENDPOINT_TIMEOUT). */
const DIAL_TIMEOUT_US = 1_500_000
/** How long all of it may take (iroh, CONNECT_TIMEOUT). */
const CONNECT_TIMEOUT_US = 10_000_000
/** Silence after which it is asked whether the relay is there, and how long that may answer (iroh, PING_INTERVAL). */
const PING_US = 15_000_000
const PONG_TIMEOUT_US = 5_000_000
/** Packets that wait for the connection; more are dropped. */
const MAX_QUEUED = 512
/**
 * During an attempt what waits is dropped this often (iroh, UNDELIVERABLE_DATAGRAM_TIMEOUT). Each attempt begins to count
 * anew, and nobody counts between two: where a relay refuses connections at once, all that fits waits for its return.
 */
const UNDELIVERABLE_US = 3_000_000
/** A relay that is not the home relay is left when nothing was sent for so long (iroh, RELAY_INACTIVE_CLEANUP_TIME). */
const INACTIVE_US = 60_000_000
/** The back-off between attempts: doubled, with as much again at random on top. */
const MIN_BACKOFF_US = 10_000
const MAX_BACKOFF_US = 16_000_000
const MAX_BACKOFF_EXPONENT = 11

/** One connection to a relay. */
export class RelayClient {
  readonly url: string
  readonly #host: RelayClientHost
  readonly #location: RelayLocation
  readonly #queue: { readonly peer: string; readonly packet: Packet }[] = []
  #isHome = false
  #state: RelayClientState = 'idle'
  #socket: TcpClientSocket | undefined
  #channel: RelayChannel | undefined
  #timer: KernelEvent | undefined
  #flushTimer: KernelEvent | undefined
  #attempts = 0
  /** Whether a ping was answered on this connection: then the next attempt is made at once. */
  #isEstablished = false
  #hasRoom = true
  #heardUs = 0
  #sentUs = 0
  #pinged = false
  #token = 0
  #failure: string | undefined
  #dropped = 0

  /** @param url as `relayLocation` reads it */
  constructor(host: RelayClientHost, url: string) {
    this.#host = host
    this.url = url
    this.#location = relayLocation(url) as RelayLocation
  }

  /** Whether packets go through at present. */
  get isAttached(): boolean {
    return this.#state === 'attached'
  }

  /** Why the last attempt failed. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Plain data. */
  snapshot(): RelayClientSnapshot {
    return {
      url: this.url,
      isHome: this.#isHome,
      state: this.#state,
      failure: this.#failure,
      queuedPackets: this.#queue.length,
      droppedPackets: this.#dropped,
      tcp: this.#socket?.connection.snapshot(),
    }
  }

  /** The home relay is kept whether there is anything to send or not. */
  set isHome(isHome: boolean) {
    this.#isHome = isHome
    if (isHome) this.#wake()
  }

  get isHome(): boolean {
    return this.#isHome
  }

  /** Sends a packet to a node at the same relay; it waits a while when there is no connection yet. */
  send(peer: string, packet: Packet): void {
    if (this.#state === 'closed') return
    this.#sentUs = this.#host.kernel.nowUs()
    if (this.#queue.length === 0 && this.isAttached && this.#hasRoom) {
      this.#hasRoom = this.#channel?.send({ type: 'packet', peer, packet }) === true
      return
    }
    if (this.#queue.length < MAX_QUEUED) this.#queue.push({ peer, packet })
    else this.#dropped++
    this.#wake()
  }

  /** The machine has another address: the connection is of no use any more. */
  onNetworkChange(): void {
    if (this.#state === 'closed' || this.#state === 'idle') return
    this.#drop()
    this.#attempts = 0
    this.#dial()
  }

  /** Takes leave. */
  close(): void {
    if (this.#state !== 'closed') this.#socket?.close()
    this.destroy()
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#state = 'closed'
    this.#timer?.cancel()
    this.#stopFlushing()
    this.#socket?.destroy()
    this.#queue.length = 0
  }

  #wake(): void {
    if (this.#state === 'idle') this.#dial()
  }

  #dial(): void {
    const { kernel, network, random } = this.#host
    // Whoever has waited in vain and has no home here gives up.
    if (!this.#isHome && kernel.nowUs() - this.#sentUs >= INACTIVE_US) {
      this.#drop()
      this.#dropQueue()
      this.#state = 'idle'
      return
    }
    this.#state = 'dialling'
    this.#isEstablished = false
    this.#pinged = false
    this.#schedule(DIAL_TIMEOUT_US, () => this.#fail('it does not answer'))
    this.#flushTimer = this.#flushLater()
    const socket = new TcpClientSocket(kernel, network, random, this.#location.address, {
      onOpen: () => this.#onOpen(socket),
      onMessage: (payload) => this.#channel?.receive(payload),
      onWritable: () => this.#onWritable(),
      onClosed: (reason) =>
        this.#fail(reason === 'reset' ? 'it refuses connections' : `the connection ended: ${reason}`),
    })
    this.#socket = socket
  }

  #onOpen(socket: TcpClientSocket): void {
    this.#schedule(CONNECT_TIMEOUT_US - DIAL_TIMEOUT_US, () => this.#fail('it does not attach anybody'))
    const channel = new RelayChannel(socket.connection, 'client', this.#location.isTls)
    channel.tell(
      (message) => this.#receive(message),
      () => this.#fail('somebody meddles with the connection'),
    )
    this.#channel = channel
    channel.start()
  }

  #receive(message: RelayMessage): void {
    this.#heardUs = this.#host.kernel.nowUs()
    switch (message.type) {
      case 'challenge': {
        const binding = this.#channel?.binding
        if (!binding || this.isAttached) return
        const { challenge } = message
        const proof = new IdentityProof(this.#host.identity, RELAY_CONTEXT, [challenge, ...binding])
        this.#channel?.send({ type: 'proof', challenge, proof })
        break
      }
      case 'accepted':
        if (this.#state === 'dialling') this.#attached()
        break
      case 'denied':
        this.#fail(`it denies this node: ${message.reason}`)
        break
      case 'ping':
        this.#channel?.send({ type: 'pong', token: message.token })
        break
      case 'pong':
        if (message.token !== this.#token) return
        this.#pinged = false
        this.#isEstablished = true
        break
      case 'packet':
        if (this.isAttached) this.#host.onPacket(message.peer, message.packet)
        break
      case 'status':
      case 'upgrade':
      case 'proof':
        break
    }
  }

  #attached(): void {
    this.#state = 'attached'
    this.#failure = undefined
    this.#hasRoom = true
    this.#stopFlushing()
    this.#sentUs = this.#host.kernel.nowUs()
    this.#ping()
    this.#onWritable()
    this.#host.onState(this)
  }

  #onWritable(): void {
    if (!this.isAttached) return
    this.#hasRoom = true
    while (this.#hasRoom) {
      const next = this.#queue.shift()
      if (!next) return
      this.#hasRoom = this.#channel?.send({ type: 'packet', ...next }) === true
    }
  }

  #ping(): void {
    this.#pinged = true
    this.#token++
    this.#channel?.send({ type: 'ping', token: this.#token })
    this.#schedule(PONG_TIMEOUT_US, () => this.#watch())
  }

  /** Pings after silence; one event covers all that is heard meanwhile. */
  #watch(): void {
    if (this.#pinged) {
      this.#fail('it does not answer any more')
      return
    }
    const nowUs = this.#host.kernel.nowUs()
    if (!this.#isHome && nowUs - this.#sentUs >= INACTIVE_US) {
      this.#leave()
      return
    }
    const pingInUs = this.#heardUs + PING_US - nowUs
    if (pingInUs <= 0) this.#ping()
    else this.#schedule(pingInUs, () => this.#watch())
  }

  #leave(): void {
    this.#socket?.close()
    this.#drop()
    this.#state = 'idle'
    this.#host.onState(this)
  }

  #drop(): void {
    this.#timer?.cancel()
    this.#stopFlushing()
    this.#socket?.destroy()
    this.#socket = undefined
    this.#channel = undefined
  }

  #fail(reason: string): void {
    if (this.#state === 'closed') return
    const isAtOnce = this.#isEstablished
    this.#failure = reason
    this.#socket?.abort()
    this.#drop()
    if (isAtOnce) {
      this.#attempts = 0
      this.#dial()
    } else {
      this.#state = 'waiting'
      const delayUs = Math.min(MIN_BACKOFF_US * powerOfTwo(this.#attempts), MAX_BACKOFF_US)
      this.#attempts = Math.min(this.#attempts + 1, MAX_BACKOFF_EXPONENT)
      const jitterUs = Math.floor(delayUs * this.#host.random.nextFloat())
      this.#schedule(delayUs + jitterUs, () => this.#dial())
    }
    this.#host.onState(this)
  }

  #flushLater(): KernelEvent {
    return this.#host.kernel.schedule(UNDELIVERABLE_US, () => {
      this.#dropQueue()
      this.#flushTimer = this.#flushLater()
    })
  }

  #stopFlushing(): void {
    this.#flushTimer?.cancel()
    this.#flushTimer = undefined
  }

  #dropQueue(): void {
    this.#dropped += this.#queue.length
    this.#queue.length = 0
  }

  #schedule(delayUs: number, callback: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#host.kernel.schedule(delayUs, () => {
      this.#timer = undefined
      if (this.#state !== 'closed') callback()
    })
  }
}
