/**
 * The streams of a connection: their numbers, what of them is still open, and the peer's aborts that concern them.
 *
 * @module
 */
import type { CarrierReceiveStream, CarrierSendStream, CarrierStream } from '../carrier.ts'
import { P2PError } from '../errors.ts'
import { NumberMap } from '../number-map.ts'
import type { WaitScope } from '../wait-log.ts'
import { DuplexStream } from './duplex-stream.ts'
import { ReceiveHalf } from './receive-half.ts'
import type { ReceiveHost } from './receive-half.ts'
import { SendHalf } from './send-half.ts'
import type { SendHost } from './send-half.ts'
import { encodeStreamHeader } from './wire.ts'
import type { ControlFrame } from './wire.ts'

/** What the table needs to know of its connection. */
export interface StreamTableOptions {
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly abortsBlockedStreams: boolean
  /** The code that streams are reset with when they come after this side has ended. */
  readonly endedCode: number
  /** Whether to note what the transport says about the arrival of finished streams. */
  readonly tracksDelivery: boolean
  readonly grantDrainBytes: (bytes: number) => number
  readonly returnDrainBytes: (bytes: number) => void
  /** A receiving half has reached its end. */
  readonly drained: () => void
  /** Sends a frame; `blocked` says that the carrier alone may not be able to do what the frame says. */
  readonly control: (frame: ControlFrame, blocked: boolean) => void
  readonly sent: (bytes: number) => void
  readonly received: (bytes: number) => void
}

/** What the halves of one stream have in common, and what they tell the table. */
class Entry implements SendHost, ReceiveHost {
  send: SendHalf | undefined
  receive: ReceiveHalf | undefined
  readonly #table: StreamTable
  readonly #options: StreamTableOptions
  readonly #number: number
  /** Whether this side has opened it. */
  readonly #isLocal: boolean

  constructor(table: StreamTable, options: StreamTableOptions, number: number, isLocal: boolean) {
    this.#table = table
    this.#options = options
    this.#number = number
    this.#isLocal = isLocal
  }

  get waits(): WaitScope | undefined {
    return this.#options.waits
  }

  get abortsBlockedStreams(): boolean {
    return this.#options.abortsBlockedStreams
  }

  get isDone(): boolean {
    return (this.send?.done ?? true) && (this.receive?.done ?? true)
  }

  sendDone(finished: boolean): void {
    this.#table.sendDone(this, this.#number, this.#isLocal, finished)
  }

  sendReset(code: number): void {
    this.#options.control({ type: 'reset', openedBySender: this.#isLocal, number: this.#number, code }, true)
  }

  countSent(bytes: number): void {
    this.#options.sent(bytes)
  }

  announcing(): void {
    if (this.#isLocal) this.#table.announceUpTo(this.#number)
  }

  grantDrainBytes(bytes: number): number {
    return this.#options.grantDrainBytes(bytes)
  }

  returnDrainBytes(bytes: number): void {
    this.#options.returnDrainBytes(bytes)
  }

  receiveDone(): void {
    this.#table.receiveDone(this, this.#number, this.#isLocal)
  }

  sendStop(code: number, blocked: boolean): void {
    this.#options.control({ type: 'stop', openedBySender: this.#isLocal, number: this.#number, code }, blocked)
  }

  countReceived(bytes: number): void {
    this.#options.received(bytes)
  }
}

interface Abort {
  readonly type: 'reset' | 'stop'
  readonly code: number
}

/** Aborts that may be kept for streams whose first byte is still under way. */
const MAX_EARLY_ABORTS = 256

/** All streams but messages and control. */
export class StreamTable {
  readonly #options: StreamTableOptions
  /** By who opened them, then by number, in the order of opening. */
  readonly #local = new NumberMap<Entry>()
  readonly #remote = new NumberMap<Entry>()
  #earlyAborts: Map<number, Abort[]> | undefined
  /** The peer has heard, or is about to, of the streams opened here with lower numbers, and of no others. */
  #announced = 0
  /** The carrier's streams whose delivery is to be tracked. */
  #carriers: Map<Entry, CarrierSendStream> | undefined
  #undelivered: Set<Promise<boolean>> | undefined
  #opened = 0
  #accepted = 0
  #seen = 0
  #openReceives = 0
  #draining = false
  #answering = true
  #closed: { readonly error: P2PError; readonly local: boolean } | undefined

  constructor(options: StreamTableOptions) {
    this.#options = options
  }

  get opened(): number {
    return this.#opened
  }

  get accepted(): number {
    return this.#accepted
  }

  /** @param kind what its header says it is; undefined where there are no headers */
  openBi(carrier: CarrierStream, kind: number | undefined): DuplexStream {
    const number = this.#opened++
    const entry = this.#entry(this.#local, number)
    const send = this.#opening(entry, number, carrier.send, kind)
    return new DuplexStream(send, this.#receiveHalf(entry, carrier.receive, undefined))
  }

  /** As `openBi`. */
  openUni(carrier: CarrierSendStream, kind: number | undefined): SendHalf {
    const number = this.#opened++
    return this.#opening(this.#entry(this.#local, number), number, carrier, kind)
  }

  /** A stream that the peer opened; `announced` is its number, undefined on protocols without numbers. */
  acceptBi(carrier: CarrierStream, announced: number | undefined, rest: Uint8Array | undefined): DuplexStream {
    const number = this.#arrived(announced)
    const entry = this.#entry(this.#remote, number)
    const send = (entry.send = new SendHalf(carrier.send, entry))
    if (this.#options.tracksDelivery) this.#trackCarrier(entry, carrier.send)
    const receive = this.#receiveHalf(entry, carrier.receive, rest)
    this.#applyEarlyAborts(number)
    // END has promised that nothing more will be sent; an end without a reset would look like an empty answer.
    if (!this.#answering) send.resetWith(this.#options.endedCode)
    this.#tellClosed(entry)
    return new DuplexStream(send, receive)
  }

  /** As `acceptBi`, one-way. */
  acceptUni(carrier: CarrierReceiveStream, announced: number | undefined, rest: Uint8Array | undefined): ReceiveHalf {
    const number = this.#arrived(announced)
    const entry = this.#entry(this.#remote, number)
    const receive = this.#receiveHalf(entry, carrier, rest)
    this.#applyEarlyAborts(number)
    this.#tellClosed(entry)
    return receive
  }

  /** A stream of the peer was turned away before it became one here. */
  skipped(): void {
    this.#seen++
    this.#options.drained()
  }

  /** Whether all that the peer announced has come, and come to its end. */
  drained(announced: number): boolean {
    let receiving = this.#openReceives
    // The peer has not heard of these, so nothing can come on them.
    for (let number = this.#announced; number < this.#opened; number++) {
      const entry = this.#local.get(number)
      if (entry?.send?.done === false && entry.receive?.done === false) receiving--
    }
    return this.#seen >= announced && receiving === 0
  }

  /** Reads every stream, now there or to come, into memory, as far as bytes are granted. */
  drainAll(): void {
    this.#draining = true
    for (const entry of this.#entries()) entry.receive?.drain()
  }

  /**
   * Finishes every sending half; streams that the peer opens from now on are not answered. A half that the peer has
   * stopped counts as finished: its bytes are not wanted.
   */
  async finishAll(): Promise<void> {
    this.#answering = false
    await Promise.allSettled(this.#entries().flatMap((entry) => entry.send?.finish() ?? []))
  }

  /** Gives up every sending half that the application is still writing. */
  cutUnfinished(error: P2PError): void {
    for (const entry of this.#entries()) entry.send?.cut(this.#options.endedCode, error)
  }

  /** Resolves with whether the peer's transport has everything that was finished and that it has not stopped. */
  async delivered(): Promise<boolean> {
    return !this.#undelivered || (await Promise.all(this.#undelivered)).every(Boolean)
  }

  /** A control frame of the peer. */
  aborted(frame: { type: 'reset' | 'stop'; openedBySender: boolean; number: number; code: number }): void {
    const table = frame.openedBySender ? this.#remote : this.#local
    const entry = table.get(frame.number)
    if (entry) {
      this.#abort(entry, frame)
    } else if (frame.openedBySender) {
      const early = (this.#earlyAborts ??= new Map())
      const aborts = early.get(frame.number) ?? []
      if (aborts.length < 2) early.set(frame.number, [...aborts, frame])
      if (early.size <= MAX_EARLY_ABORTS) return
      // The oldest is the likeliest to concern a stream that has come and gone.
      const [oldest] = early.keys()
      if (oldest !== undefined) early.delete(oldest)
    }
  }

  /** The connection is over; streams that are accepted even so, because they had arrived before, learn it too. */
  connectionClosed(error: P2PError, local: boolean): void {
    this.#closed = { error, local }
    this.#earlyAborts = undefined
    for (const entry of this.#entries()) this.#tellClosed(entry)
  }

  #tellClosed({ send, receive }: Entry): void {
    if (!this.#closed) return
    const { error, local } = this.#closed
    send?.connectionClosed(error)
    receive?.connectionClosed(error, local)
  }

  #entries(): Entry[] {
    return [...this.#local.values(), ...this.#remote.values()]
  }

  #entry(table: NumberMap<Entry>, number: number): Entry {
    const entry = new Entry(this, this.#options, number, table === this.#local)
    table.set(number, entry)
    return entry
  }

  #arrived(announced: number | undefined): number {
    const number = announced ?? this.#seen
    this.#seen++
    this.#accepted++
    return number
  }

  #abort(entry: Entry, abort: Abort): void {
    if (abort.type === 'reset') entry.receive?.resetByPeer(abort.code)
    else entry.send?.stopByPeer(abort.code)
  }

  #applyEarlyAborts(number: number): void {
    const aborts = this.#earlyAborts?.get(number)
    const entry = aborts && this.#remote.get(number)
    if (!entry) return
    this.#earlyAborts?.delete(number)
    for (const abort of aborts) this.#abort(entry, abort)
  }

  #forgetIfDone(entry: Entry, number: number, isLocal: boolean): void {
    const table = isLocal ? this.#local : this.#remote
    if (entry.isDone && table.get(number) === entry) table.delete(number)
  }

  /** @internal A sending half was finished, or given up. */
  sendDone(entry: Entry, number: number, isLocal: boolean, finished: boolean): void {
    if (this.#options.tracksDelivery) {
      const carrier = this.#carriers?.get(entry)
      this.#carriers?.delete(entry)
      if (finished && carrier) this.#trackDelivery(carrier)
    }
    this.#forgetIfDone(entry, number, isLocal)
  }

  /** @internal A receiving half has come to its end. */
  receiveDone(entry: Entry, number: number, isLocal: boolean): void {
    this.#openReceives--
    this.#forgetIfDone(entry, number, isLocal)
    this.#options.drained()
  }

  #opening(entry: Entry, number: number, carrier: CarrierSendStream, kind: number | undefined): SendHalf {
    const header = kind === undefined ? undefined : encodeStreamHeader(kind, number)
    const half = new SendHalf(carrier, entry, header)
    entry.send = half
    if (this.#options.tracksDelivery) this.#trackCarrier(entry, carrier)
    return half
  }

  /**
   * QUIC opens streams in order: the first byte on one makes the peer see every earlier one, which would then be
   * silent and time out there. So those that have said nothing yet say their header.
   *
   * @internal
   */
  announceUpTo(number: number): void {
    this.#announceBefore(number)
    if (this.#announced === number) this.#announced++
  }

  #announceBefore(number: number): void {
    while (this.#announced < number) this.#local.get(this.#announced++)?.send?.announce()
  }

  /** As `announceUpTo`, before the first byte of a stream that is not in this table. */
  announceAll(): void {
    this.#announceBefore(this.#opened)
  }

  #trackCarrier(entry: Entry, carrier: CarrierSendStream): void {
    ;(this.#carriers ??= new Map()).set(entry, carrier)
  }

  #trackDelivery(carrier: CarrierSendStream): void {
    const delivered = carrier.acknowledged?.().then(
      () => true,
      (error: unknown) => P2PError.is(error, 'stream-stopped'),
    )
    if (!delivered) return
    const undelivered = (this.#undelivered ??= new Set())
    undelivered.add(delivered)
    void delivered.then((yes) => yes && undelivered.delete(delivered))
  }

  #receiveHalf(entry: Entry, carrier: CarrierReceiveStream, rest: Uint8Array | undefined): ReceiveHalf {
    this.#openReceives++
    const half = new ReceiveHalf(carrier, entry, rest)
    entry.receive = half
    if (this.#draining) half.drain()
    return half
  }
}
