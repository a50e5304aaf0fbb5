/**
 * Congestion control of TCP as Linux has it by default: CUBIC with its fair share to Reno (net/ipv4/tcp_cubic.c; RFC 9438),
 * proportional rate reduction while losses are repaired (RFC 6937), a window that does not grow while it is not used
 * (tcp_cwnd_validate). Everything is counted in segments, whatever their size, and in integers.
 *
 * Not modelled: HyStart, undoing a reduction that turns out to have been a mistake (F-RTO, DSACK), pacing.
 *
 * @module
 */

/** RFC 6928. */
const INITIAL_SEGMENTS = 10
const MIN_SEGMENTS = 2
/** 0.7, as the kernel writes it. */
const [BETA, BETA_SCALE] = [717, 1024]
/** Acknowledged segments for one more that are fair to Reno: 15/8 of the window. */
const RENO_EIGHTHS = 15
/** C = 0.4, in segments a second cubed. */
const C_TENTHS = 4
/** A window that has just been looked at is not looked at again for so long, unless it has changed. */
const LOOK_EVERY_US = 31_250
const NEVER = -1

/** The window of one connection. */
export class TcpCongestion {
  /** Segments that may be in flight. */
  window: number = INITIAL_SEGMENTS
  #threshold = Number.POSITIVE_INFINITY
  /** Losses are being repaired until this sequence number is acknowledged: by retransmissions, or after a time-out. */
  #repair: { readonly kind: 'recovery' | 'timeout'; readonly until: number } | undefined
  // Proportional rate reduction.
  #windowBefore = 0
  #delivered = 0
  #sent = 0
  // CUBIC.
  #lastMax = 0
  #epochUs = NEVER
  #origin = 0
  /** Milliseconds from the beginning of the epoch to the origin. */
  #kMs = 0
  #renoWindow = 0
  #acked = 0
  #count = 0
  #credit = 0
  #lookedAt = 0
  #lookedUs = NEVER
  // Whether the window is in use.
  #isLimited = false
  #maxOut = 0
  #usageSeq = 0
  #used = 0
  #usedSinceUs = 0

  /** Whether losses are being repaired by retransmissions. */
  get isRecovering(): boolean {
    return this.#repair?.kind === 'recovery'
  }

  /** A segment was sent, for the first time or again. */
  onSent(): void {
    this.#sent++
  }

  /** As much was sent as may be: what is in flight, of `out` segments that are not acknowledged. */
  onPause(una: number, next: number, inFlight: number, out: number, nowUs: number, timeoutUs: number): void {
    const isLimited = inFlight >= this.window
    if (una >= this.#usageSeq || isLimited || (!this.#isLimited && out > this.#maxOut)) {
      this.#isLimited = isLimited
      this.#maxOut = out
      this.#usageSeq = next
    }
    if (isLimited) {
      this.#used = 0
      this.#usedSinceUs = nowUs
      return
    }
    this.#used = Math.max(this.#used, out)
    if (nowUs - this.#usedSinceUs < timeoutUs) return
    const used = Math.max(this.#used, INITIAL_SEGMENTS)
    if (this.#repair === undefined && used < this.window) {
      this.#threshold = this.#gentleThreshold()
      this.window = (this.window + used) >> 1
    }
    this.#used = 0
    this.#usedSinceUs = nowUs
  }

  /** Begins to send again after `idleUs` with nothing in flight. */
  onRestart(idleUs: number, timeoutUs: number): void {
    if (this.#epochUs !== NEVER) this.#epochUs += idleUs
    if (idleUs <= timeoutUs) return
    const least = Math.min(INITIAL_SEGMENTS, this.window)
    this.#threshold = this.#gentleThreshold()
    for (let leftUs = idleUs - timeoutUs; leftUs > 0 && this.window > least; leftUs -= timeoutUs) this.window >>= 1
    this.window = Math.max(this.window, least)
  }

  /**
   * Segments were acknowledged, in order or selectively.
   *
   * @param inFlight after that
   */
  onAck(nowUs: number, una: number, delivered: number, inFlight: number, minRttUs: number): void {
    if (this.#repair && una >= this.#repair.until) {
      if (this.#repair.kind === 'recovery') this.window = this.#threshold
      this.#repair = undefined
    }
    if (this.isRecovering) {
      this.#reduce(delivered, inFlight)
      return
    }
    const isSlowStart = this.window < this.#threshold
    if (!this.#isLimited && !(isSlowStart && this.window < 2 * this.#maxOut)) return
    let acked = delivered
    if (isSlowStart) {
      const grown = Math.min(this.window + acked, this.#threshold)
      acked -= grown - this.window
      this.window = grown
      if (acked === 0) return
    }
    this.#update(nowUs, acked, minRttUs)
    this.#avoid(acked)
  }

  /** Segments were found to be lost. */
  onLoss(next: number, inFlight: number): void {
    if (this.#repair?.kind === 'recovery') return
    if (this.#repair === undefined) this.#lower()
    this.#repair = { kind: 'recovery', until: next }
    this.#windowBefore = this.window
    this.#delivered = 0
    this.#sent = 0
    this.#reduce(0, inFlight)
  }

  /** A tail probe has repaired a loss: the window becomes smaller, although nothing else is missing. */
  onProbeRepaired(): void {
    if (this.#repair !== undefined) return
    this.#lower()
    this.window = this.#threshold
  }

  /** Nothing was acknowledged for the whole time-out. */
  onTimeout(next: number): void {
    if (this.#repair?.kind !== 'timeout') {
      if (this.#repair === undefined) this.#lower()
      this.#repair = { kind: 'timeout', until: next }
    }
    this.#lastMax = 0
    this.#epochUs = NEVER
    this.#credit = 0
    this.window = 1
  }

  /** After a pause the window may grow quickly up to three quarters of what it was (tcp_current_ssthresh). */
  #gentleThreshold(): number {
    return Math.max(this.#threshold, this.window - (this.window >> 2))
  }

  #lower(): void {
    this.#epochUs = NEVER
    const isLower = this.window < this.#lastMax
    this.#lastMax = isLower ? Math.floor((this.window * (BETA_SCALE + BETA)) / (2 * BETA_SCALE)) : this.window
    this.#threshold = Math.max(Math.floor((this.window * BETA) / BETA_SCALE), MIN_SEGMENTS)
  }

  #reduce(delivered: number, inFlight: number): void {
    this.#delivered += delivered
    const before = Math.max(this.#windowBefore, 1)
    const room = this.#threshold - inFlight
    const due = Math.ceil((this.#threshold * this.#delivered) / before) - this.#sent
    const more = room < 0 ? due : Math.min(room, Math.max(this.#delivered - this.#sent, delivered) + 1)
    this.window = inFlight + Math.max(more, this.#sent === 0 ? 1 : 0)
  }

  #update(nowUs: number, acked: number, minRttUs: number): void {
    this.#acked += acked
    const { window } = this
    if (this.#lookedAt === window && nowUs - this.#lookedUs <= LOOK_EVERY_US) return
    this.#lookedAt = window
    this.#lookedUs = nowUs
    if (this.#epochUs === NEVER) {
      this.#epochUs = nowUs
      this.#acked = acked
      this.#renoWindow = window
      this.#origin = Math.max(this.#lastMax, window)
      // K = cube root of ((origin - window) / C) seconds.
      this.#kMs = rootOf(((this.#origin - window) * 10 * 1_000_000_000) / C_TENTHS)
    }
    const ms = Math.floor((nowUs - this.#epochUs + minRttUs) / 1000) - this.#kMs
    const target = this.#origin + Math.trunc((C_TENTHS * ms * ms * ms) / 10_000_000_000)
    let count = target > window ? Math.floor(window / (target - window)) : 100 * window
    if (this.#lastMax === 0) count = Math.min(count, 20)
    const share = (window * RENO_EIGHTHS) >> 3
    while (this.#acked > share) {
      this.#acked -= share
      this.#renoWindow++
    }
    if (this.#renoWindow > window) count = Math.min(count, Math.floor(window / (this.#renoWindow - window)))
    this.#count = Math.max(count, 2)
  }

  #avoid(acked: number): void {
    if (this.#credit >= this.#count) {
      this.#credit = 0
      this.window++
    }
    this.#credit += acked
    if (this.#credit < this.#count) return
    const more = Math.floor(this.#credit / this.#count)
    this.#credit -= more * this.#count
    this.window += more
  }
}

/** The greatest integer whose cube is at most `value`. */
function rootOf(value: number): number {
  let root = 0
  for (let bit = 1 << 20; bit >= 1; bit >>= 1) {
    const next = root + bit
    if (next * next * next <= value) root = next
  }
  return root
}
