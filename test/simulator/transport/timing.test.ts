/** The transport held to closed forms: what QUIC's rules say a thing must take, to the microsecond. */
import { describe, expect, test } from 'vitest'
import type { TransportConfig } from '../../../src/simulator/transport/config.ts'
import type { Route } from '../../../src/simulator/transport/path.ts'
import type { End, Link } from './pair.ts'
import { EXACT, Pair, pattern, Reader, Writer } from './pair.ts'

/** A pair that is connected and quiet: nothing in flight, all acknowledgements sent. */
function connected(link: Link | number, config: Partial<TransportConfig> = {}, route?: Route): Pair {
  const pair = new Pair({ link, config: { ...EXACT, ...config }, ...(route && { route }) })
  pair.run(() => pair.server?.sink.connected === true)
  pair.runUntil(pair.nowUs + 2_000_000)
  return pair
}

/** Answers every finished request of `requestBytes` on the server with `answerBytes`. */
function serve(pair: Pair, answerBytes: number): Reader {
  const reader = new Reader()
  const answered = new Set<number>()
  pair.serverEnd.act = (end, nowUs) => {
    reader.act(end, nowUs)
    for (const id of reader.ended.keys()) {
      if (answered.has(id)) continue
      answered.add(id)
      new Writer(id, pattern(answerBytes)).act(end)
    }
  }
  return reader
}

/** Writes a request now; returns when the whole answer is there, in microseconds since. */
function request(pair: Pair, bytes = 100): number {
  const startUs = pair.nowUs
  const reader = new Reader()
  const id = pair.client.connection.openStream(true) as number
  new Writer(id, pattern(bytes)).act(pair.client)
  pair.client.act = (end, nowUs) => reader.act(end, nowUs)
  expect(pair.run(() => reader.ended.has(id), startUs + 60_000_000)).toBe(true)
  pair.client.act = undefined
  return (reader.ended.get(id) as number) - startUs
}

describe('request and answer', () => {
  test('take one round trip on a connection that is at rest', () => {
    const pair = connected(25_000)
    serve(pair, 100)
    expect([request(pair), request(pair)]).toEqual([50_000, 50_000])
  })

  test('take 2.16 round trips from nothing: the last datagram of the handshake has emptied the pacer', () => {
    const pair = new Pair({ link: 25_000, config: EXACT })
    pair.run(() => pair.client.sink.connected)
    expect(pair.nowUs).toBe(50_000)
    pair.run(() => pair.server !== undefined)
    serve(pair, 100)
    // The bucket holds one datagram of 1200 B until the window first changes, and every datagram, however small, needs
    // it full: 1200 B at 1.25 windows of 12000 B a round trip of 50 ms take 4 ms. Of the client's last datagram the
    // 51 B that only acknowledge were free of charge, which saves 170 us. The server's bucket is full again by then.
    // First goes a datagram of connection ids, which leaves 11 B, then the request.
    expect(request(pair)).toBe(50_000 + 2 * 4_000 - 170 - 36)
  })

  test('take 2 round trips from nothing without pacing', () => {
    const pair = new Pair({ link: 25_000, config: { ...EXACT, pacing: false } })
    pair.run(() => pair.client.sink.connected)
    serve(pair, 100)
    expect(pair.nowUs + request(pair)).toBe(100_000)
  })
})

describe('losses', () => {
  /** Loses the next datagram of the client and whatever `also` says, from now on. */
  function lossyPair(): { pair: Pair; lose: (count: number) => void } {
    let left = 0
    const pair = connected((side) => (side === 'client' && left-- > 0 ? [] : [25_000]))
    left = 0
    return { pair, lose: (count) => (left = count) }
  }

  test('a lone request that is lost costs a probe time-out and two round trips', () => {
    const { pair, lose } = lossyPair()
    serve(pair, 100)
    for (let i = 0; i < 60; i++) request(pair)
    pair.runUntil(pair.nowUs + 1_000_000)
    const path = pair.client.connection.inspect().paths[0]
    const varianceUs = path?.rttVarianceUs as number
    expect(path?.smoothedRttUs).toBe(50_000)
    const sent = pair.trace.length
    const startUs = pair.nowUs
    lose(1)
    const tookUs = request(pair)
    // The next one costs the same: the answer has ended the back-off.
    pair.runUntil(pair.nowUs + 1_000_000)
    lose(1)
    expect(request(pair)).toBe(tookUs)
    // RTT + max(4 var, 1 ms) + 25 ms until the probe, a round trip until its acknowledgement shows the loss, another.
    const probeUs = 50_000 + Math.max(4 * varianceUs, 1_000) + 25_000
    expect(tookUs).toBe(probeUs + 50_000 + 50_000)
    // Two probes of 30 B without data, the second when the first's tokens are back, then the data.
    const client = pair.trace.slice(sent).filter(({ side }) => side === 'client')
    expect(client.slice(0, 4).map(({ atUs, bytes }) => [atUs - startUs, bytes])).toEqual([
      [0, 131],
      [probeUs, 30],
      [probeUs + 100, 30],
      [probeUs + 50_000, 131],
    ])
  })

  test('a lost answer costs the same', () => {
    let left = 0
    const pair = connected((side) => (side === 'server' && left-- > 0 ? [] : [25_000]))
    left = 0
    serve(pair, 100)
    for (let i = 0; i < 60; i++) request(pair)
    pair.runUntil(pair.nowUs + 1_000_000)
    // The server's acknowledgement of the request waits 25 ms, the answer goes first.
    left = 1
    const varianceUs = pair.serverEnd.connection.inspect().paths[0]?.rttVarianceUs as number
    expect(request(pair)).toBe(25_000 + (50_000 + Math.max(4 * varianceUs, 1_000) + 25_000) + 50_000 + 25_000)
  })

  /** Sends some datagrams, loses the third, and returns when all were there. */
  function loseThird(pacing: boolean, bytes = 9_000): { tookUs: number; times: number[] } {
    let index = -1
    const pair = connected((side) => (side === 'client' && index-- === 0 ? [] : [25_000]), { pacing })
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    const id = pair.client.connection.openStream(false) as number
    const startUs = pair.nowUs
    const sent = pair.trace.length
    new Writer(id, pattern(bytes)).act(pair.client)
    index = 2
    pair.run(() => reader.ended.has(id))
    expect(reader.all(id)).toEqual(pattern(bytes))
    expect(pair.client.connection.inspect().packetsLost).toBe(1)
    const times = pair.trace.slice(sent).flatMap(({ side, atUs }) => (side === 'client' ? [atUs - startUs] : []))
    return { tookUs: (reader.ended.get(id) as number) - startUs, times }
  }

  test('one of many is known to be lost when three later ones have arrived', () => {
    const { tookUs, times } = loseThird(false)
    expect(times.slice(0, 8)).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
    // All at once: the acknowledgement after a round trip shows it, and it goes again.
    expect(tookUs).toBe(50_000 + 25_000)
    // Three are enough, two are not.
    expect(loseThird(false, 6_500).tookUs).toBe(50_000 + 25_000)
    expect(loseThird(false, 5_500).tookUs).toBe((50_000 * 9) / 8 + 25_000)
  })

  test('or when a later one has, after 9/8 of a round trip', () => {
    const { tookUs, times } = loseThird(true)
    // The fourth's acknowledgement is there after 50 ms and says nothing yet; the sixth's would come later.
    expect(times.slice(0, 6)).toEqual([0, 0, 4_000, 8_000, 12_000, 16_000])
    expect(tookUs).toBe(4_000 + (50_000 * 9) / 8 + 25_000)
  })

  test('a lost acknowledgement costs a probe, which is answered at once', () => {
    const state = { cut: false }
    let probes = 0
    const pair = connected((side, packet) => {
      if (!state.cut) return [25_000]
      // Every acknowledgement of the server is lost for a while, and every second probe.
      if (side === 'server') return [[], [25_000]][Number(pair.nowUs > cutUs + 60_000)] as number[]
      return packet.datagramBytes === 30 && probes++ % 2 === 1 ? [] : [25_000]
    })
    const id = pair.client.connection.openStream(false) as number
    const varianceUs = pair.client.connection.inspect().paths[0]?.rttVarianceUs as number
    const cutUs = pair.nowUs
    state.cut = true
    new Writer(id, pattern(100)).act(pair.client)
    pair.run(() => pair.client.sink.delivered.has(id))
    expect(pair.nowUs - cutUs).toBe(50_000 + 4 * varianceUs + 25_000 + 50_000)
  })

  test.each([
    ['direct', 1_000_000],
    ['relay', 2_000_000],
  ] as const)('probe time-outs double, on a %s path each step by at most %i us', (kind, maxStepUs) => {
    let cut = false
    const pair = connected(() => (cut ? [] : [25_000]), { pacing: false }, { kind, address: 'there' })
    cut = true
    const startUs = pair.nowUs
    const sent = pair.trace.length
    const id = pair.client.connection.openStream(false) as number
    new Writer(id, pattern(100)).act(pair.client)
    const path = pair.client.connection.inspect().paths[0]
    const baseUs = 50_000 + 4 * (path?.rttVarianceUs as number) + 25_000
    pair.runUntil(startUs + 20_000_000)
    const times = [...new Set(pair.trace.slice(sent).map(({ atUs }) => atUs - startUs))]
    const steps = times.slice(1).map((time, i) => time - (times[i] as number))
    expect(steps.length).toBeGreaterThan(6)
    let expected = baseUs
    for (const [count, step] of steps.entries()) {
      if (count > 0) expected = Math.min(baseUs * 2 ** count, expected + maxStepUs)
      expect(step).toBe(expected)
    }
  })
})

describe('slow start', () => {
  /** Round trips from the first datagram until the last byte of `bytes` has arrived, without pacing. */
  function rounds(bytes: number): number {
    const rttUs = 100_000
    const pair = connected(rttUs / 2, { pacing: false, streamWindowBytes: 100_000_000, sendWindowBytes: 100_000_000 })
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    const id = pair.client.connection.openStream(false) as number
    const startUs = pair.nowUs
    const writer = new Writer(id, pattern(bytes))
    pair.client.act = (end: End) => writer.act(end)
    pair.run(() => reader.ended.has(id))
    return ((reader.ended.get(id) as number) - startUs - rttUs / 2) / rttUs + 1
  }

  test.each([
    1, 5_000, 11_000, 20_000, 33_000, 60_000, 80_000, 170_000, 350_000, 700_000, 1_000_000, 1_450_000, 5_000_000,
  ])('sends %i bytes in ceil(log2(1 + N / 12000)) rounds', (bytes) => {
    expect(rounds(bytes)).toBe(Math.ceil(Math.log2(1 + bytes / 12_000)))
  })

  test('a window of 12000 bytes is ten datagrams', () => {
    const pair = connected(50_000, { pacing: false })
    const id = pair.client.connection.openStream(false) as number
    const sent = pair.trace.length
    new Writer(id, pattern(100_000)).act(pair.client)
    pair.runUntil(pair.nowUs + 99_999)
    expect(
      pair.trace
        .slice(sent)
        .filter(({ side }) => side === 'client')
        .map(({ bytes }) => bytes),
    ).toEqual(Array.from({ length: 10 }, () => 1_200))
  })

  test('with pacing a window is spread over 0.8 of a round trip, and a megabyte takes little longer', () => {
    const rttUs = 100_000
    const pair = connected(rttUs / 2)
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    const id = pair.client.connection.openStream(false) as number
    const startUs = pair.nowUs
    const sent = pair.trace.length
    const writer = new Writer(id, pattern(1_000_000))
    pair.client.act = (end) => writer.act(end)
    pair.run(() => reader.ended.has(id))
    const first = pair.trace.slice(sent).filter(({ side }) => side === 'client')
    // Ten datagrams of 1200 B fill the first window: two at once, as a bucket is filled only when it is found empty,
    // the others 8 ms apart.
    expect(first.slice(0, 10).map(({ atUs }) => atUs - startUs)).toEqual(
      [0, 0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => i * 8_000),
    )
    const tookRounds = ((reader.ended.get(id) as number) - startUs) / rttUs
    expect(tookRounds).toBeGreaterThan(6.5)
    expect(tookRounds).toBeLessThan(7.5)
  })
})

describe('limits', () => {
  test('a stream moves one window a round trip: 1.25 MB at 200 ms are 50 Mbit/s', () => {
    const pair = connected(100_000)
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    const id = pair.client.connection.openStream(false) as number
    const writer = new Writer(id, pattern(40_000_000))
    pair.client.act = (end) => writer.act(end)
    // Past slow start.
    pair.runUntil(pair.nowUs + 3_000_000)
    const before = reader.bytes
    pair.runUntil(pair.nowUs + 2_000_000)
    const bitsPerSecond = ((reader.bytes - before) * 8) / 2
    expect(bitsPerSecond).toBeGreaterThan(0.9 * 50_000_000)
    expect(bitsPerSecond).toBeLessThanOrEqual(50_000_000)
  })

  test('two streams move two windows a round trip', () => {
    const pair = connected(100_000)
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => reader.act(end, nowUs)
    const writers = [0, 1].map((i) => {
      const id = pair.client.connection.openStream(false) as number
      return new Writer(id, pattern(30_000_000, i))
    })
    pair.client.act = (end) => {
      for (const writer of writers) writer.act(end)
    }
    pair.runUntil(pair.nowUs + 3_000_000)
    const before = reader.bytes
    pair.runUntil(pair.nowUs + 2_000_000)
    expect(((reader.bytes - before) * 8) / 2).toBeGreaterThan(0.9 * 100_000_000)
  })
})

describe('silence', () => {
  test('a PING goes after 5 s, so that a connection at rest stays', () => {
    const pair = connected(25_000, { keepAliveUs: 5_000_000 })
    pair.runUntil(120_000_000)
    expect(pair.client.connection.state).toBe('established')
    // Both sides' timers run from the same packets, half a round trip apart; each PING is acknowledged 25 ms later.
    const perMinute = pair.trace.filter(({ atUs }) => atUs >= 60_000_000).length
    expect(perMinute).toBeGreaterThan(20)
    expect(perMinute).toBeLessThan(50)
  })

  test('without keep-alive a connection is over after 30 s', () => {
    const pair = connected(25_000)
    pair.run(() => pair.client.sink.close !== undefined && pair.serverEnd.sink.close !== undefined)
    expect(pair.client.sink.close).toMatchObject({ by: 'transport', code: 0 })
    expect(pair.nowUs).toBeGreaterThan(30_000_000)
    expect(pair.nowUs).toBeLessThan(30_300_000)
  })

  test('the shorter idle time of both sides counts', () => {
    const pair = new Pair({ link: 25_000, config: EXACT, serverConfig: { ...EXACT, idleTimeoutUs: 7_000_000 } })
    pair.run(() => pair.client.sink.close !== undefined && pair.server?.sink.close !== undefined)
    expect(pair.nowUs).toBeLessThan(7_300_000)
  })
})
