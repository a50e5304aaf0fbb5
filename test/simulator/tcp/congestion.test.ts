/** The window of a TCP connection: what Linux's own source says of each event. */
import { describe, expect, test } from 'vitest'
import { TcpCongestion } from '../../../src/simulator/tcp/congestion.ts'

const RTT_US = 40_000

/** A sender that always has something to send; rounds of a round trip in which every segment is acknowledged. */
class Flow {
  readonly congestion = new TcpCongestion()
  una = 0
  next = 0
  nowUs = 1_000_000

  send(): void {
    while (this.next - this.una < this.congestion.window) {
      this.next++
      this.congestion.onSent()
    }
    this.congestion.onPause(this.una, this.next, this.next - this.una, this.next - this.una, this.nowUs, 240_000)
  }

  /** A round trip; with `isUsed` false just one segment goes out in it. */
  round(): void {
    this.send()
    this.nowUs += RTT_US
    for (let left = this.next - this.una; left > 0; left--) {
      this.una++
      this.congestion.onAck(this.nowUs, this.una, 1, this.next - this.una, RTT_US)
    }
  }

  /** The oldest segment is lost; the others arrive, and then it, sent again. */
  lose(): void {
    this.send()
    const inFlight = this.next - this.una
    this.nowUs += RTT_US
    this.congestion.onLoss(this.next, inFlight - 2)
    for (let left = inFlight - 2; left > 0; left--) {
      this.congestion.onAck(this.nowUs, this.una, 1, left - 1, RTT_US)
      this.congestion.onSent()
    }
    this.nowUs += RTT_US
    this.una = this.next
    this.congestion.onAck(this.nowUs, this.una, 1, 0, RTT_US)
  }
}

describe("TCP's window", () => {
  test('doubles every round trip before the first loss', () => {
    const flow = new Flow()
    const windows = Array.from({ length: 4 }, () => {
      flow.round()
      return flow.congestion.window
    })
    expect(windows).toEqual([20, 40, 80, 160])
  })

  test('is seven tenths after losses, and says so while they are repaired', () => {
    const flow = new Flow()
    for (let i = 0; i < 4; i++) flow.round()
    expect(flow.congestion.isRecovering).toBe(false)
    flow.lose()
    expect(flow.congestion.isRecovering).toBe(false)
    expect(flow.congestion.window).toBe(Math.floor((160 * 717) / 1024))
  })

  test('grows by the fair share to Reno where that is more: 8/15 of a segment a round trip', () => {
    const flow = new Flow()
    flow.round()
    flow.lose()
    const { window } = flow.congestion
    expect(window).toBe(14)
    for (let i = 0; i < 15; i++) flow.round()
    expect(flow.congestion.window).toBeGreaterThanOrEqual(window + 7)
    expect(flow.congestion.window).toBeLessThanOrEqual(window + 9)
  })

  test('is back at where it was lost after K seconds, the cube root of what is missing', () => {
    const flow = new Flow()
    for (let i = 0; i < 7; i++) flow.round()
    const before = flow.congestion.window
    flow.lose()
    const missing = before - flow.congestion.window
    const startUs = flow.nowUs
    while (flow.congestion.window < before - 1 && flow.nowUs < startUs + 60_000_000) flow.round()
    const seconds = (flow.nowUs - startUs) / 1_000_000
    expect(seconds).toBeGreaterThan(0.7 * Math.cbrt(missing / 0.4))
    expect(seconds).toBeLessThan(1.1 * Math.cbrt(missing / 0.4))
  })

  test('does not grow while it is not used', () => {
    const { congestion } = new Flow()
    for (let i = 0, nowUs = 0; i < 100; i++) {
      nowUs += 80_000
      congestion.onSent()
      congestion.onPause(i, i + 1, 1, 1, nowUs, 240_000)
      congestion.onAck(nowUs, i + 1, 1, 0, RTT_US)
    }
    expect(congestion.window).toBe(10)
  })

  test('is one segment after a time-out, and grows quickly to seven tenths of what it was', () => {
    const flow = new Flow()
    flow.round()
    flow.send()
    flow.congestion.onTimeout(flow.next)
    expect(flow.congestion.window).toBe(1)
    flow.una = flow.next
    const windows = Array.from({ length: 5 }, () => {
      flow.round()
      return flow.congestion.window
    })
    expect(windows).toEqual([2, 4, 8, 14, 14])
  })

  test('is smaller after a probe has repaired a loss, as nothing else tells of it', () => {
    const { congestion } = new Flow()
    congestion.onProbeRepaired()
    expect(congestion.window).toBe(7)
    for (let i = 0; i < 20; i++) congestion.onProbeRepaired()
    expect(congestion.window).toBe(2)
  })

  test('is halved for every time-out of a pause, down to what a new connection has', () => {
    const flow = new Flow()
    for (let i = 0; i < 3; i++) flow.round()
    expect(flow.congestion.window).toBe(80)
    flow.congestion.onRestart(240_000, 240_000)
    expect(flow.congestion.window).toBe(80)
    flow.congestion.onRestart(700_000, 240_000)
    expect(flow.congestion.window).toBe(20)
    flow.congestion.onRestart(60_000_000, 240_000)
    expect(flow.congestion.window).toBe(10)
  })
})
