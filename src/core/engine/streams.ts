/**
 * The streams of a connection: their numbers, what of them is still open, and the peer's aborts that concern them.
 *
 * @module
 */
import type { CarrierReceiveStream, CarrierSendStream, CarrierStream } from '../carrier.ts'
import type { P2PError } from '../errors.ts'
import type { P2PStream, WaitOptions } from '../stream.ts'
import { ReceiveHalf } from './receive-half.ts'
import { SendHalf } from './send-half.ts'
import type { ControlFrame } from './wire.ts'

/** Both halves, as the application has them. */
export class DuplexStream implements P2PStream {
  readonly #send: SendHalf
  readonly #receive: ReceiveHalf

  constructor(send: SendHalf, receive: ReceiveHalf) {
    this.#send = send
    this.#receive = receive
  }

  read(maxBytes?: number, options?: WaitOptions): Promise<Uint8Array | undefined> {
    return this.#receive.read(maxBytes, options)
  }

  readExactly(length: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#receive.readExactly(length, options)
  }

  readToEnd(limitBytes: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#receive.readToEnd(limitBytes, options)
  }

  stop(code?: number): void {
    this.#receive.stop(code)
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#receive.readable
  }

  write(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    return this.#send.write(bytes, options)
  }

  finish(): Promise<void> {
    return this.#send.finish()
  }

  reset(code?: number): void {
    this.#send.reset(code)
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#send.writable
  }

  onStopped(listener: (code: number) => void): Disposable {
    return this.#send.onStopped(listener)
  }

  /** Gives up both halves with one of the library's codes. */
  refuse(code: number): void {
    this.#receive.stopWith(code)
    this.#send.resetWith(code)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#receive[Symbol.asyncIterator]()
  }

  [Symbol.dispose](): void {
    if (!this.#send.done) this.#send.reset()
    if (!this.#receive.done) this.#receive.stop()
  }
}

/** What the table needs to know of its connection. */
export interface StreamTableOptions {
  readonly abortsBlockedStreams: boolean
  readonly grantDrainBytes: (bytes: number) => number
  readonly returnDrainBytes: (bytes: number) => void
  /** A receiving half has reached its end. */
  readonly drained: () => void
  /** Sends a frame; `blocked` says that the carrier alone may not be able to do what the frame says. */
  readonly control: (frame: ControlFrame, blocked: boolean) => void
  readonly sent: (bytes: number) => void
  readonly received: (bytes: number) => void
}

interface Entry {
  send: SendHalf | undefined
  receive: ReceiveHalf | undefined
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
  readonly #local = new Map<number, Entry>()
  readonly #remote = new Map<number, Entry>()
  readonly #earlyAborts = new Map<number, Abort[]>()
  /** Streams opened here whose header has not left, by number. */
  readonly #unannounced = new Map<number, SendHalf>()
  readonly #unacknowledged = new Set<Promise<void>>()
  #opened = 0
  #accepted = 0
  #seen = 0
  #openReceives = 0
  #openSends = 0

  constructor(options: StreamTableOptions) {
    this.#options = options
  }

  get opened(): number {
    return this.#opened
  }

  get accepted(): number {
    return this.#accepted
  }

  /** Whether a sending half is neither finished nor given up. */
  get sending(): boolean {
    return this.#openSends > 0
  }

  openBi(carrier: CarrierStream, header: (number: number) => Uint8Array | undefined): DuplexStream {
    const number = this.#opened++
    const entry = this.#entry(this.#local, number)
    entry.send = this.#sendHalf(entry, this.#local, number, carrier.send, header(number))
    entry.receive = this.#receiveHalf(entry, this.#local, number, carrier.receive, undefined)
    return new DuplexStream(entry.send, entry.receive)
  }

  openUni(carrier: CarrierSendStream, header: (number: number) => Uint8Array | undefined): SendHalf {
    const number = this.#opened++
    const entry = this.#entry(this.#local, number)
    entry.send = this.#sendHalf(entry, this.#local, number, carrier, header(number))
    return entry.send
  }

  /** A stream that the peer opened; `announced` is its number, undefined on protocols without numbers. */
  acceptBi(carrier: CarrierStream, announced: number | undefined, rest: Uint8Array | undefined): DuplexStream {
    const number = this.#arrived(announced)
    const entry = this.#entry(this.#remote, number)
    entry.send = this.#sendHalf(entry, this.#remote, number, carrier.send, undefined)
    entry.receive = this.#receiveHalf(entry, this.#remote, number, carrier.receive, rest)
    this.#applyEarlyAborts(number)
    return new DuplexStream(entry.send, entry.receive)
  }

  /** As `acceptBi`, one-way. */
  acceptUni(carrier: CarrierReceiveStream, announced: number | undefined, rest: Uint8Array | undefined): ReceiveHalf {
    const number = this.#arrived(announced)
    const entry = this.#entry(this.#remote, number)
    entry.receive = this.#receiveHalf(entry, this.#remote, number, carrier, rest)
    this.#applyEarlyAborts(number)
    return entry.receive
  }

  /** A stream of the peer was turned away before it became one here. */
  skipped(): void {
    this.#seen++
    this.#options.drained()
  }

  /** Whether all that the peer announced has come, and come to its end. */
  drained(announced: number): boolean {
    return this.#seen >= announced && this.#openReceives === 0
  }

  drainAll(): void {
    for (const entry of this.#entries()) entry.receive?.drain()
  }

  /** Finishes every sending half. One that the peer has stopped counts as finished: its bytes are not wanted. */
  async finishAll(): Promise<void> {
    await Promise.allSettled(this.#entries().flatMap((entry) => entry.send?.finish() ?? []))
  }

  /** Resolves when the peer's transport has everything that was finished. */
  async acknowledged(): Promise<void> {
    await Promise.all(this.#unacknowledged)
  }

  /** A control frame of the peer. */
  aborted(frame: { type: 'reset' | 'stop'; openedBySender: boolean; number: number; code: number }): void {
    const table = frame.openedBySender ? this.#remote : this.#local
    const entry = table.get(frame.number)
    if (entry) {
      this.#abort(entry, frame)
    } else if (frame.openedBySender && this.#earlyAborts.size < MAX_EARLY_ABORTS) {
      const aborts = this.#earlyAborts.get(frame.number) ?? []
      if (aborts.length < 2) this.#earlyAborts.set(frame.number, [...aborts, frame])
    }
  }

  connectionClosed(error: P2PError): void {
    this.#earlyAborts.clear()
    for (const entry of this.#entries()) {
      entry.send?.connectionClosed(error)
      entry.receive?.connectionClosed(error)
    }
  }

  #entries(): Entry[] {
    return [...this.#local.values(), ...this.#remote.values()]
  }

  #entry(table: Map<number, Entry>, number: number): Entry {
    const entry: Entry = { send: undefined, receive: undefined }
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
    const entry = this.#remote.get(number)
    const aborts = this.#earlyAborts.get(number)
    if (!entry || !aborts) return
    this.#earlyAborts.delete(number)
    for (const abort of aborts) this.#abort(entry, abort)
  }

  #forgetIfDone(entry: Entry, table: Map<number, Entry>, number: number): void {
    if ((entry.send?.done ?? true) && (entry.receive?.done ?? true) && table.get(number) === entry) table.delete(number)
  }

  #sendHalf(
    entry: Entry,
    table: Map<number, Entry>,
    number: number,
    carrier: CarrierSendStream,
    header: Uint8Array | undefined,
  ): SendHalf {
    this.#openSends++
    const openedBySender = table === this.#local
    const half: SendHalf = new SendHalf(
      carrier,
      {
        abortsBlockedStreams: this.#options.abortsBlockedStreams,
        sendDone: () => {
          this.#openSends--
          if (openedBySender) this.#unannounced.delete(number)
          this.#trackAcknowledgement(carrier)
          this.#forgetIfDone(entry, table, number)
        },
        sendReset: (code) => this.#options.control({ type: 'reset', openedBySender, number, code }, true),
        countSent: this.#options.sent,
        announcing: () => this.#announceUpTo(number),
      },
      header,
    )
    if (header) this.#unannounced.set(number, half)
    return half
  }

  /**
   * QUIC opens streams in order: the first byte on one makes the peer see every earlier one, which would then be
   * silent and time out there. So those that have said nothing yet say their header.
   */
  #announceUpTo(number: number): void {
    this.#unannounced.delete(number)
    for (const [earlier, half] of this.#unannounced) {
      if (earlier > number) return
      half.announce()
    }
  }

  /** As `#announceUpTo`, before the first byte of a stream that is not in this table. */
  announceAll(): void {
    this.#announceUpTo(this.#opened)
  }

  #trackAcknowledgement(carrier: CarrierSendStream): void {
    const acknowledged = carrier.acknowledged?.().catch(() => {})
    if (!acknowledged) return
    this.#unacknowledged.add(acknowledged)
    void acknowledged.then(() => this.#unacknowledged.delete(acknowledged))
  }

  #receiveHalf(
    entry: Entry,
    table: Map<number, Entry>,
    number: number,
    carrier: CarrierReceiveStream,
    rest: Uint8Array | undefined,
  ): ReceiveHalf {
    this.#openReceives++
    const openedBySender = table === this.#local
    return new ReceiveHalf(
      carrier,
      {
        abortsBlockedStreams: this.#options.abortsBlockedStreams,
        grantDrainBytes: this.#options.grantDrainBytes,
        returnDrainBytes: this.#options.returnDrainBytes,
        receiveDone: () => {
          this.#openReceives--
          this.#forgetIfDone(entry, table, number)
          this.#options.drained()
        },
        sendStop: (code, blocked) => this.#options.control({ type: 'stop', openedBySender, number, code }, blocked),
        countReceived: this.#options.received,
      },
      rest,
    )
  }
}
