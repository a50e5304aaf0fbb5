/** Whatever the link does to datagrams, every byte arrives once and in order; and the same seed does the same. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestBytes } from '../../../src/simulator/audit.ts'
import { randomStream } from '../../../src/simulator/random.ts'
import type { Packet } from '../../../src/simulator/transport/packet.ts'
import type { Link } from './pair.ts'
import { Pair, pattern, Reader, Writer } from './pair.ts'

interface Weather {
  readonly seed: number
  /** Of 1000 datagrams. */
  readonly lost: number
  readonly duplicated: number
  readonly delayUs: number
  readonly jitterUs: number
}

function link(weather: Weather): Link {
  const random = randomStream(BigInt(weather.seed), 'link')
  const delay = (): number => weather.delayUs + (weather.jitterUs > 0 ? random.nextBelow(weather.jitterUs) : 0)
  return () => {
    if (random.nextBelow(1000) < weather.lost) return []
    return random.nextBelow(1000) < weather.duplicated ? [delay(), delay()] : [delay()]
  }
}

const weathers = fc.record({
  seed: fc.nat({ max: 1_000_000 }),
  lost: fc.integer({ min: 0, max: 300 }),
  duplicated: fc.integer({ min: 0, max: 200 }),
  delayUs: fc.integer({ min: 0, max: 100_000 }),
  jitterUs: fc.integer({ min: 0, max: 50_000 }),
})

const plans = fc.array(
  fc.record({ bidi: fc.boolean(), up: fc.integer({ min: 0, max: 60_000 }), down: fc.integer({ min: 0, max: 60_000 }) }),
  { minLength: 1, maxLength: 12 },
)

interface Outcome {
  readonly tookUs: number
  readonly packets: number
  readonly trace: string
}

/** Sends the plan's streams; every one is echoed with other bytes on the way back where it has one. */
function transfer(weather: Weather, plan: readonly { bidi: boolean; up: number; down: number }[]): Outcome {
  const pair = new Pair({ link: link(weather), seed: BigInt(weather.seed) })
  expect(pair.run(() => pair.client.sink.connected, 120_000_000)).toBe(true)
  const up = new Reader()
  const down = new Reader()
  const answers: Writer[] = []
  const plans = new Map<number, { bidi: boolean; up: number; down: number }>()
  const writers = plan.map((stream, i) => {
    const id = pair.client.connection.openStream(stream.bidi) as number
    plans.set(id, stream)
    return new Writer(id, pattern(stream.up, i))
  })
  const seen = new Set<number>()
  pair.client.act = (end, nowUs) => {
    for (const writer of writers) writer.act(end)
    down.act(end, nowUs)
  }
  const attach = (): void => {
    if (!pair.server || pair.server.act) return
    pair.server.act = (end, nowUs) => {
      up.act(end, nowUs)
      for (const id of end.sink.opened) {
        if (seen.has(id)) continue
        seen.add(id)
        const stream = plans.get(id)
        if (stream?.bidi) answers.push(new Writer(id, pattern(stream.down, id + 1)))
      }
      for (const writer of answers) writer.act(end)
    }
  }
  attach()
  const bidi = plan.filter((stream) => stream.bidi).length
  const done = pair.run(() => {
    attach()
    return up.ended.size === plan.length && down.ended.size === bidi && pair.client.sink.delivered.size === plan.length
  }, 600_000_000)
  expect({ done, closed: [pair.client.sink.close, pair.server?.sink.close] }).toEqual({
    done: true,
    closed: [undefined, undefined],
  })
  for (const [i, [id, stream]] of [...plans].entries()) {
    const expected = stream.bidi ? pattern(stream.down, id + 1) : new Uint8Array(0)
    expect(Buffer.compare(up.all(id), pattern(stream.up, i))).toBe(0)
    expect(Buffer.compare(down.all(id), expected)).toBe(0)
  }
  expect(pair.server?.sink.opened.length).toBe(plan.length)
  const text = pair.trace.map(({ atUs, side, bytes, lost }) => `${atUs} ${side} ${bytes} ${lost}`).join('\n')
  const trace = digestBytes(new TextEncoder().encode(text)).toString(16)
  return { tookUs: pair.nowUs, packets: pair.trace.length, trace }
}

describe('delivery', () => {
  test('every byte arrives once and in order, however datagrams are lost, reordered and duplicated', () => {
    fc.assert(
      fc.property(weathers, plans, (weather, plan) => {
        expect(transfer(weather, plan).packets).toBeGreaterThan(4)
      }),
      { numRuns: 150 },
    )
  })

  test.each([10, 50, 100, 200, 300])('a megabyte arrives at %i of 1000 datagrams lost', (lost) => {
    const weather = { seed: 7, lost, duplicated: 0, delayUs: 10_000, jitterUs: 0 }
    const { packets } = transfer(weather, [{ bidi: true, up: 1_000_000, down: 100_000 }])
    expect(packets).toBeGreaterThan(1_100_000 / 1_452)
  })

  test('the same seed makes the same packets at the same times, another seed others', () => {
    const weather = { seed: 42, lost: 50, duplicated: 20, delayUs: 20_000, jitterUs: 3_000 }
    const plan = [
      { bidi: true, up: 200_000, down: 50_000 },
      { bidi: false, up: 30_000, down: 0 },
    ]
    const first = transfer(weather, plan)
    expect(transfer(weather, plan)).toEqual(first)
    expect(transfer({ ...weather, seed: 43 }, plan).trace).not.toBe(first.trace)
  })

  test('losses that were none give the window back', () => {
    // Every fifth datagram takes 4 ms longer, so that more than three others overtake it.
    let index = 0
    const pair = new Pair({
      link: (side) => [side === 'client' && index++ % 5 === 4 ? 29_000 : 25_000],
      config: { skipPacketNumbers: false },
    })
    pair.run(() => pair.client.sink.connected)
    const id = pair.client.connection.openStream(false) as number
    const writer = new Writer(id, pattern(1_000_000))
    const reader = new Reader()
    pair.client.act = (end) => writer.act(end)
    pair.run(() => {
      if (pair.server) pair.server.act = (end, nowUs) => reader.act(end, nowUs)
      return reader.ended.has(id)
    })
    const { packetsLost, spuriousLosses, paths } = pair.client.connection.inspect()
    expect(packetsLost).toBeGreaterThan(10)
    expect(spuriousLosses).toBeGreaterThan(3)
    expect(paths[0]?.windowBytes).toBeGreaterThan(100_000)
  })
})

describe('what observers and adversaries can do', () => {
  const quiet = (): Pair => {
    const pair = new Pair({ link: 10_000 })
    pair.run(() => pair.server?.sink.connected === true)
    pair.runUntil(pair.nowUs + 1_000_000)
    return pair
  }

  test('garbage is dropped and counted', () => {
    const pair = quiet()
    for (const garbage of [undefined, null, 0, 'x', {}, [], new Uint8Array(1200), { destinationId: 1, kind: 2 }]) {
      pair.inject('client', garbage)
      pair.inject('server', garbage)
    }
    pair.runUntil(pair.nowUs + 1_000_000)
    expect(pair.client.connection.inspect().drops.unauthenticated).toBe(8)
    expect(pair.serverEnd.connection.inspect().drops.unauthenticated).toBe(8)
    expect(pair.client.connection.state).toBe('established')
  })

  test('a replayed datagram does nothing', () => {
    const seen: { to: 'client' | 'server'; packet: Packet }[] = []
    const pair = new Pair({
      link: (side, packet) => {
        seen.push({ to: side === 'client' ? 'server' : 'client', packet })
        return [10_000]
      },
    })
    pair.run(() => pair.client.sink.connected)
    const id = pair.client.connection.openStream(false) as number
    new Writer(id, pattern(5_000)).act(pair.client)
    const reader = new Reader()
    pair.run(() => pair.server?.sink.connected === true)
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    pair.run(() => reader.ended.has(id))
    pair.runUntil(pair.nowUs + 1_000_000)
    const before = pair.serverEnd.connection.inspect().packetsReceived
    const copies = seen.filter(({ to }) => to === 'server').length
    for (const { to, packet } of seen.slice()) pair.inject(to, packet)
    pair.runUntil(pair.nowUs)
    expect(reader.all(id)).toEqual(pattern(5_000))
    const { drops, packetsReceived } = pair.serverEnd.connection.inspect()
    expect(drops.duplicate + drops.untimely + drops.foreign).toBeGreaterThanOrEqual(copies)
    expect(packetsReceived).toBe(before)
    pair.runUntil(pair.nowUs + 3_000_000)
    expect(pair.client.connection.state).toBe('established')
  })
})
