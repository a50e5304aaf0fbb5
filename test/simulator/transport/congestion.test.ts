/** The estimators and controllers, held to their formulas. */
import { describe, expect, test } from 'vitest'
import { Cubic, cubeRoot } from '../../../src/simulator/transport/congestion.ts'
import { Pacer } from '../../../src/simulator/transport/pacer.ts'
import { RttEstimator } from '../../../src/simulator/transport/rtt.ts'

function rttOf(us: number): RttEstimator {
  const rtt = new RttEstimator(333_000)
  rtt.update(us, 0)
  return rtt
}

describe('RttEstimator', () => {
  test('starts at 333 ms, so that the first probe goes after 999 ms', () => {
    const rtt = new RttEstimator(333_000)
    expect([rtt.smoothedUs, rtt.varianceUs, rtt.probeBaseUs, rtt.hasSample]).toEqual([333_000, 166_500, 999_000, false])
  })

  test('takes the first sample whole, and an eighth of each further one', () => {
    const rtt = rttOf(100_000)
    expect([rtt.smoothedUs, rtt.varianceUs, rtt.minUs]).toEqual([100_000, 50_000, 100_000])
    rtt.update(180_000, 0)
    // RFC 9002, 5.3: 7/8 of 100 ms and 1/8 of 180; 3/4 of 50 ms and 1/4 of the difference of 80.
    expect([rtt.smoothedUs, rtt.varianceUs, rtt.latestUs]).toEqual([110_000, 57_500, 180_000])
    expect([rtt.conservativeUs, rtt.probeBaseUs]).toEqual([180_000, 110_000 + 4 * 57_500])
  })

  test("subtracts the peer's delay only where that leaves no less than the minimum", () => {
    const rtt = rttOf(100_000)
    rtt.update(120_000, 20_000)
    expect(rtt.smoothedUs).toBe(100_000)
    rtt.update(110_000, 20_000)
    expect(rtt.smoothedUs).toBe(Math.floor((7 * 100_000 + 110_000) / 8))
    rtt.update(90_000, 25_000)
    expect(rtt.minUs).toBe(90_000)
  })

  test('never waits less than a millisecond beyond the round trip', () => {
    const rtt = rttOf(50_000)
    for (let i = 0; i < 200; i++) rtt.update(50_000, 0)
    expect(rtt.probeBaseUs).toBe(51_000)
  })
})

describe('cubeRoot', () => {
  test('is within a bit of the true one', () => {
    for (const value of [0, 1e-9, 0.3, 1, 2, 7.5, 8, 27, 1_000, 123_456.789, 1e9, 1e15]) {
      expect(Math.abs(cubeRoot(value) - Math.cbrt(value))).toBeLessThanOrEqual(4 * Number.EPSILON * Math.cbrt(value))
    }
  })
})

describe('Cubic', () => {
  const MTU = 1_200

  test('adds what is acknowledged in slow start, but not while the application has nothing to send', () => {
    const cubic = new Cubic(12_000, MTU)
    cubic.onAck(100, 50, 1_200, false, rttOf(50))
    cubic.onAck(100, 50, 1_200, true, rttOf(50))
    expect([cubic.windowBytes, cubic.slowStartThresholdBytes]).toEqual([13_200, Infinity])
  })

  test('falls to 0.7 at a loss, once a round trip, and not below two packets', () => {
    const cubic = new Cubic(12_000, MTU)
    cubic.onCongestion(1_000, 900, false)
    expect([cubic.windowBytes, cubic.slowStartThresholdBytes]).toEqual([8_400, 8_400])
    cubic.onCongestion(1_500, 950, false)
    expect(cubic.windowBytes).toBe(8_400)
    cubic.onAck(1_600, 900, 1_200, false, rttOf(50))
    expect(cubic.windowBytes).toBe(8_400)
    for (let i = 0; i < 20; i++) cubic.onCongestion(2_000 + 100 * i, 1_950 + 100 * i, false)
    expect(cubic.windowBytes).toBe(2_400)
  })

  test('is back at its old window after K seconds, and beyond it soon after', () => {
    const rtt = rttOf(50_000)
    const cubic = new Cubic(1_200_000, MTU)
    cubic.onCongestion(0, 0, false)
    // K = cbrt(1000 packets x 0.3 / 0.4) = 9.086 s.
    const windowAt = (seconds: number): number => {
      while (nowUs < seconds * 1_000_000) {
        nowUs += 50_000
        // A window's worth of acknowledgements a round trip.
        for (let bytes = cubic.windowBytes; bytes > 0; bytes -= MTU) cubic.onAck(nowUs, nowUs - 50_000, MTU, false, rtt)
      }
      return cubic.windowBytes / MTU
    }
    let nowUs = 50_000
    const curve = (seconds: number): number => 0.4 * (seconds - cubeRoot(750)) ** 3 + 1_000
    for (const seconds of [3, 6, 9, 12, 15]) {
      expect(Math.abs(windowAt(seconds) / curve(seconds) - 1)).toBeLessThan(0.02)
    }
  })

  test('is no slower than Reno in the short run', () => {
    const rtt = rttOf(20_000)
    const cubic = new Cubic(24_000, MTU)
    cubic.onCongestion(0, 0, false)
    let nowUs = 20_000
    for (let round = 0; round < 50; round++, nowUs += 20_000) {
      for (let bytes = cubic.windowBytes; bytes > 0; bytes -= MTU) cubic.onAck(nowUs, nowUs - 20_000, MTU, false, rtt)
    }
    // 0.7 x 20 packets and 0.53 a round trip.
    const packets = 14 + (0.9 / 1.7) * 50
    expect(cubic.windowBytes / MTU).toBeGreaterThan(packets * 0.95)
  })

  test('makes room for others when it loses again below its old window', () => {
    const cubic = new Cubic(120_000, MTU)
    cubic.onCongestion(0, 0, false)
    cubic.onCongestion(1_000, 500, false)
    // The new maximum is 0.85 x 84000, and the curve starts flat from 0.7 x that.
    const rtt = rttOf(50_000)
    const windowBytes = cubic.windowBytes
    cubic.onAck(60_000, 2_000, MTU, false, rtt)
    expect(cubic.windowBytes).toBe(windowBytes)
  })

  test('takes a loss back that was none', () => {
    const cubic = new Cubic(12_000, MTU)
    cubic.onCongestion(1_000, 900, false)
    cubic.onSpuriousCongestion()
    expect([cubic.windowBytes, cubic.slowStartThresholdBytes]).toEqual([12_000, Infinity])
    cubic.onSpuriousCongestion()
    expect(cubic.windowBytes).toBe(12_000)
  })

  test('starts anew after persistent congestion', () => {
    const cubic = new Cubic(12_000, MTU)
    cubic.onCongestion(1_000, 900, true)
    expect([cubic.windowBytes, cubic.slowStartThresholdBytes]).toEqual([2_400, Math.floor(8_400 * 0.7)])
    cubic.onAck(1_100, 500, MTU, false, rttOf(50))
    expect(cubic.windowBytes).toBe(3_600)
  })
})

describe('Pacer', () => {
  test('holds one datagram at 333 ms, and 10 ms worth or ten datagrams at higher rates', () => {
    expect(new Pacer(333_000, 12_000, 1_200, 0).capacityBytes).toBe(1_200)
    // 12 MB/s: 2 ms are 24000 B.
    expect(new Pacer(10_000, 120_000, 1_200, 0).capacityBytes).toBe(24_000)
    // 2.4 MB/s: 2 ms are less than ten datagrams, 10 ms more.
    expect(new Pacer(50_000, 120_000, 1_200, 0).capacityBytes).toBe(12_000)
    // 0.6 MB/s: 10 ms are 6000 B.
    expect(new Pacer(50_000, 30_000, 1_200, 0).capacityBytes).toBe(6_000)
    expect(new Pacer(1_000, 10_000_000, 1_200, 0).capacityBytes).toBe(256 * 1_200)
  })

  test('lets 1.25 windows a round trip through', () => {
    const pacer = new Pacer(100_000, 12_000, 1_200, 0)
    let nowUs = 0
    let sent = 0
    while (nowUs < 10_000_000) {
      const delayUs = pacer.delayUs(100_000, 1_200, 12_000, 1_200, nowUs)
      nowUs += delayUs
      if (delayUs > 0) continue
      pacer.onSent(1_200)
      sent += 1_200
    }
    expect(Math.abs(sent / (1.25 * 12_000 * 100) - 1)).toBeLessThan(0.01)
  })

  test('wants tokens for a full datagram, and takes those of the real one', () => {
    const pacer = new Pacer(100_000, 12_000, 1_200, 0)
    expect(pacer.delayUs(100_000, 1_200, 12_000, 1_200, 0)).toBe(0)
    pacer.onSent(100)
    // 100 bytes at 150 bytes a millisecond.
    expect(pacer.delayUs(100_000, 1_200, 12_000, 1_200, 0)).toBe(667)
    expect(pacer.delayUs(100_000, 1_200, 12_000, 1_200, 667)).toBe(0)
  })

  test('does not learn of a shorter round trip until window or datagram size change', () => {
    const pacer = new Pacer(333_000, 12_000, 1_200, 0)
    pacer.delayUs(10_000, 1_200, 12_000, 1_200, 0)
    expect(pacer.capacityBytes).toBe(1_200)
    pacer.delayUs(10_000, 1_200, 12_001, 1_200, 0)
    expect(pacer.capacityBytes).toBe(12_000)
  })
})
