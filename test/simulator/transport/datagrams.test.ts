/** Datagrams of the application (RFC 9221). */
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../../src/core/errors.ts'
import type { SimConnection } from '../../../src/simulator/sim-connection.ts'
import { Datagrams } from '../../../src/simulator/transport/datagrams.ts'
import { EXACT, Pair, pattern } from './pair.ts'
import type { Link } from './pair.ts'
import { World } from './world.ts'

/** A pair that is connected and quiet. */
function connected(link: Link | number): Pair {
  const pair = new Pair({ link, config: EXACT })
  pair.run(() => pair.server?.sink.connected === true)
  pair.runUntil(pair.nowUs + 2_000_000)
  return pair
}

/** Sends `bytes` now. */
function send(pair: Pair, bytes: Uint8Array): boolean {
  return pair.client.connection.sendDatagram(bytes)
}

describe('a datagram', () => {
  test('arrives half a round trip later, and the sender may use its bytes again at once', () => {
    const pair = connected(25_000)
    const bytes = pattern(100)
    const startUs = pair.nowUs
    expect(send(pair, bytes)).toBe(true)
    bytes.fill(0)
    pair.run(() => pair.serverEnd.sink.datagrams.length > 0)
    expect(pair.nowUs - startUs).toBe(25_000)
    expect(pair.serverEnd.sink.datagrams).toEqual([pattern(100)])
    // Type, a length of two bytes, and 26 of header and tag.
    expect(pair.trace.findLast(({ side }) => side === 'client')?.bytes).toBe(100 + 3 + 26)
  })

  test('is never sent again when it is lost', () => {
    let cut = false
    const pair = connected((side) => (cut && side === 'client' ? [] : [25_000]))
    cut = true
    send(pair, pattern(100))
    pair.runUntil(pair.nowUs + 10_000)
    cut = false
    send(pair, pattern(50))
    pair.runUntil(pair.nowUs + 5_000_000)
    expect(pair.serverEnd.sink.datagrams).toEqual([pattern(50)])
    expect(pair.client.connection.inspect().packetsLost).toBe(1)
  })

  test('of two copies of a packet arrives once', () => {
    const pair = connected(() => [25_000, 26_000])
    send(pair, pattern(9))
    pair.runUntil(pair.nowUs + 1_000_000)
    expect(pair.serverEnd.sink.datagrams).toEqual([pattern(9)])
  })

  test('fits one packet: of 1200 bytes 1162, and not one more', () => {
    const pair = connected(25_000)
    const max = pair.client.connection.maxDatagramBytes()
    const { mtuBytes } = pair.client.connection.inspect().paths[0] as { mtuBytes: number }
    // Flags, 8 of connection id, 4 of number, 16 of tag, and 9 of frame at most (noq-proto 1.4, datagrams.rs).
    expect(max).toBe(mtuBytes - 29 - 9)
    expect(send(pair, pattern(max + 1))).toBe(false)
    expect(send(pair, pattern(max))).toBe(true)
    pair.runUntil(pair.nowUs + 1_000_000)
    expect(pair.serverEnd.sink.datagrams).toEqual([pattern(max)])
  })

  test('may be empty', () => {
    const pair = connected(25_000)
    send(pair, new Uint8Array(0))
    pair.runUntil(pair.nowUs + 1_000_000)
    expect(pair.serverEnd.sink.datagrams).toEqual([new Uint8Array(0)])
  })

  test('is refused before the handshake and after the end', () => {
    const pair = new Pair({ link: 25_000, config: EXACT })
    expect(send(pair, pattern(1))).toBe(false)
    pair.run(() => pair.client.sink.connected)
    pair.client.connection.close(0, '', pair.nowUs)
    expect(send(pair, pattern(1))).toBe(false)
  })
})

describe('many datagrams', () => {
  test('share packets, in the order of sending', () => {
    const pair = connected(25_000)
    const sent = Array.from({ length: 30 }, (_, i) => pattern(20 + i, i))
    const before = pair.trace.length
    for (const bytes of sent) send(pair, bytes)
    pair.runUntil(pair.nowUs + 25_000)
    expect(pair.serverEnd.sink.datagrams).toEqual(sent)
    expect(pair.trace.slice(before).filter(({ side }) => side === 'client').length).toBe(1)
  })

  test('wait for the congestion window', () => {
    const pair = connected(25_000)
    const { windowBytes } = pair.client.connection.inspect().paths[0] as { windowBytes: number }
    for (let i = 0; i < 100; i++) send(pair, pattern(1_000, i))
    let most = 0
    pair.client.act = (end) => {
      most = Math.max(most, end.connection.inspect().paths[0]?.inFlightBytes ?? 0)
    }
    pair.runUntil(pair.nowUs + 49_999)
    expect(most).toBeGreaterThan(windowBytes - 2_500)
    expect(most).toBeLessThanOrEqual(windowBytes)
    expect(pair.serverEnd.sink.datagrams.length).toBeLessThan(20)
    pair.runUntil(pair.nowUs + 10_000_000)
    expect(pair.serverEnd.sink.datagrams.length).toBe(100)
  })

  test('that do not fit the queue push out the oldest, which are counted', () => {
    const queue = new Datagrams(1_000)
    for (let i = 0; i < 10; i++) queue.push(new Uint8Array([i, ...pattern(167)]))
    // 200 each with their 32 bytes: five fit.
    expect([queue.waiting, queue.dropped, queue.sent]).toEqual([5, 5, 0])
    const first = queue.take(10_000)
    const kept: number[] = []
    for (let frame = first; frame; frame = frame.next) kept.push(frame.bytes[0] as number)
    expect(kept).toEqual([5, 6, 7, 8, 9])
    expect([queue.waiting, queue.sent]).toEqual([0, 5])
  })

  test('that a narrower path cannot carry are dropped, so that they do not stand in the way', () => {
    const queue = new Datagrams(100_000)
    for (const length of [100, 1_400, 1_163, 1_162, 5]) queue.push(pattern(length))
    queue.dropLargerThan(1_162)
    const lengths: number[] = []
    for (let frame = queue.take(10_000); frame; frame = frame.next) lengths.push(frame.bytes.length)
    expect([lengths, queue.dropped]).toEqual([[100, 1_162, 5], 2])
  })
})

describe('datagrams of a carrier', () => {
  /** Lets `ms` pass. */
  async function pass(world: World, ms: number): Promise<void> {
    await world.kernel.drive(() => false, world.kernel.nowUs() + ms * 1_000)
  }

  async function open(): Promise<{ world: World; here: SimConnection; there: SimConnection }> {
    const world = new World()
    const { here, there } = await world.pair()
    return { world, here: here as SimConnection, there: there as SimConnection }
  }

  test('are read in the order of arrival, and waited for', async () => {
    const { world, here, there } = await open()
    const early = there.readDatagram()
    here.sendDatagram(pattern(10))
    here.sendDatagram(pattern(20))
    expect(await world.until(early)).toEqual(pattern(10))
    expect(await world.until(there.readDatagram())).toEqual(pattern(20))
  })

  test('that are too large say how large they may be', async () => {
    const { here } = await open()
    const max = here.maxDatagramBytes()
    expect(() => here.sendDatagram(pattern(max + 1))).toThrow(
      expect.objectContaining({ code: 'message-too-large', size: max + 1, max }),
    )
  })

  test('can still be read after the end, and then no more', async () => {
    const { world, here, there } = await open()
    here.sendDatagram(pattern(10))
    await pass(world, 200)
    here.close(0, 'done')
    await pass(world, 200)
    expect(there.maxDatagramBytes()).toBe(0)
    expect(await world.until(there.readDatagram())).toEqual(pattern(10))
    await expect(world.until(there.readDatagram())).rejects.toSatisfy(
      (error) => P2PError.is(error) && error.code === 'connection-closed',
    )
    expect(() => there.sendDatagram(pattern(1))).toThrow(expect.objectContaining({ code: 'connection-closed' }))
  })

  test('that nobody reads are bounded: the oldest go', async () => {
    const { world, here, there } = await open()
    const max = here.maxDatagramBytes()
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 100; i++) here.sendDatagram(new Uint8Array(max).fill(round))
      await pass(world, 1_000)
    }
    // 1,250,000 bytes are 1046 of them; the first rounds are gone.
    const first = await world.until(there.readDatagram())
    expect(first[0]).toBeGreaterThan(10)
  })
})
