import { describe, expect, test } from 'vitest'
import { randomStream } from '../../../src/simulator/random.ts'
import { resolveTransportConfig } from '../../../src/simulator/transport/config.ts'
import { isBetter } from '../../../src/simulator/transport/multipath.ts'
import { NatTraversal } from '../../../src/simulator/transport/nat-traversal.ts'
import { Path } from '../../../src/simulator/transport/path.ts'
import type { Route } from '../../../src/simulator/transport/path.ts'

const V4 = '192.0.2.1:1'
const V6 = '[2001:db8::1]:1'

function path(kind: Route['kind'], address: string, rttUs: number): Path {
  const result = new Path(1, [{ kind, address }], resolveTransportConfig(), 0, randomStream(1n, 'path'))
  result.rtt.update(rttUs, 0)
  return result
}

describe('the choice of a path (iroh, RTT_SWITCHING_MIN 5 ms and IPV6_RTT_ADVANTAGE 3 ms)', () => {
  test.each([
    [V4, V4, 5_000],
    [V6, V6, 5_000],
    [V6, V4, 2_000],
    [V4, V6, 8_000],
  ])('%s is better than %s from %i us less on', (address, than, gainUs) => {
    const current = path('direct', than, 50_000)
    expect(isBetter(path('direct', address, 50_000 - gainUs), current)).toBe(true)
    expect(isBetter(path('direct', address, 50_000 - gainUs + 1), current)).toBe(false)
  })

  test('any direct path is better than any over a relay, and anything than nothing', () => {
    expect(isBetter(path('direct', V4, 900_000), path('relay', 'https://relay/', 1_000))).toBe(true)
    expect(isBetter(path('relay', 'https://relay/', 1_000), path('direct', V4, 900_000))).toBe(false)
    expect(isBetter(path('relay', 'https://relay/', 900_000), undefined)).toBe(true)
  })
})

describe('probes for a direct path', () => {
  const RTT_US = 333_000

  /** When a client that is told of one address of its peer probes it, in microseconds, until `untilUs`. */
  function probeTimes(untilUs: number, answerAtUs = Number.POSITIVE_INFINITY, isGoodEnough = false): number[] {
    const routes = new Map<string, Route>()
    let token = 0
    const route = (address: string): Route => {
      const known = routes.get(address) ?? ({ kind: 'direct', address } as const)
      routes.set(address, known)
      return known
    }
    const nat = new NatTraversal('client', RTT_US, route, () => ++token)
    nat.want(true, 0)
    nat.addLocal(['192.168.1.2:1'], 0)
    nat.addRemote(V4, 0)
    const times: number[] = []
    while (nat.timerUs <= untilUs) {
      const nowUs = nat.timerUs
      if (nowUs >= answerAtUs) nat.onResponse(token, route(V4))
      nat.handleTimeout(nowUs, isGoodEnough)
      while (nat.nextProbe()) times.push(nowUs)
    }
    return times
  }

  test('go out at 0, 33, 67, 133, 267, 533, 1067, 2133 and 4133 ms, and again after a minute', () => {
    const round = [0, 1, 2, 4, 8, 16, 32, 64].map((tenths) => (tenths * RTT_US) / 10)
    const expected = [...round, (64 * RTT_US) / 10 + 2_000_000]
    expect(probeTimes(59_999_999)).toEqual(expected)
    expect(probeTimes(119_999_999)).toEqual([...expected, ...expected.map((atUs) => 60_000_000 + atUs)])
  })

  test('end when one was answered', () => {
    expect(probeTimes(59_999_999, 100_000)).toEqual([0, 33_300, 66_600])
  })

  test('go out a minute later again, but not while the path is good enough (iroh, GOOD_ENOUGH_LATENCY 10 ms)', () => {
    expect(probeTimes(61_000_000, 100_000).slice(3)).toEqual([60_000_000])
    expect(probeTimes(600_000_000, 100_000, true)).toEqual([0, 33_300, 66_600])
  })
})
