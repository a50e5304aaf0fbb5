/**
 * The sending half of a TCP connection as Linux has it: selective acknowledgements with RACK and a tail loss probe
 * (RFC 8985), a retransmission time-out of at least 200 ms that doubles (RFC 6298), CUBIC (RFC 9438).
 *
 * @module
 */
import { powerOfTwo } from '../power-of-two.ts'
import { RttEstimator } from '../transport/rtt.ts'
import { TcpCongestion } from './congestion.ts'
import type { SackRanges, TcpMessage } from './segment.ts'

/** What fits beside the headers of IPv4 and TCP with time stamps into 1500 bytes. */
export const MAX_SEGMENT_BYTES = 1_448
const NEVER = Number.POSITIVE_INFINITY
/** RFC 6298, 2.1. */
const INITIAL_RTO_US = 1_000_000
/** Linux, TCP_RTO_MIN and TCP_RTO_MAX. */
const MIN_RTO_US = 200_000
const MAX_RTO_US = 120_000_000
/** A lone segment may be acknowledged this late (RFC 8985, 7.2: WCDelAckT); for several, two ticks of Linux's clock. */
const LONE_ACK_DELAY_US = 200_000
const PROBE_SLACK_US = 8_000
/** Later segments that have arrived, after which one counts as lost (RFC 6675). */
const DUPLICATE_THRESHOLD = 3
/** Retransmission time-outs after which the connection is given up (Linux, tcp_retries2). */
const MAX_TIMEOUTS = 15
/** Written bytes that are not acknowledged: as much as two windows, at least what Linux starts with, at most what it grows to. */
const MIN_SEND_BUFFER_BYTES = 87_380
const MAX_SEND_BUFFER_BYTES = 4_194_304

/** A segment that was sent, until it is acknowledged. */
export interface SentSegment {
  readonly seq: number
  readonly end: number
  readonly messages: readonly TcpMessage[] | undefined
  sentUs: number
  transmissions: number
  isSacked: boolean
  isLost: boolean
}

/** The sending half. */
export class TcpSender {
  /** The oldest byte that is not acknowledged. */
  una: number
  /** The next byte to be sent for the first time. */
  next: number
  /** Time-outs since anything was acknowledged. */
  timeouts = 0
  /** Segments that were sent again. */
  retransmitted = 0
  readonly rtt: RttEstimator = new RttEstimator(INITIAL_RTO_US)
  readonly #congestion = new TcpCongestion()
  /** The end of all that was written. */
  #written: number
  readonly #unsent: TcpMessage[] = []
  /** What was written before this waits for the window, and has become one queue of bytes (Linux, tcp_skb_can_collapse_to). */
  #joined: number
  /** In the order of their numbers, which is that in which they were first sent. */
  readonly #sent: SentSegment[] = []
  #peerWindowBytes = 65_535
  /** Segments that are taken to be in the network. */
  #inFlight = 0
  #lost = 0
  #sacked = 0
  #probePending = false
  /** A tail probe that sent something again: when, and what was the end of all that had been sent. */
  #repeatedUs = NEVER
  #repeatedEnd = 0
  #lastSentUs = 0
  /** When the latest segment to arrive was sent, and its end, which tells those of one moment apart. */
  #rackUs = -1
  #rackEnd = -1
  #timeoutUs = NEVER
  #probeUs = NEVER
  #reorderUs = NEVER

  constructor(initial: number) {
    this.una = initial
    this.next = initial
    this.#written = initial
    this.#joined = initial
  }

  get windowBytes(): number {
    return this.#congestion.window * MAX_SEGMENT_BYTES
  }

  get inFlightBytes(): number {
    let bytes = 0
    for (const { seq, end, isLost, isSacked } of this.#sent) if (!isLost && !isSacked) bytes += end - seq
    return bytes
  }

  /** Bytes that were written and are not acknowledged. */
  get bufferedBytes(): number {
    return this.#written - this.una
  }

  /** Whether more may be written. */
  get hasRoom(): boolean {
    const limit = Math.max(MIN_SEND_BUFFER_BYTES, 2 * this.windowBytes)
    return this.bufferedBytes < Math.min(limit, MAX_SEND_BUFFER_BYTES)
  }

  /** When `onTimer` is due. */
  get timerUs(): number {
    return Math.min(this.#timeoutUs, this.#probeUs, this.#reorderUs)
  }

  /** Adds to the stream. */
  write(payload: unknown, sizeBytes: number, isFlushed: boolean): void {
    this.#written += sizeBytes
    this.#unsent.push({ end: this.#written, sizeBytes, payload, isFlushed })
  }

  /** Whether there is nothing to send, as `poll` would find. */
  isSettled(): boolean {
    return this.#lost === 0 && !this.#probePending && this.next === this.#written
  }

  /** The next segment to send, undefined when there is none, or none may go now. */
  poll(nowUs: number): SentSegment | undefined {
    const segment = this.#lost > 0 ? this.#pollLost(nowUs) : this.#pollUnsent(nowUs)
    const { una, next } = this
    if (segment) this.#congestion.onSent()
    else this.#congestion.onPause(una, next, this.#inFlight, this.#sent.length, nowUs, this.#rtoUs())
    return segment
  }

  #pollUnsent(nowUs: number): SentSegment | undefined {
    const isProbe = this.#probePending
    this.#probePending = false
    if (this.next === this.#written) {
      const last = isProbe ? this.#sent.at(-1) : undefined
      if (!last) return undefined
      this.#repeatedUs = nowUs
      this.#repeatedEnd = this.next
      return this.#sendAgain(last, nowUs)
    }
    if (this.#sent.length === 0 && this.#lastSentUs > 0) {
      this.#congestion.onRestart(nowUs - this.#lastSentUs, this.#rtoUs())
    }
    const isFull = this.#inFlight >= this.#congestion.window
    if (isFull && !isProbe) {
      this.#joined = this.#written
      return undefined
    }
    const end = this.#segmentEnd()
    if (end > this.una + this.#peerWindowBytes) {
      // Should the news of more room be lost, one goes out all the same when the time is over, as a probe.
      if (this.#sent.length > 0 || !isProbe) {
        if (this.#timeoutUs === NEVER) this.#timeoutUs = nowUs + this.#rtoUs()
        return undefined
      }
    }
    return this.#sendNew(end, nowUs)
  }

  /** Takes an acknowledgement; false when it is for what was never sent. */
  onAck(ack: number, sacks: SackRanges, windowBytes: number, nowUs: number): boolean {
    if (ack > this.next) return false
    if (ack >= this.una) this.#peerWindowBytes = windowBytes
    let sampleUs = -1
    let delivered = 0
    const arrived = (segment: SentSegment): void => {
      delivered++
      if (!segment.isLost) this.#inFlight--
      else this.#lost--
      const elapsedUs = nowUs - segment.sentUs
      // Of one that was sent twice it is not known which has arrived, unless it cannot be the second.
      if (segment.transmissions === 1) sampleUs = sampleUs < 0 ? elapsedUs : Math.min(sampleUs, elapsedUs)
      if (segment.transmissions === 1 || elapsedUs >= this.rtt.minUs) this.#noteLatest(segment)
    }
    let isProgress = false
    let count = 0
    while (count < this.#sent.length) {
      const segment = this.#sent[count] as SentSegment
      if (segment.end > ack) break
      if (segment.isSacked) this.#sacked--
      else arrived(segment)
      count++
    }
    if (count > 0) {
      this.#sent.splice(0, count)
      isProgress = true
    }
    this.una = Math.max(this.una, ack)
    for (let i = 0; i < sacks.length; i += 2) {
      for (const segment of this.#sent) {
        if (segment.seq >= (sacks[i + 1] as number)) break
        if (segment.isSacked || segment.seq < (sacks[i] as number) || segment.end > (sacks[i + 1] as number)) continue
        arrived(segment)
        segment.isSacked = true
        segment.isLost = false
        this.#sacked++
        isProgress = true
      }
    }
    if (sampleUs >= 0) this.rtt.update(sampleUs, 0)
    if (isProgress) {
      this.timeouts = 0
      this.#arm(nowUs)
    }
    this.#detectLoss(nowUs)
    if (this.#repeatedUs !== NEVER && this.una >= this.#repeatedEnd) {
      // Sooner than a round trip after it the first one must have arrived after all.
      if (nowUs - this.#repeatedUs >= this.rtt.minUs) this.#congestion.onProbeRepaired()
      this.#repeatedUs = NEVER
    }
    if (delivered > 0) this.#congestion.onAck(nowUs, this.una, delivered, this.#inFlight, this.rtt.minUs)
    return true
  }

  /** Something is due. False when the peer has not answered for so long that it is given up. */
  onTimer(nowUs: number): boolean {
    if (this.#reorderUs <= nowUs) this.#detectLoss(nowUs)
    if (this.#probeUs <= nowUs) {
      this.#probeUs = NEVER
      this.#probePending = true
      this.#timeoutUs = nowUs + this.#rtoUs()
    }
    if (this.#timeoutUs > nowUs) return true
    if (++this.timeouts > MAX_TIMEOUTS) return false
    // What went out to ask for room says nothing about the way.
    const wasProbe = (this.#sent[0]?.end ?? 0) > this.una + this.#peerWindowBytes
    for (const segment of this.#sent) if (!segment.isSacked) this.#markLost(segment)
    this.#probeUs = NEVER
    this.#reorderUs = NEVER
    this.#repeatedUs = NEVER
    this.#timeoutUs = NEVER
    if (this.#lost > 0) {
      if (!wasProbe) this.#congestion.onTimeout(this.next)
      this.#timeoutUs = nowUs + this.#rtoUs()
    } else {
      this.#probePending = true
    }
    return true
  }

  /** The end of the next new segment. */
  #segmentEnd(): number {
    const end = Math.min(this.next + MAX_SEGMENT_BYTES, this.#written)
    const first = this.#unsent[0]
    return first?.isFlushed === true && first.end > this.#joined ? Math.min(end, first.end) : end
  }

  #pollLost(nowUs: number): SentSegment | undefined {
    for (const segment of this.#sent) {
      if (!segment.isLost) continue
      if (this.#inFlight > 0 && this.#inFlight >= this.#congestion.window) return undefined
      segment.isLost = false
      this.#lost--
      this.#inFlight++
      return this.#sendAgain(segment, nowUs)
    }
    return undefined
  }

  #sendAgain(segment: SentSegment, nowUs: number): SentSegment {
    segment.transmissions++
    segment.sentUs = nowUs
    this.retransmitted++
    this.#lastSentUs = nowUs
    if (this.#timeoutUs === NEVER) this.#arm(nowUs)
    return segment
  }

  #sendNew(end: number, nowUs: number): SentSegment {
    let messages: TcpMessage[] | undefined
    for (let first = this.#unsent[0]; first && first.end <= end; first = this.#unsent[0]) {
      messages ??= []
      messages.push(first)
      this.#unsent.shift()
    }
    const segment = {
      seq: this.next,
      end,
      messages,
      sentUs: nowUs,
      transmissions: 1,
      isSacked: false,
      isLost: false,
    }
    this.next = end
    this.#sent.push(segment)
    this.#inFlight++
    this.#lastSentUs = nowUs
    this.#arm(nowUs)
    return segment
  }

  #arm(nowUs: number): void {
    this.#probeUs = NEVER
    if (this.#sent.length === 0) {
      this.#timeoutUs = NEVER
      return
    }
    const timeoutUs = this.#rtoUs()
    this.#timeoutUs = nowUs + timeoutUs
    if (this.timeouts > 0 || this.#lost > 0 || this.#sacked > 0 || !this.rtt.hasSample) return
    const slackUs = this.#sent.length === 1 ? LONE_ACK_DELAY_US : PROBE_SLACK_US
    // Never later than the time-out, which would close the window (RFC 8985, 7.2; Linux, tcp_schedule_loss_probe).
    this.#probeUs = nowUs + Math.min(Math.max(2 * this.rtt.smoothedUs + slackUs, 10_000), timeoutUs)
  }

  #rtoUs(): number {
    const { hasSample, smoothedUs, varianceUs } = this.rtt
    const baseUs = hasSample ? smoothedUs + Math.max(4 * varianceUs, MIN_RTO_US) : INITIAL_RTO_US
    return Math.min(baseUs * powerOfTwo(this.timeouts), MAX_RTO_US)
  }

  #noteLatest({ sentUs, end }: SentSegment): void {
    if (sentUs < this.#rackUs || (sentUs === this.#rackUs && end <= this.#rackEnd)) return
    this.#rackUs = sentUs
    this.#rackEnd = end
  }

  #isEarlier({ sentUs, end }: SentSegment): boolean {
    return sentUs < this.#rackUs || (sentUs === this.#rackUs && end < this.#rackEnd)
  }

  #markLost(segment: SentSegment): void {
    if (segment.isLost) return
    segment.isLost = true
    this.#lost++
    this.#inFlight--
  }

  /** RACK: lost is what was sent so much earlier than what has arrived that it cannot just have been overtaken. */
  #detectLoss(nowUs: number): void {
    this.#reorderUs = NEVER
    const first = this.#sent[0]
    if (!first || (this.#sacked === 0 && !this.#isEarlier(first))) return
    // In recovery nothing is taken to have been overtaken (Linux, tcp_rack_reo_wnd).
    const allowedUs = this.rtt.latestUs + (this.#congestion.isRecovering ? 0 : Math.floor(this.rtt.minUs / 4))
    const lostBefore = this.#lost
    let arrivedLater = 0
    for (let i = this.#sent.length - 1; i >= 0; i--) {
      const segment = this.#sent[i] as SentSegment
      if (segment.isSacked) {
        arrivedLater++
        continue
      }
      if (segment.isLost) continue
      const isOvertaken = segment.transmissions === 1 && arrivedLater >= DUPLICATE_THRESHOLD
      if (!isOvertaken && !this.#isEarlier(segment)) continue
      const dueUs = segment.sentUs + allowedUs
      if (!isOvertaken && dueUs > nowUs) {
        this.#reorderUs = Math.min(this.#reorderUs, dueUs)
        continue
      }
      this.#markLost(segment)
    }
    if (this.#lost > lostBefore) this.#congestion.onLoss(this.next, this.#inFlight)
  }
}
