/**
 * A chat without a server. Each peer keeps all of its rooms. A new message goes to every member that is known; now and
 * then each peer compares what it has with another, which heals whatever was missed: by late joiners, in a partition, in
 * a crash.
 *
 * @module
 */
import { NodeId, P2PRouter } from '@moosicbox/p2p'
import type { DefaultP2P } from '@moosicbox/p2p'
import type { Actor } from '../stage/actor.ts'
import { BATCH, ChatService, readMessages } from './chat-service.ts'
import type { ServedRooms, SyncAnswer } from './chat-service.ts'
import { History } from './history.ts'
import type { Have } from './history.ts'
import { MAX_TEXT, signMessage } from './message.ts'
import type { ChatMessage } from './message.ts'
import { RoomFile } from './room-file.ts'

/** Options of {@link Chat.start}. */
export interface ChatOptions {
  /** Names of peers to ask first; they tell of others. */
  readonly contacts: readonly string[]
  /** The mean time between two comparisons, in milliseconds. @default 2000 */
  readonly syncEveryMs?: number | undefined
  /** Called for each message that is new here, the peer's own included. */
  readonly onMessage?: ((message: ChatMessage) => void) | undefined
}

/** Members of a room that are remembered. */
const MAX_MEMBERS = 1_000
/** Longest wait for a peer's answer. */
const ANSWER_MS = 5_000

class Room {
  readonly name: string
  readonly history = new History()
  readonly file: RoomFile
  readonly members = new Set<string>()

  constructor(name: string, file: RoomFile) {
    this.name = name
    this.file = file
  }
}

/** One peer's chat. */
export class Chat implements ServedRooms, AsyncDisposable {
  readonly #actor: Actor
  readonly #p2p: DefaultP2P
  readonly #options: ChatOptions
  readonly #rooms = new Map<string, Room>()
  readonly #stop = new AbortController()
  /** Names that have not been found yet. */
  readonly #strangers: Set<string>
  readonly #known = new Set<string>()
  readonly #log: string
  readonly #numbers = new Map<string, number>()
  #syncing: Promise<void> = Promise.resolve()

  private constructor(actor: Actor, p2p: DefaultP2P, options: ChatOptions) {
    this.#actor = actor
    this.#p2p = p2p
    this.#options = options
    this.#strangers = new Set(options.contacts)
    this.#log = Buffer.from(actor.runtime.randomBytes(8)).toString('hex')
  }

  /** Goes online. */
  static async start(actor: Actor, options: ChatOptions): Promise<Chat> {
    const p2p = await actor.create()
    const chat = new Chat(actor, p2p, options)
    await p2p.serve(new P2PRouter().use(new ChatService(chat)), { authorize: 'everyone' })
    chat.#syncing = chat.#syncForEver()
    return chat
  }

  /** Enters a room, with what this peer knew of it when it was last there. */
  async join(name: string): Promise<void> {
    if (this.#rooms.has(name)) return
    const room = new Room(name, new RoomFile(this.#actor.store, name))
    for (const message of await room.file.load()) room.history.add(message)
    this.#rooms.set(name, room)
  }

  /** Writes into a room. Resolves once the message is on this peer's disk; others get it as they can be reached. */
  async post(name: string, text: string): Promise<ChatMessage> {
    if (text === '' || text.length > MAX_TEXT) throw new RangeError(`a message has 1 to ${MAX_TEXT} characters`)
    const room = this.#room(name)
    const number = this.#numbers.get(name) ?? 0
    this.#numbers.set(name, number + 1)
    const { key, runtime } = this.#actor
    const author = key.nodeId.toString()
    const clock = room.history.clock + 1
    const content = { room: name, author, log: this.#log, number, clock, atMs: runtime.wallClockMs(), text }
    const message = signMessage(key, content)
    await this.#add(room, [message])
    for (const member of room.members) void this.#push(room, member, [message])
    return message
  }

  /** A room's messages, in the order in which everybody sees them. */
  messages(name: string): readonly ChatMessage[] {
    return this.#room(name).history.messages()
  }

  /** Ids of the others that were met in a room. */
  members(name: string): readonly string[] {
    return [...this.#room(name).members]
  }

  sync(name: string, peer: string, have: Have): SyncAnswer | undefined {
    const room = this.#rooms.get(name)
    if (!room) return undefined
    this.#meet(room, peer)
    const members = [...room.members].filter((id) => id !== peer)
    return { messages: room.history.missing(have, BATCH), have: room.history.have(), members }
  }

  async take(name: string, peer: string, messages: readonly ChatMessage[]): Promise<boolean> {
    const room = this.#rooms.get(name)
    if (!room) return false
    this.#meet(room, peer)
    await this.#add(room, messages)
    return true
  }

  /** Goes offline. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#syncing
    for (const room of this.#rooms.values()) await room.file.flush()
    await this.#p2p.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #room(name: string): Room {
    const room = this.#rooms.get(name)
    if (!room) throw new RangeError(`join ${name} first`)
    return room
  }

  /** What a crash takes away before it is on the disk, others who have heard of it give back. */
  async #add(room: Room, messages: readonly ChatMessage[]): Promise<void> {
    const fresh = messages.filter((message) => message.room === room.name && room.history.add(message))
    if (fresh.length === 0) return
    await room.file.append(fresh)
    for (const message of fresh) this.#options.onMessage?.(message)
  }

  #meet(room: Room, id: string): void {
    if (id === this.#actor.key.nodeId.toString() || room.members.size >= MAX_MEMBERS) return
    room.members.add(id)
  }

  async #syncForEver(): Promise<void> {
    const { runtime } = this.#actor
    const { signal } = this.#stop
    const everyMs = this.#options.syncEveryMs ?? 2_000
    let isRegistered = false
    while (!signal.aborted) {
      // The name service may be out; whoever is known already can be talked to all the same.
      isRegistered ||= await this.#register()
      await this.#findStrangers()
      for (const room of this.#rooms.values()) {
        const others = [...new Set([...this.#known, ...room.members])]
        const peer = others[Math.floor(runtime.random() * others.length)]
        if (peer !== undefined && !signal.aborted) await this.#syncWith(room, peer)
      }
      await runtime.sleep(everyMs * (0.5 + runtime.random()), { signal }).catch(() => {})
    }
  }

  async #register(): Promise<boolean> {
    try {
      await this.#p2p.register(this.#actor.name, { signal: this.#stop.signal })
      return true
    } catch {
      return false
    }
  }

  async #findStrangers(): Promise<void> {
    for (const name of this.#strangers) {
      const id = await this.#p2p.discover(name, { signal: this.#stop.signal }).catch(() => undefined)
      if (!id) continue
      this.#strangers.delete(name)
      if (!id.equals(this.#actor.key.nodeId)) this.#known.add(id.toString())
    }
  }

  /** Compares what the two have until neither lacks anything; whatever goes wrong is tried again another time. */
  async #syncWith(room: Room, peer: string): Promise<void> {
    for (;;) {
      const answer = await this.#ask(peer, `/rooms/${encodeURIComponent(room.name)}/sync`, {
        have: room.history.have(),
      })
      if (!answer) return
      this.#meet(room, peer)
      const { messages, have, members } = Object(answer) as Partial<SyncAnswer>
      if (Array.isArray(members)) for (const id of members.slice(0, MAX_MEMBERS)) this.#meetStranger(room, id)
      const sizeBefore = room.history.size
      await this.#add(room, readMessages(messages))
      const lacking = room.history.missing(Object(have) as Have, BATCH)
      if (lacking.length > 0 && !(await this.#push(room, peer, lacking))) return
      // Full batches mean that there may be more; without progress it ends all the same.
      const isMore = room.history.size > sizeBefore && (messages?.length ?? 0) >= BATCH
      if (!isMore && lacking.length < BATCH) return
    }
  }

  #meetStranger(room: Room, id: unknown): void {
    try {
      if (typeof id === 'string') this.#meet(room, NodeId.parse(id).toString())
    } catch {
      // No id: nobody to meet.
    }
  }

  async #push(room: Room, peer: string, messages: readonly ChatMessage[]): Promise<boolean> {
    const path = `/rooms/${encodeURIComponent(room.name)}/messages`
    return (await this.#ask(peer, path, { messages })) !== undefined
  }

  /** The peer's answer; undefined when it does not come, or says no. */
  async #ask(peer: string, path: string, json: unknown): Promise<unknown> {
    try {
      const { signal } = this.#stop
      const answer = await this.#p2p.request(peer, { method: 'POST', path, json, deadlineMs: ANSWER_MS, signal })
      const bytes = await answer.bytes(4_000_000)
      if (answer.status >= 300) return undefined
      return bytes.length === 0 ? true : (JSON.parse(new TextDecoder().decode(bytes)) as unknown)
    } catch {
      return undefined
    }
  }
}
