/**
 * The controller against a second one, written after noq's (noq-proto 1.4.0, congestion/cubic.rs), through whatever order
 * of events: after each of them the windows must be the same to the byte.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Cubic } from '../../../src/simulator/transport/congestion.ts'
import { RttEstimator } from '../../../src/simulator/transport/rtt.ts'

const BETA = 0.7
const C = 0.4

interface OracleState {
  k: number
  wMax: number
  increment: number
  window: number
  threshold: number
  recoveryStart: number | undefined
}

/** In seconds and bytes, as the original. */
class Oracle {
  state: OracleState
  prior: OracleState | undefined
  mtu: number

  constructor(window: number, mtu: number) {
    this.mtu = mtu
    this.state = { k: 0, wMax: 0, increment: 0, window, threshold: Infinity, recoveryStart: undefined }
  }

  onAck(now: number, sent: number, bytes: number, appLimited: boolean, rtt: number): void {
    const state = this.state
    if (appLimited || this.#isBeforeRecovery(sent)) return
    if (state.window < state.threshold) {
      state.window += bytes
      return
    }
    if (state.recoveryStart === undefined) {
      state.recoveryStart = now
      state.wMax = state.window
      state.k = 0
    }
    const t = (now - state.recoveryStart) / 1e6
    const wMaxPackets = state.wMax / this.mtu
    const wCubic = (C * (t + rtt / 1e6 - state.k) ** 3 + wMaxPackets) * this.mtu
    const wEst = (wMaxPackets * BETA + (((3 * (1 - BETA)) / (1 + BETA)) * t) / (rtt / 1e6)) * this.mtu
    let window = state.window
    if (wCubic < wEst) window = Math.max(window, Math.trunc(wEst))
    else if (window < Math.trunc(wCubic)) window += Math.trunc(((wCubic - window) / window) * this.mtu)
    state.increment += window - state.window
    if (state.increment >= this.mtu) {
      state.window += this.mtu
      state.increment -= this.mtu
    }
  }

  onLoss(now: number, sent: number, persistent: boolean): void {
    if (this.#isBeforeRecovery(sent)) return
    const state = this.state
    this.prior = { ...state }
    const { window } = state
    state.recoveryStart = now
    state.wMax = window < state.wMax ? (window * (1 + BETA)) / 2 : window
    state.threshold = Math.max(Math.trunc(window * BETA), 2 * this.mtu)
    state.window = state.threshold
    state.k = Math.cbrt(((state.wMax / this.mtu) * (1 - BETA)) / C)
    state.increment = Math.trunc(state.increment * BETA)
    if (!persistent) return
    state.recoveryStart = undefined
    state.wMax = state.window
    state.threshold = Math.max(Math.trunc(state.window * BETA), 2 * this.mtu)
    state.increment = 0
    state.window = 2 * this.mtu
  }

  onSpurious(): void {
    const { prior } = this
    this.prior = undefined
    if (prior !== undefined && this.state.window < prior.window) this.state = prior
  }

  onMtu(mtu: number): void {
    this.mtu = mtu
    this.state.window = Math.max(this.state.window, 2 * mtu)
  }

  #isBeforeRecovery(sent: number): boolean {
    return this.state.recoveryStart !== undefined && sent <= this.state.recoveryStart
  }
}

// Times of sending are odd, those of acknowledgements and losses even: what comes first is never in doubt.
const ageUs = fc.integer({ min: 1, max: 60_000 }).map((half) => 2 * half + 1)
const event = fc.record({
  afterUs: fc
    .oneof(fc.constant(0), fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 0, max: 4_000_000 }))
    .map((half) => 2 * half),
  what: fc.oneof(
    {
      weight: 30,
      arbitrary: fc.record({
        type: fc.constant('acks' as const),
        ageUs,
        count: fc.integer({ min: 1, max: 40 }),
        appLimited: fc.boolean(),
      }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('loss' as const), ageUs, persistent: fc.constant(false) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('loss' as const), ageUs, persistent: fc.constant(true) }) },
    { weight: 1, arbitrary: fc.constant({ type: 'spurious' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('mtu' as const),
        bytes: fc.constantFrom(1_200, 1_326, 1_389, 1_420, 1_452),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('rtt' as const), us: fc.integer({ min: 500, max: 400_000 }) }),
    },
  ),
})

test('grows, falls and recovers as noq does, to the byte', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 200 }), (events) => {
      const cubic = new Cubic(12_000, 1_200)
      const oracle = new Oracle(12_000, 1_200)
      const rtt = new RttEstimator(333_000)
      let mtu = 1_200
      let nowUs = 1_000_000
      for (const { afterUs, what } of events) {
        nowUs += afterUs
        if (what.type === 'acks') {
          for (let i = 0; i < what.count; i++) {
            cubic.onAck(nowUs, nowUs - what.ageUs, mtu, what.appLimited, rtt)
            oracle.onAck(nowUs, nowUs - what.ageUs, mtu, what.appLimited, rtt.smoothedUs)
          }
        } else if (what.type === 'loss') {
          cubic.onCongestion(nowUs, nowUs - what.ageUs, what.persistent)
          oracle.onLoss(nowUs, nowUs - what.ageUs, what.persistent)
        } else if (what.type === 'spurious') {
          cubic.onSpuriousCongestion()
          oracle.onSpurious()
        } else if (what.type === 'mtu') {
          mtu = what.bytes
          cubic.onMtu(mtu)
          oracle.onMtu(mtu)
        } else {
          rtt.update(what.us, 0)
        }
        expect([cubic.windowBytes, cubic.slowStartThresholdBytes]).toEqual([
          oracle.state.window,
          oracle.state.threshold,
        ])
      }
    }),
    { numRuns: 300 },
  )
})
