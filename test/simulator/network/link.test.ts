import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  burstyLoss,
  Fabric,
  IPV4_OVERHEAD_BYTES,
  type LinkOptions,
  resolveLinkOptions,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox, pair } from './support.ts'

describe('latency', () => {
  test('is exact to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5_000_000 }), fc.integer({ min: 0, max: 1000 }), (latencyUs, sentAtUs) => {
        const { kernel, alice, bob } = pair({ latencyMs: latencyUs / 1000 })
        kernel.run(sentAtUs)
        alice.socket.send(bob.socket.localAddress, 'hello', 100)
        kernel.run()
        expect(bob.arrivals.map(({ atUs }) => atUs)).toEqual([sentAtUs + latencyUs])
      }),
    )
  })

  test('adds up over both directions of an asymmetric path', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const a = fabric.attach('a', { up: { latencyMs: 10 }, down: { latencyMs: 1 } })
    const b = fabric.attach('b', { up: { latencyMs: 200 }, down: { latencyMs: 3 } })
    const atB = mailbox(kernel, b)
    const atA = mailbox(kernel, a)
    atA.socket.send(atB.socket.localAddress, 'there', 1)
    atB.socket.send(atA.socket.localAddress, 'back', 1)
    kernel.run()
    expect(atB.arrivals[0]?.atUs).toBe(13_000)
    expect(atA.arrivals[0]?.atUs).toBe(201_000)
  })

  test('a change counts for packets sent after it, which do not overtake those before', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 100 })
    const send = (payload: string): void => alice.socket.send(bob.socket.localAddress, payload, 1)
    send('slow')
    kernel.run(10_000)
    fabric.graph.updateLink('alice', 'internet', { latencyMs: 20 })
    send('quick')
    kernel.run()
    send('later')
    kernel.run()
    expect(bob.arrivals.map(({ atUs, packet }) => [packet.payload, atUs])).toEqual([
      ['slow', 100_000],
      ['quick', 100_000],
      ['later', 120_000],
    ])
  })
})

describe('jitter', () => {
  const delaysUs = (options: LinkOptions, count: number): number[] => {
    const { kernel, alice, bob } = pair(options)
    const delays: number[] = []
    for (let i = 0; i < count; i++) {
      const sentAtUs = kernel.nowUs()
      alice.socket.send(bob.socket.localAddress, i, 1)
      kernel.run()
      delays.push((bob.arrivals.at(-1)?.atUs ?? 0) - sentAtUs)
    }
    return delays
  }
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = (values: number[]): number =>
    Math.sqrt(mean(values.map((value) => (value - mean(values)) * (value - mean(values)))))

  test('uniform: within its bounds, all of them reached, even', () => {
    const delays = delaysUs({ latencyMs: 25, jitterMs: 5 }, 20_000)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(20_000)
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000)
    expect(Math.min(...delays)).toBeLessThan(20_010)
    expect(Math.max(...delays)).toBeGreaterThan(29_990)
    expect(mean(delays)).toBeCloseTo(25_000, -2)
    expect(deviation(delays)).toBeCloseTo(10_000 / Math.sqrt(12), -2)
  })

  test('uniform: both ends of the range are drawn', () => {
    const delays = delaysUs({ latencyMs: 0.01, jitterMs: 0.002 }, 200)
    expect([...new Set(delays)].sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12])
  })

  test('normal: mean and deviation', () => {
    const delays = delaysUs({ latencyMs: 50, jitterMs: 5, jitterDistribution: 'normal' }, 20_000)
    expect(mean(delays)).toBeGreaterThan(49_850)
    expect(mean(delays)).toBeLessThan(50_150)
    expect(deviation(delays)).toBeGreaterThan(4850)
    expect(deviation(delays)).toBeLessThan(5150)
    const within = delays.filter((delay) => Math.abs(delay - 50_000) < 5000).length / delays.length
    expect(within).toBeGreaterThan(0.66)
    expect(within).toBeLessThan(0.71)
  })

  test('long tail: never below the latency, exponential', () => {
    const extra = delaysUs({ latencyMs: 10, jitterMs: 4, jitterDistribution: 'long-tail' }, 20_000).map(
      (d) => d - 10_000,
    )
    expect(Math.min(...extra)).toBeGreaterThanOrEqual(0)
    expect(mean(extra)).toBeGreaterThan(3880)
    expect(mean(extra)).toBeLessThan(4120)
    // An exponential's deviation is its mean, its median ln 2 of it.
    expect(deviation(extra)).toBeGreaterThan(3700)
    expect(deviation(extra)).toBeLessThan(4300)
    const median = extra.sort((a, b) => a - b)[10_000] ?? 0
    expect(median).toBeGreaterThan(0.64 * 4000)
    expect(median).toBeLessThan(0.74 * 4000)
  })

  test('a delay is never below 0', () => {
    const delays = delaysUs({ latencyMs: 1, jitterMs: 50 }, 1000)
    expect(Math.min(...delays)).toBe(0)
  })

  test.each([true, false])('keepOrder %j', (keepOrder) => {
    const { kernel, alice, bob } = pair({ latencyMs: 25, jitterMs: 5, keepOrder })
    for (let i = 0; i < 500; i++) kernel.schedule(i * 100, () => alice.socket.send(bob.socket.localAddress, i, 1))
    kernel.run()
    const sorted = [...bob.payloads()].sort((a, b) => Number(a) - Number(b))
    expect(sorted).toHaveLength(500)
    expect(JSON.stringify(bob.payloads()) === JSON.stringify(sorted)).toBe(keepOrder)
  })
})

describe('rate and queue', () => {
  test('a burst arrives at the computed instants, without rounding adding up', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 9_600, max: 2_000_000_000 }),
        fc.integer({ min: 0, max: 1472 }),
        fc.integer({ min: 1, max: 200 }),
        (rate, size, count) => {
          const latencyMs = 7.001
          const { kernel, alice, bob } = pair({ latencyMs, bandwidthLimitBitsPerSecond: rate, queueBytes: 1_000_000 })
          kernel.run(1234)
          for (let i = 0; i < count; i++) alice.socket.send(bob.socket.localAddress, i, size)
          kernel.run()
          const bits = BigInt(8 * (size + IPV4_OVERHEAD_BYTES))
          const expected = Array.from({ length: count }, (_, i) => {
            const work = BigInt(i + 1) * bits * 1_000_000n
            return 1234 + 7001 + Number((work + BigInt(rate) - 1n) / BigInt(rate))
          })
          expect(bob.arrivals.map(({ atUs }) => atUs)).toEqual(expected)
          expect(bob.payloads()).toEqual(Array.from({ length: count }, (_, i) => i))
        },
      ),
    )
  })

  test('what does not fit in the queue is dropped, and it drains at the rate', () => {
    // 1000 bytes on the wire take 1 ms at 8 Mbit/s.
    const { kernel, fabric, alice, bob } = pair({ bandwidthLimitBitsPerSecond: 8_000_000, queueBytes: 5000 })
    const send = (payload: number): void =>
      alice.socket.send(bob.socket.localAddress, payload, 1000 - IPV4_OVERHEAD_BYTES)
    for (let i = 0; i < 8; i++) send(i)
    expect(fabric.graph.link('alice', 'internet').snapshot()).toMatchObject({
      queuedBytes: 5000,
      dropped: { 'queue-full': 3 },
      sentPackets: 8,
    })
    kernel.run(2000)
    expect(fabric.graph.link('alice', 'internet').snapshot().queuedBytes).toBe(3000)
    for (let i = 8; i < 12; i++) send(i)
    kernel.run()
    expect(bob.arrivals.map(({ atUs, packet }) => [packet.payload, atUs / 1000])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [8, 6],
      [9, 7],
    ])
    expect(fabric.dropped).toEqual({ 'queue-full': 5 })
  })

  test('packets of several senders share one queue', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const bob = mailbox(kernel, fabric.attach('bob', { down: { bandwidthLimitBitsPerSecond: 8_000_000 } }))
    for (const name of ['a', 'b', 'c']) {
      const host = fabric.attach(name, { up: { latencyMs: name === 'c' ? 1 : 2 } })
      host.bind(1, () => {}).send(bob.socket.localAddress, name, 1000 - IPV4_OVERHEAD_BYTES)
    }
    kernel.run()
    expect(bob.arrivals.map(({ atUs, packet }) => [packet.payload, atUs])).toEqual([
      ['c', 2000],
      ['a', 3000],
      ['b', 4000],
    ])
  })

  test('a change of the rate takes the waiting bytes along', () => {
    const { kernel, fabric, alice, bob } = pair({ bandwidthLimitBitsPerSecond: 8_000_000 })
    const send = (): void => alice.socket.send(bob.socket.localAddress, 0, 1000 - IPV4_OVERHEAD_BYTES)
    for (let i = 0; i < 4; i++) send()
    fabric.graph.updateLink('alice', 'internet', { bandwidthLimitBitsPerSecond: 16_000_000 })
    send()
    kernel.run()
    // 4000 bytes wait, now for 2 ms, and the new one takes half a millisecond; those before keep their times.
    expect(bob.arrivals.map(({ atUs }) => atUs)).toEqual([1000, 2000, 3000, 4000, 4000])
  })

  test('a queue can be bounded in time, which follows the rate', () => {
    const { kernel, fabric, alice, bob } = pair({ bandwidthLimitBitsPerSecond: 8_000_000, queueMs: 10 })
    for (let i = 0; i < 15; i++) alice.socket.send(bob.socket.localAddress, i, 972)
    expect(fabric.graph.link('alice', 'internet').snapshot()).toMatchObject({ queuedBytes: 10_000, queuedMs: 10 })
    kernel.run()
    expect(bob.arrivals).toHaveLength(10)
    fabric.graph.updateLink('alice', 'internet', { bandwidthLimitBitsPerSecond: 16_000_000 })
    for (let i = 0; i < 30; i++) alice.socket.send(bob.socket.localAddress, i, 972)
    kernel.run()
    expect(bob.arrivals).toHaveLength(30)
    expect(fabric.dropped).toEqual({ 'queue-full': 15 })
  })

  test('in bytes or in time, not both', () => {
    expect(failure(() => pair({ queueBytes: 100_000, queueMs: 10 }))).toBe(
      'invalid-configuration: link alice up: queueMs',
    )
  })
})

describe('loss', () => {
  const outcomes = (options: LinkOptions, count: number, seed: string): boolean[] => {
    const { kernel, alice, bob } = pair(options, { seed })
    const arrived = Array.from({ length: count }, () => false)
    for (let i = 0; i < count; i++) alice.socket.send(bob.socket.localAddress, i, 1)
    kernel.run()
    for (const payload of bob.payloads()) arrived[Number(payload)] = true
    return arrived
  }
  const lossOf = (arrived: boolean[]): number => arrived.filter((it) => !it).length / arrived.length

  test.each([0.001, 0.01, 0.3, 0.9])('independent loss of %f is met over 100,000 packets', (packetLoss) => {
    const loss = lossOf(outcomes({ packetLoss }, 100_000, 'seed'))
    // Five standard deviations.
    expect(Math.abs(loss - packetLoss)).toBeLessThan(5 * Math.sqrt((packetLoss * (1 - packetLoss)) / 100_000))
  })

  test('is the same for the same seed, another for another', () => {
    const options = { packetLoss: 0.2 }
    expect(outcomes(options, 1000, 'a')).toEqual(outcomes(options, 1000, 'a'))
    expect(outcomes(options, 1000, 'a')).not.toEqual(outcomes(options, 1000, 'b'))
  })

  test('0 loses nothing and 1 everything', () => {
    expect(lossOf(outcomes({ packetLoss: 0 }, 1000, 'a'))).toBe(0)
    expect(lossOf(outcomes({ packetLoss: 1 }, 1000, 'a'))).toBe(1)
  })

  test('bursty loss has the average and the bursts it was asked for', () => {
    const arrived = outcomes({ packetLoss: burstyLoss(0.02, 5) }, 200_000, 'seed')
    expect(lossOf(arrived)).toBeGreaterThan(0.0175)
    expect(lossOf(arrived)).toBeLessThan(0.0225)
    const bursts = arrived.filter((it, i) => !it && arrived[i - 1] !== false).length
    const meanBurst = arrived.filter((it) => !it).length / bursts
    expect(meanBurst).toBeGreaterThan(4.5)
    expect(meanBurst).toBeLessThan(5.5)
  })

  test('each state of Gilbert and Elliott has its own loss', () => {
    const packetLoss = { goodToBad: 0.01, badToGood: 0.01, lossInGood: 0.1, lossInBad: 0.5 }
    const loss = lossOf(outcomes({ packetLoss }, 200_000, 'seed'))
    expect(loss).toBeGreaterThan(0.28)
    expect(loss).toBeLessThan(0.32)
  })

  test('one link draws the same whatever else there is', () => {
    const lost = (others: number): unknown[] => {
      const kernel = new TestKernel()
      const fabric = new Fabric(kernel)
      const bob = mailbox(kernel, fabric.attach('bob'))
      for (let i = 0; i < others; i++) {
        const other = fabric.attach(`other-${i}`, { up: { packetLoss: 0.5, jitterMs: 1 } })
        for (let n = 0; n < 100; n++) other.bind(0, () => {}).send(bob.socket.localAddress, -1, 1)
      }
      const alice = mailbox(kernel, fabric.attach('alice', { up: { packetLoss: 0.5, latencyMs: 20, jitterMs: 20 } }))
      for (let i = 0; i < 500; i++) alice.socket.send(bob.socket.localAddress, i, 1)
      kernel.run()
      return bob.arrivals
        .filter(({ packet }) => packet.payload !== -1)
        .map(({ atUs, packet }) => [packet.payload, atUs])
    }
    expect(lost(0)).toHaveLength(lost(3).length)
    expect(lost(0)).toEqual(lost(3))
  })
})

describe('accidents', () => {
  const COUNT = 20_000
  function send(options: LinkOptions, seed = 'seed') {
    const { kernel, fabric, alice, bob } = pair(options, { seed })
    for (let i = 0; i < COUNT; i++) alice.socket.send(bob.socket.localAddress, i, 100)
    kernel.run()
    return { fabric, arrivals: bob.arrivals, link: fabric.graph.link('alice', 'internet').snapshot() }
  }
  const near = (count: number, probability: number): boolean =>
    Math.abs(count / COUNT - probability) < 5 * Math.sqrt((probability * (1 - probability)) / COUNT)

  test('a corrupted datagram arrives, marked; the others are not', () => {
    const { fabric, arrivals } = send({ corruption: 0.1 })
    expect(arrivals).toHaveLength(COUNT)
    expect(near(arrivals.filter(({ packet }) => packet.isCorrupted).length, 0.1)).toBe(true)
    expect(fabric.dropped).toEqual({})
  })

  test('a corrupted segment of TCP is caught by its checksum', () => {
    const { kernel, fabric } = pair({ corruption: 1 })
    const [alice, bob] = fabric.interfaces()
    const to = bob?.bind(1, () => expect.unreachable(), { protocol: 'tcp' })
    alice?.bind(1, () => {}, { protocol: 'tcp' }).send(to?.localAddress ?? '', 0, 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ corrupted: 1 })
  })

  test('damage of one copy is not that of the other', () => {
    const { arrivals } = send({ corruption: 0.5, duplication: 1 })
    const byPayload = new Map<unknown, boolean[]>()
    for (const { packet } of arrivals) {
      byPayload.set(packet.payload, [...(byPayload.get(packet.payload) ?? []), packet.isCorrupted])
    }
    const differing = [...byPayload.values()].filter(([a, b]) => a !== b).length
    expect(near(differing, 0.5)).toBe(true)
  })

  test('a packet that a link before has damaged is doubled with its damage', () => {
    const { kernel, alice, bob } = pair({ corruption: 1 }, {}, { down: { duplication: 1 } })
    alice.socket.send(bob.socket.localAddress, 'x', 100)
    kernel.run()
    expect(bob.arrivals.map(({ packet }) => packet.isCorrupted)).toEqual([true, true])
  })

  test('duplicates come right behind, and take their share of the rate', () => {
    const { arrivals, link } = send({ duplication: 0.3, latencyMs: 5 })
    expect(near(arrivals.length - COUNT, 0.3)).toBe(true)
    expect(link.sentPackets).toBe(arrivals.length)
    expect(new Set(arrivals.map(({ packet }) => packet.payload)).size).toBe(COUNT)
    const { kernel, alice, bob } = pair({ duplication: 1, bandwidthLimitBitsPerSecond: 8_000_000 })
    alice.socket.send(bob.socket.localAddress, 0, 972)
    kernel.run()
    expect(bob.arrivals.map(({ atUs }) => atUs)).toEqual([1000, 2000])
  })

  test('packets held back are overtaken, although the link keeps order', () => {
    const { kernel, alice, bob } = pair({ reordering: 0.2, reorderingDelayMs: 3, latencyMs: 10 })
    for (let i = 0; i < 1000; i++) kernel.schedule(i * 1000, () => alice.socket.send(bob.socket.localAddress, i, 1))
    kernel.run()
    const delays = bob.arrivals.map(({ atUs, packet }) => atUs - Number(packet.payload) * 1000)
    expect([...new Set(delays)].toSorted((a, b) => a - b)).toEqual([10_000, 13_000])
    const late = delays.filter((delay) => delay > 10_000).length
    expect(late).toBeGreaterThan(140)
    expect(late).toBeLessThan(260)
  })

  test('each is drawn by itself: switching one on changes no other', () => {
    const lost = ({ arrivals }: ReturnType<typeof send>): string =>
      [...new Set(arrivals.map(({ packet }) => packet.payload))].toSorted((a, b) => Number(a) - Number(b)).join(' ')
    const plain = lost(send({ packetLoss: 0.05 }))
    expect(lost(send({ packetLoss: 0.05, corruption: 0.2 }))).toBe(plain)
    expect(lost(send({ packetLoss: 0.05, reordering: 0.2 }))).toBe(plain)
  })

  test('are the same for the same seed', () => {
    const marks = (seed: string): unknown[] =>
      send({ corruption: 0.3, reordering: 0.3, duplication: 0.3 }, seed).arrivals.map(({ packet }) => [
        packet.payload,
        packet.isCorrupted,
      ])
    expect(marks('a')).toEqual(marks('a'))
    expect(marks('a')).not.toEqual(marks('b'))
  })
})

describe('size and state', () => {
  test('the MTU bounds the datagram', () => {
    const { kernel, fabric, alice, bob } = pair({ mtuBytes: 1300 })
    for (const size of [1299, 1300, 1301]) alice.socket.send(bob.socket.localAddress, size, size)
    kernel.run()
    expect(bob.payloads()).toEqual([1299, 1300])
    expect(fabric.dropped).toEqual({ 'too-large': 1 })
  })

  test('a link that is down drops, and is as before when it is up again', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 5, packetLoss: 0, mtuBytes: 1300 })
    const link = fabric.graph.link('alice', 'internet')
    const before = link.settings
    fabric.graph.updateLink('alice', 'internet', { isActive: false })
    alice.socket.send(bob.socket.localAddress, 'lost', 1)
    kernel.run()
    fabric.graph.updateLink('alice', 'internet', { isActive: true })
    alice.socket.send(bob.socket.localAddress, 'found', 1)
    kernel.run()
    expect(bob.payloads()).toEqual(['found'])
    expect(link.snapshot().dropped).toEqual({ 'link-down': 1 })
    expect(link.settings).toEqual(before)
  })

  test.each([
    ['goes down before the packet gets to it', [10, 100], 0],
    ['goes down and up again before', [5, 15], 1],
    ['goes down when the packet is on it', [25, 100], 1],
    ['is down just when it comes', [15, 22], 0],
    ['is down from the start and up in time', [0, 19], 1],
    ['is down from the start and up too late', [0, 21], 0],
  ] as const)('the second of two links %s', (_, [downAtMs, upAtMs], arrivals) => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 20 }, {}, { down: { latencyMs: 20 } })
    const set = (isActive: boolean) => () => fabric.graph.updateLink('internet', 'bob', { isActive })
    kernel.schedule(downAtMs * 1000, set(false))
    kernel.schedule(upAtMs * 1000, set(true))
    kernel.schedule(1, () => alice.socket.send(bob.socket.localAddress, 'x', 1))
    kernel.run()
    expect(bob.arrivals).toHaveLength(arrivals)
    expect(fabric.dropped).toEqual(arrivals === 0 ? { 'link-down': 1 } : {})
  })
})

describe('validation', () => {
  test.each([
    ['latencyMs', Number.NaN],
    ['latencyMs', -1],
    ['latencyMs', Number.POSITIVE_INFINITY],
    ['jitterMs', -0.001],
    ['jitterDistribution', 'gaussian'],
    ['keepOrder', 1],
    ['corruption', 2],
    ['duplication', -0.1],
    ['reordering', Number.NaN],
    ['reorderingDelayMs', Number.POSITIVE_INFINITY],
    ['queueMs', -1],
    ['packetLoss', 1.0001],
    ['packetLoss', -0.1],
    ['packetLoss', Number.NaN],
    ['packetLoss.goodToBad', { goodToBad: 2, badToGood: 0.5 }],
    ['packetLoss.badToGood', { goodToBad: 0.1, badToGood: 0 }],
    ['packetLoss.lossInBad', { goodToBad: 0.1, badToGood: 0.5, lossInBad: Number.NaN }],
    ['bandwidthLimitBitsPerSecond', 0],
    ['bandwidthLimitBitsPerSecond', -5],
    ['bandwidthLimitBitsPerSecond', 1.5],
    ['bandwidthLimitBitsPerSecond', Number.POSITIVE_INFINITY],
    ['queueBytes', 0],
    ['queueBytes', 1000],
    ['mtuBytes', 1199],
    ['mtuBytes', 1200.5],
    ['mtuBytes', 65_508],
    ['isActive', 'yes'],
    ['latency', 50],
  ])('%s = %j', (field, value) => {
    const options = { [field.split('.')[0] ?? '']: value } as LinkOptions
    expect(failure(() => resolveLinkOptions(options, 'link a>b'))).toBe(`invalid-configuration: link a>b: ${field}`)
  })

  test('the smallest and the largest values are fine', () => {
    const smallest = { latencyMs: 0, packetLoss: 0, bandwidthLimitBitsPerSecond: 1, mtuBytes: 1200, queueBytes: 1248 }
    expect(resolveLinkOptions(smallest, 'link')).toMatchObject({ mtuBytes: 1200, queueBytes: 1248 })
    const largest = { latencyMs: 3_600_000, packetLoss: 1, bandwidthLimitBitsPerSecond: 1e12, mtuBytes: 65_507 }
    expect(resolveLinkOptions(largest, 'link')).toMatchObject({ latencyUs: 3_600_000_000 })
  })

  test('the default queue is 50 ms, at least 45000 bytes', () => {
    expect(resolveLinkOptions({ bandwidthLimitBitsPerSecond: 20_000_000 }, 'link').queueBytes).toBe(125_000)
    expect(resolveLinkOptions({ bandwidthLimitBitsPerSecond: 1_000_000 }, 'link').queueBytes).toBe(45_000)
  })

  test('a bad change leaves the link as it was', () => {
    const { fabric } = pair({ latencyMs: 5 })
    const link = fabric.graph.link('alice', 'internet')
    const before = link.settings
    expect(failure(() => fabric.graph.updateLink('alice', 'internet', { latencyMs: -1 }))).toContain('latencyMs')
    expect(link.settings).toBe(before)
  })

  test('bursts that cannot be', () => {
    expect(failure(() => burstyLoss(1, 5))).toBe('invalid-configuration: averageLoss')
    expect(failure(() => burstyLoss(0.1, 0.5))).toBe('invalid-configuration: meanBurstPackets')
    expect(failure(() => burstyLoss(0.9, 1))).toBe('invalid-configuration: meanBurstPackets')
  })
})
