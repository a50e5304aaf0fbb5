/**
 * One context of the addon: hands out tokens, drains records when the bell rings, and keeps the process alive while
 * something is in flight or listening.
 *
 * @module
 */
import type { Failed } from './errors.ts'
import { FAILURE, tooManyHandles } from './errors.ts'
import type { NativeAddon } from './addon.ts'
import { Batch } from './batch.ts'
import type { NativeConnection } from './connection.ts'
import { ENDS, MORE, RECORD, Scratch } from './records.ts'
import { NumberMap } from '../../core/number-map.ts'
import { Slab } from '../../runtime/slab.ts'
import type { NativeStream } from './stream.ts'

const SCRATCH_BYTES = 262_144

/** Bytes of streams from here on are handed out as parts of the scratch memory when most of that is of such. */
const SHARED_BYTES = 16_384

/** As many scratches a ring of the bell; then everybody else has a turn. */
const MAX_ROUNDS = 4

/** Handles of streams that are asked for at a time. */
const RESERVED = 64

/** What becomes of a call. */
export interface Pending {
  /** Called as the record is read, so before those about `handle`. */
  done(handle: number, early: boolean): void
  failed(failed: Failed): void
}

/** What the endpoint of this context hears. */
export interface DoorEvents {
  incoming(connection: number, peer: Uint8Array, alpn: string, early: boolean): void
  addressChanged(): void
}

/** One context. */
export class NativeDoor {
  readonly addon: NativeAddon
  readonly context: number
  readonly connections: Map<number, NativeConnection> = new Map()
  readonly streams: NumberMap<NativeStream> = new NumberMap()
  /** What is asked of streams; whoever calls the addon about one, or its connection, flushes it first. */
  readonly batch: Batch
  events: DoorEvents | undefined
  readonly #pending = new Map<number, Pending>()
  #scratch = new Scratch(SCRATCH_BYTES)
  readonly #slab = new Slab()
  #share = false
  #shared = false
  readonly #reserved = new Uint32Array(RESERVED)
  #reservedLeft = 0
  #lastToken = 0
  #holds = 0
  #closed = false

  /** @param sharesLoop see `loop.ts` */
  constructor(addon: NativeAddon, sharesLoop: boolean) {
    this.addon = addon
    this.context = addon.openContext(() => this.#drain(), sharesLoop)
    this.batch = new Batch((bytes, used) => {
      if (!this.#closed) addon.submit(this.context, bytes, used)
    })
  }

  /**
   * A handle for a stream.
   *
   * @throws P2PError `limit-exceeded`
   */
  streamHandle(): number {
    if (this.#reservedLeft === 0) {
      this.#reservedLeft = this.addon.reserve(this.context, new Uint8Array(this.#reserved.buffer))
      if (this.#reservedLeft === 0) throw tooManyHandles()
    }
    return this.#reserved[--this.#reservedLeft] as number
  }

  /** A token for a call; until it is answered the process stays alive. */
  token(pending: Pending): number {
    const token = (this.#lastToken = (this.#lastToken + 1) >>> 0)
    this.#pending.set(token, pending)
    this.hold()
    return token
  }

  /** Takes back a token whose call has thrown. */
  revoke(token: number): void {
    if (this.#pending.delete(token)) this.release()
  }

  /** Keeps the process alive until as many `release`s. */
  hold(): void {
    this.#holds++
    if (this.#holds === 1 && !this.#closed) this.addon.keepAlive(this.context, true)
  }

  /** See {@link hold}. */
  release(): void {
    this.#holds--
    if (this.#holds === 0 && !this.#closed) this.addon.keepAlive(this.context, false)
  }

  /** Ends the context; whoever waits is told. */
  close(): void {
    if (this.#closed) return
    this.batch.flush()
    this.#closed = true
    this.addon.closeContext(this.context)
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const call of pending) call.failed({ kind: FAILURE.endpointClosed, text: '', closeCode: 0 })
  }

  #drain(): void {
    for (let round = 0; !this.#closed; round++) {
      if (round === MAX_ROUNDS) {
        this.addon.ringAgain(this.context)
        return
      }
      const scratch = this.#scratch
      const result = this.addon.drain(this.context, scratch.bytes)
      const used = result % MORE
      // Handing out parts of it saves a copy; it is worth a new one when what is handed out is most of it.
      this.#share = used >= SCRATCH_BYTES / 2
      scratch.read(used, this.#deliver)
      if (this.#shared) this.#scratch = new Scratch(SCRATCH_BYTES)
      this.#shared = false
      if (result < MORE) return
      // Many small records, which are work enough; what they have woken comes before the next.
      if (used < SCRATCH_BYTES / 2) round = MAX_ROUNDS - 1
    }
  }

  readonly #deliver = (kind: number, id: number, number: number, start: number, end: number): void => {
    const scratch = this.#scratch
    switch (kind) {
      case RECORD.data:
      case RECORD.data | ENDS:
        this.streams.get(id)?.received(this.#take(start, end), kind !== RECORD.data)
        break
      case RECORD.readEnd:
        this.streams.get(id)?.readEnded(number, end > start ? scratch.code(start) : 0)
        break
      case RECORD.twoWay:
      case RECORD.oneWay:
      case RECORD.twoWay | ENDS:
      case RECORD.oneWay | ENDS: {
        const first = end > start ? this.#take(start, end) : undefined
        this.connections.get(id)?.accepted(number, (kind & ~ENDS) === RECORD.twoWay, first, kind >= ENDS)
        break
      }
      case RECORD.opened:
        this.connections.get(id)?.opened(number)
        break
      case RECORD.drained:
        this.streams.get(id)?.drained()
        break
      case RECORD.writeEnd:
        this.streams.get(id)?.writeEnded(number, end > start ? scratch.code(start) : 0)
        break
      case RECORD.acknowledged:
        this.streams.get(id)?.settled(number, end > start ? scratch.code(start) : 0)
        break
      case RECORD.closed:
        this.connections.get(id)?.over(number, scratch.code(start), scratch.text(start, end, true))
        break
      case RECORD.acceptEnd:
        this.connections.get(id)?.acceptEnded()
        break
      case RECORD.datagram:
        this.connections.get(id)?.datagram(scratch.bytes.slice(start, end))
        break
      case RECORD.paths:
        this.connections.get(id)?.pathsChanged()
        break
      case RECORD.full:
        this.connections.get(id)?.filled()
        break
      case RECORD.incoming:
      case RECORD.incomingEarly: {
        const [peer, alpn] = [scratch.bytes.slice(start, start + 32), scratch.text(start + 32, end, false)]
        this.events?.incoming(number, peer, alpn, kind === RECORD.incomingEarly)
        break
      }
      case RECORD.confirmed:
        this.connections.get(id)?.confirmed()
        break
      case RECORD.address:
        this.events?.addressChanged()
        break
      case RECORD.done:
        this.#settle(id)?.done(number, end > start)
        break
      case RECORD.failed: {
        const hasCode = number === FAILURE.closedByPeer
        const closeCode = hasCode ? scratch.code(start) : 0
        this.#settle(id)?.failed({ kind: number, text: scratch.text(start, end, hasCode), closeCode })
        break
      }
    }
  }

  #settle(token: number): Pending | undefined {
    const pending = this.#pending.get(token)
    if (pending) this.revoke(token)
    return pending
  }

  #take(start: number, end: number): Uint8Array {
    const { bytes } = this.#scratch
    if (end - start <= Slab.MAX_BYTES) return this.#slab.copy(bytes, start, end)
    if (!this.#share || end - start < SHARED_BYTES) return bytes.slice(start, end)
    this.#shared = true
    return bytes.subarray(start, end)
  }
}
