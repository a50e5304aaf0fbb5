/**
 * A stream over the addon: both halves. Writes are copied at once and resolve at once while the addon holds little; what
 * the peer sends comes unasked, as far as there is room.
 *
 * @module
 */
import type {
  CarrierClose,
  CarrierReader,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
} from '../../core/carrier.ts'
import { ByteQueue } from '../../core/byte-queue.ts'
import { concatBytes } from '../../core/encoding.ts'
import type { P2PError } from '../../core/errors.ts'
import type { Linked } from '../../core/linked-list.ts'
import { closeError, streamErrors } from '../errors.ts'
import { MAX_PACKED_BYTES } from './batch.ts'
import type { NativeConnection } from './connection.ts'
import type { NativeDoor } from './door.ts'
import { HALF_END } from './records.ts'

/** Larger writes go in pieces of this size; a frame of 64 KiB is one. */
const PIECE_BYTES = 98_304

/** Bytes that the addon may hold before the transport takes them. */
const HELD_BYTES = 524_288

/** It tells when it has passed on as many, half of what it may hold: each time wakes JavaScript. */
const TOLD_BYTES = 262_144

/** Bytes taken from a stream before the addon is told that there is room again; it sends 262144 ahead. */
const ROOM_BYTES = 65_536

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** One stream; of a one-way one only half is used. */
export class NativeStream implements CarrierStream, CarrierSendStream, CarrierReceiveStream, Linked<NativeStream> {
  older: NativeStream | undefined
  newer: NativeStream | undefined
  readonly handle: number
  readonly #connection: NativeConnection
  readonly #door: NativeDoor
  #sending: 'open' | 'finished' | P2PError
  #stopCode: number | undefined
  #heldBytes = 0
  #untoldBytes = 0
  /** How many bytes each answer that is awaited stands for. */
  #told: number[] | undefined
  #writer: Waiting<void> | undefined
  #delivery: 'unknown' | 'arrived' | P2PError = 'unknown'
  #confirming: Waiting<void>[] | undefined
  #receiving: 'open' | 'ended' | 'lost' | P2PError
  readonly #arrived = new ByteQueue()
  #takenBytes = 0
  #watcher: CarrierReader | undefined
  #reader: (Waiting<Uint8Array | undefined> & { readonly maxBytes: number }) | undefined

  constructor(handle: number, connection: NativeConnection, sends: boolean, receives: boolean) {
    this.handle = handle
    this.#connection = connection
    this.#door = connection.door
    this.#sending = sends ? 'open' : 'finished'
    this.#receiving = receives ? 'open' : 'ended'
    this.#delivery = sends ? 'unknown' : 'arrived'
  }

  get send(): CarrierSendStream {
    return this
  }

  get receive(): CarrierReceiveStream {
    return this
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.writeNow(bytes)
  }

  writeNow(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#sending !== 'open') return Promise.reject(this.#sendError())
    const plain = bytes.buffer instanceof SharedArrayBuffer ? Uint8Array.from(bytes) : bytes
    if (plain.length > PIECE_BYTES || this.#heldBytes >= HELD_BYTES) return this.#writePieces(plain)
    this.#push(plain)
    return undefined
  }

  writeBehindNow(head: Uint8Array, bytes: Uint8Array): Promise<void> | undefined {
    const length = head.length + bytes.length
    const packs = length <= MAX_PACKED_BYTES && this.#sending === 'open' && this.#heldBytes < HELD_BYTES
    if (!packs || bytes.buffer instanceof SharedArrayBuffer) return this.writeNow(concatBytes([head, bytes]))
    this.#door.batch.write(this.handle, bytes, this.#hold(length), head)
    return undefined
  }

  async finish(): Promise<void> {
    await this.finishNow()
  }

  finishNow(): Promise<void> | undefined {
    if (this.#stopCode !== undefined) return undefined
    if (this.#sending !== 'open') return Promise.reject(this.#sendError())
    const { tracksDelivery } = this.#connection
    this.#door.batch.finish(this.handle, tracksDelivery)
    this.#sending = 'finished'
    if (!tracksDelivery) this.#retire()
    return undefined
  }

  reset(code: number): void {
    if (this.#sending !== 'open') return
    this.#door.batch.reset(this.handle, code)
    this.#endSending(streamErrors.finished())
  }

  async acknowledged(): Promise<void> {
    if (this.#stopCode !== undefined) throw streamErrors.stoppedByPeer(this.#stopCode)
    if (this.#sending !== 'finished') throw this.#sending === 'open' ? streamErrors.unfinished() : this.#sending
    if (this.#delivery === 'arrived') return
    if (this.#delivery !== 'unknown') throw this.#delivery
    await new Promise<void>((resolve, reject) => {
      this.#confirming ??= []
      this.#confirming.push({ resolve, reject })
    })
  }

  read(maxBytes: number): Promise<Uint8Array | undefined> {
    const now = this.readNow(maxBytes)
    if (now !== undefined) return Promise.resolve(now ?? undefined)
    if (typeof this.#receiving === 'object') return Promise.reject(this.#receiving)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject, maxBytes }
    })
  }

  readNow(maxBytes: number): Uint8Array | null | undefined {
    return this.#take(maxBytes) ?? (this.#receiving === 'ended' ? null : undefined)
  }

  whenReadable(reader: CarrierReader): boolean {
    if (this.#arrived.length > 0 || this.#receiving !== 'open') return false
    this.#watcher = reader
    return true
  }

  stop(code: number): void {
    if (this.#receiving !== 'open' && this.#receiving !== 'lost') {
      this.#arrived.clear()
      return
    }
    this.#door.batch.stop(this.handle, code)
    this.#arrived.clear()
    this.#endReceiving(streamErrors.stoppedHere(code))
  }

  /** The transport has taken the oldest bytes that it was to tell of. For the door, as those below. */
  drained(): void {
    this.#heldBytes -= this.#told?.shift() ?? 0
    if (this.#heldBytes >= HELD_BYTES) return
    this.#writer?.resolve()
    this.#writer = undefined
  }

  writeEnded(how: number, code: number): void {
    // When the connection is over `connectionOver` comes too, with the reason.
    if (how !== HALF_END.byPeer) return
    this.#stopCode = code
    if (this.#sending === 'open') this.#endSending(streamErrors.stoppedByPeer(code))
  }

  settled(how: number, code: number): void {
    if (how === HALF_END.lost) return
    if (how === HALF_END.byPeer) this.#stopCode = code
    this.#deliver(how === HALF_END.clean ? 'arrived' : streamErrors.stoppedByPeer(code))
  }

  /** `ends` says that these bytes are the last. */
  received(chunk: Uint8Array, ends: boolean): void {
    if (this.#receiving !== 'open') return
    this.#arrived.push(chunk)
    if (ends) this.#receiving = 'ended'
    const reader = this.#reader
    const taken = reader && this.#take(reader.maxBytes)
    if (taken) {
      this.#reader = undefined
      reader.resolve(taken)
    }
    if (ends) this.#endReceiving('ended')
    else this.#tellWatcher()
  }

  readEnded(how: number, code: number): void {
    if (this.#receiving !== 'open') return
    if (how === HALF_END.byPeer) {
      this.#endReceiving(streamErrors.resetByPeer(code))
    } else if (how === HALF_END.clean) {
      this.#endReceiving('ended')
    } else {
      this.#receiving = 'lost'
      const { ending } = this.#connection
      if (ending) this.#endReceiving(closeError(ending))
    }
  }

  /** The connection is over; what had arrived before still comes, unless this side has ended it. */
  connectionOver(close: CarrierClose, local: boolean): void {
    const error = closeError(close)
    if (this.#sending === 'open') this.#endSending(error)
    if (this.#delivery === 'unknown') this.#deliver(error)
    if (local) this.#arrived.clear()
    if (this.#receiving === 'lost' || (local && this.#receiving === 'open')) this.#endReceiving(error)
  }

  /** Tells the addon what was taken. */
  tell(): void {
    if (this.#takenBytes === 0 || this.#receiving !== 'open') return
    this.#door.batch.readMore(this.handle, this.#takenBytes)
    this.#takenBytes = 0
  }

  async #writePieces(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      while (this.#heldBytes >= HELD_BYTES) {
        await new Promise<void>((resolve, reject) => {
          this.#writer = { resolve, reject }
        })
        if (this.#sending !== 'open') throw this.#sendError()
      }
      this.#push(bytes.subarray(start, start + PIECE_BYTES))
    }
  }

  #sendError(): P2PError {
    return typeof this.#sending === 'object' ? this.#sending : streamErrors.finished()
  }

  /** Counts what the addon holds; whether it is to tell when it has passed it on. */
  #hold(length: number): boolean {
    this.#heldBytes += length
    this.#untoldBytes += length
    if (this.#untoldBytes < TOLD_BYTES) return false
    this.#told ??= []
    this.#told.push(this.#untoldBytes)
    this.#untoldBytes = 0
    return true
  }

  #push(bytes: Uint8Array): void {
    const tell = this.#hold(bytes.length)
    if (bytes.length <= MAX_PACKED_BYTES) {
      this.#door.batch.write(this.handle, bytes, tell)
    } else {
      this.#door.batch.flush()
      this.#door.addon.write(this.#door.context, this.handle, bytes, tell)
    }
  }

  /** What waits, at most `maxBytes` of it; undefined where nothing does. */
  #take(maxBytes: number): Uint8Array | undefined {
    const taken = this.#arrived.shift(maxBytes)
    if (!taken) return undefined
    this.#takenBytes += taken.length
    if (this.#takenBytes >= ROOM_BYTES || this.#connection.isFull) this.tell()
    return taken
  }

  #endSending(error: P2PError): void {
    this.#sending = error
    this.#writer?.reject(error)
    this.#writer = undefined
    this.#deliver(error)
  }

  #deliver(delivery: 'arrived' | P2PError): void {
    this.#delivery = delivery
    const confirming = this.#confirming ?? []
    this.#confirming = undefined
    for (const waiting of confirming) {
      if (delivery === 'arrived') waiting.resolve()
      else waiting.reject(delivery)
    }
    this.#retire()
  }

  #endReceiving(end: 'ended' | P2PError): void {
    this.#receiving = end
    const reader = this.#reader
    this.#reader = undefined
    if (end === 'ended') reader?.resolve(undefined)
    else reader?.reject(end)
    this.#retire()
    this.#tellWatcher()
  }

  #tellWatcher(): void {
    const watcher = this.#watcher
    this.#watcher = undefined
    watcher?.onReadable()
  }

  /** Nothing comes from the addon any more once both halves are over. */
  #retire(): void {
    if (this.#receiving === 'open' || this.#receiving === 'lost' || this.#sending === 'open') return
    if (this.#sending === 'finished' && this.#delivery === 'unknown' && this.#connection.tracksDelivery) return
    this.#connection.forget(this)
  }
}
