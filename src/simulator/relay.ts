/**
 * A relay on the virtual internet: nodes attach to it with the proof of their id, and it forwards sealed packets between
 * those that are attached. It sees who sends how much to whom, and nothing else.
 *
 * @module
 */
import type { NodeId } from '../core/node-id.ts'
import type { DatagramInterface, DatagramSocket, ReceivedDatagram } from './endpoint.ts'
import type { Kernel } from './kernel.ts'
import { RELAY_CONTEXT, RelayDatagram } from './relay-wire.ts'
import type { RelayChallenge, RelayMessage, RelaySession } from './relay-wire.ts'
import type { DatagramAddress } from './routes.ts'
import { IdentityProof } from './transport/identity.ts'

/** Options of a {@link SimRelay}. */
export interface SimRelayOptions {
  readonly kernel: Kernel
  readonly network: DatagramInterface
  /** The index of its host, for traces. @default -1 */
  readonly host?: number | undefined
  /** @default 3340, as `iroh-relay --dev` */
  readonly port?: number | undefined
}

/** iroh's relays in development listen here. */
export const RELAY_PORT = 3_340
/** A node that is silent for this long is forgotten. Nodes ping every 15 s. */
const CLIENT_TIMEOUT_US = 45_000_000
const MAX_CLIENTS = 100_000
/** Questions that wait for an answer; the oldest are forgotten. */
const MAX_CHALLENGES = 1_024

interface Client {
  readonly id: string
  readonly session: RelaySession
  address: DatagramAddress
  heardUs: number
}

/** The relay; see the module's comment. */
export class SimRelay {
  readonly #kernel: Kernel
  readonly #host: number
  readonly #socket: DatagramSocket
  readonly #clients = new Map<string, Client>()
  readonly #sessions = new Map<RelaySession, Client>()
  readonly #challenges = new Set<RelayChallenge>()
  #forwarded = 0

  /** @throws P2PError `network` when the port is in use */
  constructor(options: SimRelayOptions) {
    this.#kernel = options.kernel
    this.#host = options.host ?? -1
    this.#socket = options.network.bind(options.port ?? RELAY_PORT, (datagram) => this.#receive(datagram))
  }

  /** The URL to attach to. */
  get url(): string {
    return `http://${this.#socket.localAddress.toString()}/`
  }

  /** How many nodes are attached. */
  get clients(): number {
    return this.#clients.size
  }

  /** Packets forwarded so far. */
  get forwarded(): number {
    return this.#forwarded
  }

  /** Whether that node is attached. */
  isAttached(id: NodeId): boolean {
    return this.#clients.has(id.toString())
  }

  /** Ends it, without a word to anyone. */
  close(): void {
    this.#clients.clear()
    this.#sessions.clear()
    this.#socket.close()
  }

  #receive({ source, payload, isCorrupted }: ReceivedDatagram): void {
    if (isCorrupted) return
    const message = RelayDatagram.messageOf(payload)
    if (!message) return
    switch (message.type) {
      case 'hello':
        this.#ask(source)
        break
      case 'proof':
        this.#attach(message.challenge, message.proof, source)
        break
      case 'ping': {
        const client = this.#clientOf(message.session, source)
        if (client) this.#send(source, { type: 'pong', session: client.session, observed: source.toString() })
        break
      }
      case 'packet': {
        const from = this.#clientOf(message.session, source)
        // Whoever is not attached gets nothing, and nobody is told.
        const to = from && this.#live(message.peer)
        if (!to) return
        this.#forwarded++
        this.#send(to.address, { type: 'packet', session: to.session, peer: from.id, packet: message.packet })
        break
      }
      case 'detach': {
        const client = this.#clientOf(message.session, source)
        if (client) this.#forget(client)
        break
      }
      case 'challenge':
      case 'accepted':
      case 'pong':
      case 'unknown':
        break
    }
  }

  #ask(source: DatagramAddress): void {
    const challenge: RelayChallenge = { is: 'challenge' }
    this.#challenges.add(challenge)
    if (this.#challenges.size > MAX_CHALLENGES) {
      for (const oldest of this.#challenges) {
        this.#challenges.delete(oldest)
        break
      }
    }
    this.#send(source, { type: 'challenge', challenge })
  }

  #attach(challenge: RelayChallenge, proof: IdentityProof, source: DatagramAddress): void {
    if (!this.#challenges.delete(challenge)) return
    const id = IdentityProof.verify(proof, RELAY_CONTEXT, [challenge])?.toString()
    if (id === undefined) return
    // A second attachment of the same node takes the place of the first.
    const before = this.#clients.get(id)
    if (before) this.#forget(before)
    if (this.#clients.size >= MAX_CLIENTS) return
    const session: RelaySession = { is: 'session' }
    const client: Client = { id, session, address: source, heardUs: this.#kernel.nowUs() }
    this.#clients.set(id, client)
    this.#sessions.set(client.session, client)
    this.#trace(id, 'attached')
    this.#send(source, { type: 'accepted', session: client.session, observed: source.toString() })
  }

  /** The node of a session, which has just been heard; its address may be another now. */
  #clientOf(session: RelaySession, source: DatagramAddress): Client | undefined {
    const client = this.#sessions.get(session)
    if (!client) {
      this.#send(source, { type: 'unknown', session })
      return undefined
    }
    client.address = source
    client.heardUs = this.#kernel.nowUs()
    return client
  }

  #live(id: string): Client | undefined {
    const client = this.#clients.get(id)
    if (!client || this.#kernel.nowUs() - client.heardUs <= CLIENT_TIMEOUT_US) return client
    this.#forget(client)
    return undefined
  }

  #forget(client: Client): void {
    this.#clients.delete(client.id)
    this.#sessions.delete(client.session)
    this.#trace(client.id, 'detached')
  }

  #trace(id: string, what: 'attached' | 'detached'): void {
    this.#kernel.trace?.record('relay', { host: this.#host, id, what })
  }

  #send(destination: DatagramAddress, message: RelayMessage): void {
    const datagram = new RelayDatagram(message)
    this.#socket.send(destination, datagram, datagram.sizeBytes)
  }
}
