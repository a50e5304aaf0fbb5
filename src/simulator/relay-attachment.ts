/**
 * A relay's end of the connection to one node: proof of its id, packets that wait for it, pings, and the limit of what
 * it may send.
 *
 * @module
 */
import type { NodeId } from '../core/node-id.ts'
import type { Kernel, KernelEvent } from './kernel.ts'
import { RelayChannel } from './relay-channel.ts'
import { RELAY_CONTEXT } from './relay-wire.ts'
import type { RelayChallenge, RelayMessage } from './relay-wire.ts'
import type { TcpConnection, TcpSnapshot } from './tcp/connection.ts'
import { IdentityProof } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'

/** How much a relay takes of each node. */
export interface RelayRateLimit {
  /** Bytes a second. */
  readonly bytesPerSecond: number
  /** Bytes at a time, after a pause. @default a tenth of a second's, as iroh's relay */
  readonly burstBytes?: number | undefined
}

/** A {@link RelayRateLimit} with its default. */
export interface ResolvedRateLimit {
  readonly bytesPerSecond: number
  readonly burstBytes: number
}

/** What an attachment needs of its relay. */
export interface RelayAttachmentHost {
  readonly kernel: Kernel
  readonly isTls: boolean
  readonly rateLimit: ResolvedRateLimit | undefined
  /** Why that node may not attach; undefined when it may. */
  refusal(id: NodeId): string | undefined
  /** The node has proven who it is. */
  onAttached(attachment: RelayAttachment): void
  /** A packet for `peer`. */
  onPacket(from: RelayAttachment, peer: string, packet: Packet): void
  /** It is over. */
  onGone(attachment: RelayAttachment): void
  /** A random number of microseconds below `boundUs`. */
  jitterUs(boundUs: number): number
}

/** As netstat shows it. */
export interface RelayAttachmentSnapshot {
  readonly node: string
  readonly remote: string
  readonly queuedPackets: number
  readonly droppedPackets: number
  readonly tcp: TcpSnapshot
}

/** Packets that wait for a node; more are dropped (iroh-relay, PER_CLIENT_SEND_QUEUE_DEPTH). */
const MAX_QUEUED_PACKETS = 512
/** Silence after which a node is asked whether it is there: 1 to 5 s more, at random (iroh-relay). */
const PING_US = 15_000_000
const PING_JITTER_US = 5_000_000
const PONG_TIMEOUT_US = 5_000_000
/** Who takes nothing for this long is cut off (iroh-relay, SERVER_WRITE_TIMEOUT). */
const WRITE_TIMEOUT_US = 2_000_000
/** Who does not prove an id for this long is cut off. */
const PROOF_TIMEOUT_US = 10_000_000

/** One attachment. */
export class RelayAttachment {
  readonly remote: string
  readonly #host: RelayAttachmentHost
  readonly #tcp: TcpConnection
  readonly #channel: RelayChannel
  readonly #queue: { readonly peer: string; readonly packet: Packet }[] = []
  /** The node, once it has proven its id; '' before. */
  id = ''
  #challenge: RelayChallenge | undefined
  #hasRoom = true
  #droppedPackets = 0
  #heardUs: number
  #token = 0
  #pinged = false
  #timer: KernelEvent | undefined
  #blockedTimer: KernelEvent | undefined
  #limitTimer: KernelEvent | undefined
  #budgetBytes: number
  #budgetUs: number
  #isLimitTold = false

  constructor(host: RelayAttachmentHost, tcp: TcpConnection, remote: string) {
    this.#host = host
    this.#tcp = tcp
    this.remote = remote
    const nowUs = host.kernel.nowUs()
    this.#heardUs = nowUs
    this.#budgetUs = nowUs
    this.#budgetBytes = host.rateLimit?.burstBytes ?? 0
    this.#channel = new RelayChannel(tcp, 'server', host.isTls)
    this.#channel.tell(
      (message) => this.#receive(message),
      () => this.end(),
    )
    this.#schedule(PROOF_TIMEOUT_US, () => this.end())
  }

  /** Plain data. */
  snapshot(): RelayAttachmentSnapshot {
    return {
      node: this.id,
      remote: this.remote,
      queuedPackets: this.#queue.length,
      droppedPackets: this.#droppedPackets,
      tcp: this.#tcp.snapshot(),
    }
  }

  /** Something has arrived on the connection. */
  receive(payload: unknown): void {
    this.#channel.receive(payload)
  }

  /** Sends a packet to the node, when its turn comes; false when too many wait already. */
  forward(peer: string, packet: Packet): boolean {
    if (this.#queue.length >= MAX_QUEUED_PACKETS) {
      this.#droppedPackets++
      return false
    }
    if (this.#hasRoom && this.#queue.length === 0) {
      this.#hasRoom = this.#channel.send({ type: 'packet', peer, packet })
    } else {
      this.#queue.push({ peer, packet })
    }
    if (!this.#hasRoom) this.#blockedTimer ??= this.#host.kernel.schedule(WRITE_TIMEOUT_US, () => this.end())
    return true
  }

  /** There is room on the connection again. */
  onWritable(): void {
    this.#hasRoom = true
    this.#blockedTimer?.cancel()
    this.#blockedTimer = undefined
    while (this.#hasRoom) {
      const next = this.#queue.shift()
      if (!next) return
      this.#hasRoom = this.#channel.send({ type: 'packet', ...next })
    }
    this.#blockedTimer = this.#host.kernel.schedule(WRITE_TIMEOUT_US, () => this.end())
  }

  /** Another connection of this node has taken its place. */
  displace(): void {
    this.#channel.send({ type: 'status', status: 'same-id' })
  }

  /** Ends the connection. */
  end(): void {
    this.#tcp.abort()
    this.#host.onGone(this)
  }

  /** Forgets everything without a word. */
  destroy(): void {
    this.#timer?.cancel()
    this.#blockedTimer?.cancel()
    this.#limitTimer?.cancel()
    this.#queue.length = 0
  }

  #receive(message: RelayMessage): void {
    this.#heardUs = this.#host.kernel.nowUs()
    switch (message.type) {
      case 'upgrade':
        if (this.#challenge) return
        this.#challenge = { is: 'challenge' }
        this.#channel.send({ type: 'challenge', challenge: this.#challenge })
        break
      case 'proof':
        this.#prove(message.challenge, message.proof)
        break
      case 'ping':
        this.#channel.send({ type: 'pong', token: message.token })
        break
      case 'pong':
        if (message.token === this.#token) this.#pinged = false
        break
      case 'packet':
        if (this.id === '') return
        this.#spend(message.packet.datagramBytes)
        this.#host.onPacket(this, message.peer, message.packet)
        break
      case 'challenge':
      case 'accepted':
      case 'denied':
      case 'status':
        break
    }
  }

  #prove(challenge: RelayChallenge, proof: IdentityProof): void {
    const { binding } = this.#channel
    if (this.id !== '' || !binding || challenge !== this.#challenge) return
    const id = IdentityProof.verify(proof, RELAY_CONTEXT, [challenge, ...binding])
    const reason = id ? this.#host.refusal(id) : 'the id is not proven'
    if (!id || reason !== undefined) {
      this.#channel.send({ type: 'denied', reason: reason ?? '' })
      this.#tcp.close()
      this.#host.onGone(this)
      return
    }
    this.id = id.toString()
    this.#channel.send({ type: 'accepted' })
    this.#host.onAttached(this)
    this.#watchLater(PING_US)
  }

  /** Takes from what the node may send; when that is used up, it is not read on until there is some again. */
  #spend(sizeBytes: number): void {
    const limit = this.#host.rateLimit
    if (!limit) return
    const nowUs = this.#host.kernel.nowUs()
    const earned = ((nowUs - this.#budgetUs) * limit.bytesPerSecond) / 1_000_000
    this.#budgetUs = nowUs
    this.#budgetBytes = Math.min(limit.burstBytes, this.#budgetBytes + earned) - sizeBytes
    if (this.#budgetBytes >= 0 || this.#limitTimer) return
    if (!this.#isLimitTold) {
      this.#isLimitTold = true
      this.#channel.send({ type: 'status', status: 'rate-limited' })
    }
    this.#tcp.pause()
    const waitUs = (-this.#budgetBytes * 1_000_000) / limit.bytesPerSecond
    this.#limitTimer = this.#host.kernel.schedule(waitUs, () => {
      this.#limitTimer = undefined
      this.#tcp.resume()
    })
  }

  #watchLater(afterUs: number): void {
    this.#schedule(afterUs + this.#host.jitterUs(PING_JITTER_US), () => this.#watch())
  }

  /** Pings after silence; one event covers all that is heard meanwhile. */
  #watch(): void {
    if (this.#pinged) {
      this.end()
      return
    }
    const silentUs = this.#host.kernel.nowUs() - this.#heardUs
    if (silentUs < PING_US) {
      this.#watchLater(PING_US - silentUs)
      return
    }
    this.#pinged = true
    this.#token++
    this.#channel.send({ type: 'ping', token: this.#token })
    this.#schedule(PONG_TIMEOUT_US, () => {
      if (this.#pinged) this.end()
      else this.#watchLater(PING_US)
    })
  }

  #schedule(delayUs: number, callback: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#host.kernel.schedule(delayUs, callback)
  }
}
