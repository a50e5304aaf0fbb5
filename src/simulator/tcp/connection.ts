/**
 * One end of a TCP connection (RFC 9293) over the virtual internet: a reliable stream of messages in order, in which one
 * that is lost holds up all behind it. Driven by the kernel: it costs no events while nothing is under way.
 *
 * @module
 */
import type { Kernel, KernelTimer } from '../kernel.ts'
import { powerOfTwo } from '../power-of-two.ts'
import { TcpReceiver } from './receiver.ts'
import { ACK, FIN, NO_SACKS, RST, SYN, TcpSegment } from './segment.ts'
import type { TcpMessage } from './segment.ts'
import { TcpSender } from './sender.ts'

/** What a connection needs of the world. */
export interface TcpHost {
  readonly kernel: Kernel
  /** Puts a segment on the wire. */
  transmit(segment: TcpSegment): void
  /** The handshake is done. */
  onOpen(): void
  /** A message has arrived, all before it having arrived too. */
  onMessage(payload: unknown): void
  /** There is room for more after `write` had said that there was none. */
  onWritable(): void
  /** It is over, by the peer or because the peer is gone; not after `close` and `abort`. */
  onClosed(reason: TcpEnd): void
}

/** Why a connection is over: refused or reset; ended in order; no answer. */
export type TcpEnd = 'reset' | 'ended' | 'timeout'

/** The state of a connection, as `ss` and `netstat` show it. */
export interface TcpSnapshot {
  readonly state: string
  readonly windowBytes: number
  readonly inFlightBytes: number
  readonly bufferedBytes: number
  readonly rttMs: number | undefined
  readonly retransmitted: number
}

const NEVER = Number.POSITIVE_INFINITY
/** Linux, TCP_TIMEOUT_INIT; it doubles. */
const SYN_TIMEOUT_US = 1_000_000
/** Linux, tcp_syn_retries. */
const MAX_SYNS = 6

/** One end. Who connects calls `connect`; who accepts hands it the first segment. */
export class TcpConnection {
  readonly #host: TcpHost
  readonly #kernel: Kernel
  readonly #initial: number
  #state: 'new' | 'syn-sent' | 'syn-received' | 'open' | 'closed' = 'new'
  #sender: TcpSender | undefined
  #receiver: TcpReceiver | undefined
  #syns = 0
  #synSentUs = 0
  #synTimerUs = NEVER
  readonly #timer: KernelTimer
  /** What it is set to. */
  #timerUs = NEVER
  #flushing = false
  #wasFull = false
  #isPaused = false
  readonly #unread: TcpMessage[] = []

  readonly #onFlush = (): void => {
    this.#flushing = false
    this.#flush()
  }

  /** @param initial the first sequence number: random, so that nobody can guess it from elsewhere (RFC 6528) */
  constructor(host: TcpHost, initial: number) {
    this.#host = host
    this.#kernel = host.kernel
    this.#initial = initial
    this.#timer = host.kernel.timer(() => {
      this.#timerUs = NEVER
      this.#onTimer()
    })
  }

  /** Whether the handshake is done, and nothing has ended it. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** The smoothed round-trip time in microseconds; undefined before the first measurement. */
  get rttUs(): number | undefined {
    return this.#sender?.rtt.hasSample === true ? this.#sender.rtt.smoothedUs : undefined
  }

  /** Plain data. */
  snapshot(): TcpSnapshot {
    const sender = this.#sender
    return {
      state: this.#state,
      windowBytes: sender?.windowBytes ?? 0,
      inFlightBytes: sender?.inFlightBytes ?? 0,
      bufferedBytes: sender?.bufferedBytes ?? 0,
      rttMs: this.rttUs === undefined ? undefined : this.rttUs / 1000,
      retransmitted: sender?.retransmitted ?? 0,
    }
  }

  /** Begins the handshake. */
  connect(): void {
    this.#state = 'syn-sent'
    this.#sendSyn()
  }

  /**
   * Writes to the stream: at once what fits into the window, the rest as room comes. False when no more should be
   * written until `onWritable`.
   */
  write(payload: unknown, sizeBytes: number, isFlushed = false): boolean {
    const sender = this.#sender
    if (this.#state !== 'open' || !sender) return false
    sender.write(payload, sizeBytes, isFlushed)
    this.#flushSoon()
    this.#wasFull = !sender.hasRoom
    return !this.#wasFull
  }

  /** Stops reading: what arrives fills the buffer, and then the sender has to wait. */
  pause(): void {
    this.#isPaused = true
  }

  /** Reads on. */
  resume(): void {
    this.#isPaused = false
    let isNews = false
    while (!this.#isPaused && this.#state === 'open') {
      const message = this.#unread.shift()
      if (!message) break
      isNews = this.#receiver?.read(message) === true || isNews
      this.#host.onMessage(message.payload)
    }
    if (isNews && this.#receiver) {
      this.#receiver.ackNow = true
      this.#flushSoon()
    }
  }

  /** Ends it in order, as far as what was written has been sent: nothing is sent again. */
  close(): void {
    if (this.#state === 'open' && this.#sender && this.#receiver) {
      this.#flush()
      const { next } = this.#sender
      this.#transmit(FIN | ACK, next, next + 1)
    } else if (this.#state !== 'new' && this.#state !== 'closed') {
      this.abort()
    }
    this.destroy()
  }

  /** Ends it at once; the peer is told. */
  abort(): void {
    if (this.#state !== 'closed' && this.#state !== 'new') {
      const seq = this.#sender?.next ?? this.#initial + 1
      this.#transmit(RST | ACK, seq, seq)
    }
    this.destroy()
  }

  /** Ends it without a word: the machine has lost its power. */
  destroy(): void {
    this.#state = 'closed'
    this.#timer.cancel()
    this.#timerUs = NEVER
    this.#unread.length = 0
  }

  /** A segment of this connection has arrived. */
  receive(segment: TcpSegment): void {
    switch (this.#state) {
      case 'new':
        if (segment.flags === SYN) this.#onSyn(segment)
        break
      case 'syn-sent':
        this.#onAnswer(segment)
        break
      case 'syn-received':
        if (segment.flags === SYN) this.#sendSyn()
        else if ((segment.flags & RST) !== 0) this.#onReset(segment)
        else if ((segment.flags & ACK) !== 0 && segment.ack === this.#initial + 1) {
          this.#open(segment)
          this.#onSegment(segment)
        }
        break
      case 'open':
        if ((segment.flags & RST) !== 0) this.#onReset(segment)
        else if ((segment.flags & SYN) !== 0) this.#acknowledgeAgain()
        else this.#onSegment(segment)
        break
      case 'closed':
        break
    }
  }

  #onSyn(segment: TcpSegment): void {
    this.#receiver = new TcpReceiver(segment.end)
    this.#state = 'syn-received'
    this.#sendSyn()
  }

  #onAnswer(segment: TcpSegment): void {
    if ((segment.flags & ACK) === 0) return
    if (segment.ack !== this.#initial + 1) {
      // Of a connection from before a crash, of which the peer still knows (RFC 9293, 3.5.1).
      if ((segment.flags & RST) === 0) this.#transmit(RST, segment.ack, segment.ack)
      return
    }
    if ((segment.flags & RST) !== 0) {
      this.#end('reset')
      return
    }
    if ((segment.flags & SYN) === 0) return
    this.#receiver = new TcpReceiver(segment.end)
    this.#open(segment)
    this.#transmit(ACK, this.#initial + 1, this.#initial + 1)
    this.#host.onOpen()
  }

  #open(segment: TcpSegment): void {
    const nowUs = this.#kernel.nowUs()
    const sender = new TcpSender(this.#initial + 1)
    this.#sender = sender
    // Of a handshake that was sent twice nothing can be measured (RFC 6298, 3).
    if (this.#syns === 1) sender.rtt.update(nowUs - this.#synSentUs, 0)
    sender.onAck(segment.ack, NO_SACKS, segment.windowBytes, nowUs)
    this.#synTimerUs = NEVER
    const wasAccepting = this.#state === 'syn-received'
    this.#state = 'open'
    if (wasAccepting) this.#host.onOpen()
  }

  /** Only who has seen the last segments can reset the connection (RFC 5961, 3). */
  #onReset(segment: TcpSegment): void {
    if (segment.seq === this.#receiver?.next) this.#end('reset')
    else this.#acknowledgeAgain()
  }

  #onSegment(segment: TcpSegment): void {
    const [sender, receiver] = [this.#sender, this.#receiver]
    if (!sender || !receiver || (segment.flags & ACK) === 0) return
    const nowUs = this.#kernel.nowUs()
    if (!sender.onAck(segment.ack, segment.sacks, segment.windowBytes, nowUs)) return
    if ((segment.flags & FIN) !== 0) {
      if (segment.seq !== receiver.next) return
      this.#end('ended')
      return
    }
    if (segment.end > segment.seq) {
      for (const message of receiver.receive(segment, nowUs)) this.#unread.push(message)
      if (!this.#isPaused) this.resume()
      if (this.#state !== 'open') return
    }
    // What is only acknowledged leads to nothing more.
    if (receiver.ackNow || !sender.isSettled()) this.#flushSoon()
    else this.#arm()
    if (this.#wasFull && sender.hasRoom) {
      this.#wasFull = false
      this.#host.onWritable()
    }
  }

  #acknowledgeAgain(): void {
    if (!this.#receiver) return
    this.#receiver.ackNow = true
    this.#flushSoon()
  }

  #end(reason: TcpEnd): void {
    this.destroy()
    this.#host.onClosed(reason)
  }

  #sendSyn(): void {
    const nowUs = this.#kernel.nowUs()
    const isClient = this.#state === 'syn-sent'
    this.#synSentUs = nowUs
    this.#synTimerUs = nowUs + SYN_TIMEOUT_US * powerOfTwo(Math.min(this.#syns, MAX_SYNS))
    this.#syns++
    this.#transmit(isClient ? SYN : SYN | ACK, this.#initial, this.#initial + 1)
    this.#arm()
  }

  /** Sends once everything else that happens at this moment has happened, so that small writes share segments. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.#kernel.soon(this.#onFlush)
  }

  #flush(): void {
    const [sender, receiver] = [this.#sender, this.#receiver]
    if (this.#state !== 'open' || !sender || !receiver) return
    const nowUs = this.#kernel.nowUs()
    for (let segment = sender.poll(nowUs); segment; segment = sender.poll(nowUs)) {
      this.#transmit(ACK, segment.seq, segment.end, segment.messages)
    }
    if (receiver.ackNow) this.#transmit(ACK, sender.next, sender.next)
    this.#arm()
  }

  #transmit(flags: number, seq: number, end: number, messages?: readonly TcpMessage[]): void {
    const receiver = this.#receiver
    const sacks = receiver?.acknowledge() ?? NO_SACKS
    const windowBytes = receiver?.windowBytes ?? 65_535
    this.#host.transmit(new TcpSegment(flags, seq, end, receiver?.next ?? 0, windowBytes, sacks, messages))
  }

  #arm(): void {
    const atUs = Math.min(this.#synTimerUs, this.#sender?.timerUs ?? NEVER, this.#receiver?.ackTimerUs ?? NEVER)
    if (atUs === this.#timerUs) return
    this.#timerUs = atUs
    if (atUs === NEVER) this.#timer.cancel()
    else this.#timer.set(atUs - this.#kernel.nowUs())
  }

  #onTimer(): void {
    if (this.#state === 'closed') return
    const nowUs = this.#kernel.nowUs()
    if (this.#synTimerUs <= nowUs) {
      if (this.#syns > MAX_SYNS) this.#end('timeout')
      else this.#sendSyn()
      return
    }
    const [sender, receiver] = [this.#sender, this.#receiver]
    if (sender && sender.timerUs <= nowUs && !sender.onTimer(nowUs)) {
      this.#end('timeout')
      return
    }
    if (receiver && receiver.ackTimerUs <= nowUs) receiver.ackNow = true
    this.#flush()
    this.#arm()
  }
}
