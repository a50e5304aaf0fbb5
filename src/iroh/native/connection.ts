/**
 * A connection over the addon.
 *
 * @module
 */
import type {
  CarrierClose,
  CarrierPackets,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
} from '../../core/carrier.ts'
import type { P2PPath } from '../../core/connection.ts'
import { LinkedList } from '../../core/linked-list.ts'
import type { NodeId } from '../../core/node-id.ts'
import { P2P_ALPN } from '../../core/system.ts'
import type { IrohCarrierConnection } from '../binding.ts'
import { closeError, streamErrors } from '../errors.ts'
import type { NativeDoor } from './door.ts'
import { closeOf } from './errors.ts'
import { HALF_END } from './records.ts'
import { NativeStream } from './stream.ts'

/** Streams that may wait to be opened by the transport; whoever wants more waits. */
const MAX_OPENING = 256

/** The addon accepts 256 ahead, and is told in lots. */
const ACCEPT_LOT = 64

/** Datagrams that are asked for at a time, once somebody reads them. */
const DATAGRAM_LOT = 32

const UNSUPPORTED = 3
const TOO_LARGE = 2

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** What waits to be taken, and who waits for it. */
class Inbox<T> {
  readonly values: T[] = []
  readonly #waiting: Waiting<T>[] = []

  /** Whether somebody had waited for it. */
  push(value: T): boolean {
    const next = this.#waiting.shift()
    if (next) next.resolve(value)
    else this.values.push(value)
    return next !== undefined
  }

  wait(): Promise<T> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  fail(error: unknown): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
  }
}

/** One connection. */
export class NativeConnection implements IrohCarrierConnection {
  readonly remoteId: NodeId
  readonly alpn: string
  readonly closed: Promise<CarrierClose>
  readonly door: NativeDoor
  /** Whether the addon tells when what was finished has arrived; on our own protocol the peer's library does. */
  readonly tracksDelivery: boolean
  /** Whether as much has waited here as may; from then on every stream tells what it takes at once. */
  isFull = false
  readonly #handle: number
  readonly #streams = new LinkedList<NativeStream>()
  readonly #twoWay = new Inbox<NativeStream>()
  readonly #oneWay = new Inbox<NativeStream>()
  readonly #datagrams = new Inbox<Uint8Array>()
  #taken = { twoWay: 0, oneWay: 0 }
  #wakeBi: (() => void) | undefined
  #datagramRoom = 0
  #opening = 0
  readonly #openers: Waiting<void>[] = []
  readonly #pathListeners = new Set<() => void>()
  #close: CarrierClose | undefined
  #held = true
  /** Nothing comes from the addon any more. */
  #ended = false
  #resolveClosed!: (close: CarrierClose) => void

  /** Set while the handshake is not complete. */
  handshake: Promise<void> | undefined
  #resolveHandshake: (() => void) | undefined

  /** @param early whether the handshake is not complete */
  constructor(handle: number, door: NativeDoor, remoteId: NodeId, alpn: string, early: boolean) {
    this.#handle = handle
    this.door = door
    this.remoteId = remoteId
    this.alpn = alpn
    this.tracksDelivery = alpn !== P2P_ALPN
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    if (early) {
      this.handshake = new Promise((resolve) => {
        this.#resolveHandshake = resolve
      })
    }
    door.connections.set(handle, this)
    door.hold()
  }

  /** How it ended, if it has. */
  get ending(): CarrierClose | undefined {
    return this.#close
  }

  openBi(early = false): Promise<CarrierStream> {
    return this.#open(true, early)
  }

  openBiNow(early = false): CarrierStream | undefined {
    return this.#openNow(true, early)
  }

  openUni(): Promise<CarrierSendStream> {
    return this.#open(false, false)
  }

  acceptBi(): Promise<CarrierStream> {
    return this.#accept(this.#twoWay, 'twoWay')
  }

  acceptBiNow(): CarrierStream | undefined {
    return this.#acceptNow(this.#twoWay, 'twoWay')
  }

  whenBi(wake: () => void): boolean {
    if (this.#ended) return false
    if (this.#twoWay.values.length > 0) void Promise.resolve().then(wake)
    else this.#wakeBi = wake
    return true
  }

  acceptUni(): Promise<CarrierReceiveStream> {
    return this.#accept(this.#oneWay, 'oneWay')
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.#close) throw closeError(this.#close)
    const answer = this.door.addon.sendDatagram(this.door.context, this.#handle, bytes)
    if (answer === 0) return
    if (answer === TOO_LARGE) throw streamErrors.datagramTooLarge(bytes.length, this.maxDatagramBytes())
    if (answer === UNSUPPORTED) throw streamErrors.datagramFailed()
    // It is over, which will be told in a moment; until then it is as good as lost on the way.
  }

  async readDatagram(): Promise<Uint8Array> {
    const { values } = this.#datagrams
    const waiting = values.shift()
    if (waiting) return waiting
    if (this.#ended && this.#close) throw closeError(this.#close)
    if (this.#datagramRoom === 0) {
      this.#datagramRoom = DATAGRAM_LOT
      this.door.batch.acceptMore(this.#handle, 'moreDatagrams', DATAGRAM_LOT)
    }
    return this.#datagrams.wait()
  }

  maxDatagramBytes(): number {
    return this.#close ? 0 : this.door.addon.maxDatagramSize(this.door.context, this.#handle)
  }

  close(code: number, reason: string): void {
    if (this.#close) return
    this.door.batch.flush()
    this.door.addon.closeConnection(this.door.context, this.#handle, code, new TextEncoder().encode(reason))
    this.#end({ closeCode: code, reason, by: 'local' })
    this.acceptEnded()
  }

  paths(): readonly P2PPath[] {
    if (this.#close) return []
    return this.door.addon
      .paths(this.door.context, this.#handle)
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [kind, remote = '', selected, rttUs] = line.split(' ')
        return {
          kind: kind === 'relay' ? 'relay' : 'direct',
          remote,
          selected: selected === 'selected',
          rttMs: Number(rttUs) / 1000,
        }
      })
  }

  packets(): CarrierPackets | undefined {
    const [sent, , lost] = this.#close ? [] : this.door.addon.stats(this.door.context, this.#handle)
    return sent === undefined || lost === undefined ? undefined : { sent, lost }
  }

  onPathChange(listener: () => void): Disposable {
    // An object of its own, so that one listener given twice is called twice.
    const entry = (): void => listener()
    if (!this.#close) {
      if (this.#pathListeners.size === 0) this.door.addon.watchPaths(this.door.context, this.#handle)
      this.#pathListeners.add(entry)
    }
    return { [Symbol.dispose]: () => void this.#pathListeners.delete(entry) }
  }

  background(): void {
    this.#release()
  }

  /** A stream that the peer has opened. For the door, as those below. */
  accepted(handle: number, twoWay: boolean, first: Uint8Array | undefined, ends: boolean): void {
    const stream = new NativeStream(handle, this, twoWay, true)
    this.#keep(stream)
    if (this.#close) stream.connectionOver(this.#close, false)
    if (first) stream.received(first, ends)
    else if (ends) stream.readEnded(HALF_END.clean, 0)
    const inbox = twoWay ? this.#twoWay : this.#oneWay
    if (inbox.push(stream)) this.#tookOne(twoWay ? 'twoWay' : 'oneWay')
    if (twoWay) this.#wake()
  }

  /** The handshake is complete. */
  confirmed(): void {
    this.handshake = undefined
    this.#resolveHandshake?.()
  }

  opened(count: number): void {
    this.#opening -= count
    for (const opener of this.#openers.splice(0, count)) opener.resolve()
  }

  datagram(bytes: Uint8Array): void {
    this.#datagramRoom--
    this.#datagrams.push(bytes)
  }

  pathsChanged(): void {
    for (const listener of this.#pathListeners) listener()
  }

  /** The addon reads on only when it hears what was taken, be it little. */
  filled(): void {
    this.isFull = true
    for (const stream of this.#streams.members()) stream.tell()
  }

  /** The transport says that it is over. */
  over(by: number, code: number, reason: string): void {
    if (!this.#close) this.#end(closeOf(by, code, reason))
  }

  /** Nothing that had arrived is left. */
  acceptEnded(): void {
    if (!this.#close || this.#ended) return
    this.#ended = true
    this.door.connections.delete(this.#handle)
    const error = closeError(this.#close)
    for (const inbox of [this.#twoWay, this.#oneWay, this.#datagrams]) inbox.fail(error)
    this.#wake()
    this.#release()
  }

  forget(stream: NativeStream): void {
    this.#streams.delete(stream)
    this.door.streams.delete(stream.handle)
  }

  #wake(): void {
    const wake = this.#wakeBi
    this.#wakeBi = undefined
    wake?.()
  }

  #keep(stream: NativeStream): void {
    this.#streams.push(stream)
    this.door.streams.set(stream.handle, stream)
  }

  async #open(twoWay: boolean, early: boolean): Promise<NativeStream> {
    for (;;) {
      if (this.#close) throw closeError(this.#close)
      const stream = this.#openNow(twoWay, early)
      if (stream) return stream
      await new Promise<void>((resolve, reject) => {
        this.#openers.push({ resolve, reject })
      })
    }
  }

  /** Undefined when too many wait to be opened, or it is over. */
  #openNow(twoWay: boolean, early: boolean): NativeStream | undefined {
    if (this.#close || this.#opening >= MAX_OPENING) return undefined
    const handle = this.door.streamHandle()
    this.#opening++
    this.door.batch.open(this.#handle, handle, twoWay, this.#opening === MAX_OPENING, early)
    const stream = new NativeStream(handle, this, true, twoWay)
    this.#keep(stream)
    return stream
  }

  #accept(inbox: Inbox<NativeStream>, kind: 'twoWay' | 'oneWay'): Promise<NativeStream> {
    const waiting = this.#acceptNow(inbox, kind)
    if (waiting) return Promise.resolve(waiting)
    if (this.#ended && this.#close) return Promise.reject(closeError(this.#close))
    return inbox.wait()
  }

  #acceptNow(inbox: Inbox<NativeStream>, kind: 'twoWay' | 'oneWay'): NativeStream | undefined {
    const stream = inbox.values.shift()
    if (stream) this.#tookOne(kind)
    return stream
  }

  /** The addon is told in lots that there is room for more. */
  #tookOne(kind: 'twoWay' | 'oneWay'): void {
    const taken = ++this.#taken[kind]
    if (taken !== ACCEPT_LOT || this.#close) return
    this.#taken[kind] = 0
    this.door.batch.acceptMore(this.#handle, kind === 'twoWay' ? 'moreTwoWay' : 'moreOneWay', ACCEPT_LOT)
  }

  #end(close: CarrierClose): void {
    this.#close = close
    this.#resolveHandshake?.()
    this.#pathListeners.clear()
    const error = closeError(close)
    for (const opener of this.#openers.splice(0)) opener.reject(error)
    const local = close.by === 'local'
    for (const stream of this.#streams.members()) stream.connectionOver(close, local)
    if (local) {
      this.#twoWay.values.length = 0
      this.#oneWay.values.length = 0
      this.#datagrams.values.length = 0
    }
    this.#resolveClosed(close)
  }

  #release(): void {
    if (!this.#held) return
    this.#held = false
    this.door.release()
  }
}
