import { describe, expect, test } from 'vitest'
import type { TransportConfig } from '../../../src/simulator/transport/config.ts'
import { EXACT, Pair, pattern, Reader, Writer } from './pair.ts'
import type { End, Link } from './pair.ts'

function connected(config: Partial<TransportConfig> = {}, link: Link | number = 10_000): Pair {
  const pair = new Pair({ link, config: { ...EXACT, ...config } })
  pair.run(() => pair.server?.sink.connected === true)
  pair.runUntil(pair.nowUs + 1_000_000)
  return pair
}

const settle = (pair: Pair): void => pair.runUntil(pair.nowUs + 5_000_000)
const open = (end: End, bidi = true): number => {
  const id = end.connection.openStream(bidi)
  if (id === undefined) throw new Error('no stream left')
  return id
}

describe('streams', () => {
  test('are numbered by kind and side, and seen by the peer with their first byte', () => {
    const pair = connected()
    const ids = [
      open(pair.client),
      open(pair.client),
      open(pair.client, false),
      open(pair.serverEnd),
      open(pair.serverEnd, false),
    ]
    expect(ids).toEqual([0, 4, 2, 1, 3])
    settle(pair)
    expect(pair.serverEnd.sink.opened).toEqual([])
    pair.client.connection.write(4, Uint8Array.of(1))
    settle(pair)
    expect(pair.serverEnd.sink.opened).toEqual([4])
    pair.client.connection.finish(0)
    settle(pair)
    expect(pair.serverEnd.sink.opened).toEqual([4, 0])
    expect(pair.serverEnd.connection.read(0, 10)).toBe(null)
    expect(pair.serverEnd.connection.read(4, 10)).toEqual(Uint8Array.of(1))
    expect(pair.serverEnd.connection.read(4, 10)).toBe(undefined)
  })

  test('close one way at a time', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.write(id, pattern(10))
    pair.client.connection.finish(id)
    settle(pair)
    expect(pair.client.connection.write(id, pattern(10))).toBe(0)
    expect(pair.serverEnd.connection.read(id, 100)).toEqual(pattern(10))
    expect(pair.serverEnd.connection.read(id, 100)).toBe(null)
    expect(pair.client.sink.delivered.has(id)).toBe(true)
    // The other way is open as before.
    expect(pair.serverEnd.connection.write(id, pattern(20))).toBe(20)
    settle(pair)
    expect(pair.client.connection.read(id, 100)).toEqual(pattern(20))
    expect(pair.client.connection.read(id, 100)).toBe(undefined)
    pair.serverEnd.connection.finish(id)
    settle(pair)
    expect(pair.client.connection.read(id, 100)).toBe(null)
  })

  test("what is written is copied once: the array can be used again, and what is read is the reader's own", () => {
    const pair = connected()
    const id = open(pair.client, false)
    const bytes = pattern(100)
    pair.client.connection.write(id, bytes)
    bytes.fill(0)
    settle(pair)
    const read = pair.serverEnd.connection.read(id, 50) as Uint8Array
    expect(read).toEqual(pattern(100).slice(0, 50))
    expect(read.buffer.byteLength).toBe(50)
    read.fill(9)
    expect(pair.serverEnd.connection.read(id, 50)).toEqual(pattern(100).slice(50))
  })

  test('a reset fails the reader, and nothing more arrives', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.write(id, pattern(2_000))
    settle(pair)
    pair.client.connection.reset(id, 77)
    expect(pair.client.connection.write(id, pattern(1))).toBe(0)
    settle(pair)
    expect(pair.serverEnd.sink.resets.get(id)).toBe(77)
    expect(pair.serverEnd.connection.read(id, 10)).toBe(null)
    expect(pair.client.sink.delivered.has(id)).toBe(false)
  })

  test('a stream that is opened and reset at once is seen', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.reset(id, 5)
    settle(pair)
    expect(pair.serverEnd.sink.log.slice(-2)).toEqual([`opened ${id}`, `reset ${id} 5`])
  })

  test('a reset after everything has arrived takes nothing back', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.write(id, pattern(10))
    pair.client.connection.finish(id)
    pair.run(() => pair.serverEnd.sink.readable.has(id))
    // The client does not know yet that it has.
    expect(pair.client.sink.delivered.has(id)).toBe(false)
    pair.client.connection.reset(id, 1)
    settle(pair)
    expect(pair.serverEnd.sink.resets.size).toBe(0)
    expect(pair.serverEnd.connection.read(id, 100)).toEqual(pattern(10))
  })

  test('a stop fails the writer with its code, and its stream is reset', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.write(id, pattern(2_000_000))
    pair.run(() => pair.serverEnd.sink.opened.includes(id))
    pair.serverEnd.connection.stop(id, 1234)
    expect(pair.serverEnd.connection.read(id, 10)).toBe(null)
    settle(pair)
    expect(pair.client.sink.stops.get(id)).toBe(1234)
    expect(pair.client.connection.write(id, pattern(1))).toBe(0)
    // It was asked for, so it is no news to the side that asked.
    expect(pair.serverEnd.sink.resets.size).toBe(0)
    const path = pair.client.connection.inspect().paths[0]
    expect(path?.inFlightBytes).toBe(0)
  })

  test('reset and stop get through losses', () => {
    let random = 1
    const pair = connected({}, () => {
      random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
      return random % 10 < 3 ? [] : [10_000]
    })
    const ids = Array.from({ length: 40 }, () => open(pair.client))
    for (const id of ids) {
      pair.client.connection.write(id, pattern(1_000))
      pair.client.connection.reset(id, id + 1)
      pair.client.connection.stop(id, id + 2)
    }
    pair.runUntil(pair.nowUs + 60_000_000)
    expect([...pair.serverEnd.sink.resets].sort((a, b) => a[0] - b[0])).toEqual(ids.map((id) => [id, id + 1]))
    expect([...pair.serverEnd.sink.stops].sort((a, b) => a[0] - b[0])).toEqual(ids.map((id) => [id, id + 2]))
  })
})

describe('turns', () => {
  test('streams with something to send take turns, a datagram each', () => {
    const pair = connected()
    const ids = [0, 1, 2, 3].map(() => open(pair.client, false))
    const writers = ids.map((id) => new Writer(id, pattern(300_000, id)))
    const reader = new Reader()
    const progress: number[][] = []
    pair.client.act = (end) => {
      for (const writer of writers) writer.act(end)
    }
    pair.serverEnd.act = (end, nowUs) => {
      reader.act(end, nowUs)
      progress.push(ids.map((id) => (reader.received.get(id) ?? []).reduce((sum, part) => sum + part.length, 0)))
    }
    pair.run(() => reader.ended.size === 4)
    for (const counts of progress) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(5_000)
    for (const id of ids) expect(Buffer.compare(reader.all(id), pattern(300_000, id))).toBe(0)
  })

  test('a stream nobody reads stops none of the others', () => {
    const pair = connected({ streamWindowBytes: 10_000 })
    const stuck = open(pair.client)
    pair.client.connection.write(stuck, pattern(50_000))
    const id = open(pair.client)
    const writer = new Writer(id, pattern(100_000))
    pair.client.act = (end) => writer.act(end)
    const reader = new Reader()
    pair.serverEnd.act = (end, nowUs) => {
      end.sink.readable.delete(stuck)
      reader.act(end, nowUs)
    }
    pair.run(() => reader.ended.has(id), pair.nowUs + 60_000_000)
    expect(Buffer.compare(reader.all(id), pattern(100_000))).toBe(0)
  })
})

describe('limits', () => {
  test('a writer is held back by the window of its stream, and told when it can go on', () => {
    const pair = connected({ streamWindowBytes: 8_000 })
    const id = open(pair.client, false)
    const { connection, sink } = pair.client
    expect(connection.write(id, pattern(10_000))).toBe(8_000)
    expect(connection.write(id, pattern(10))).toBe(0)
    settle(pair)
    expect(sink.writable.size).toBe(0)
    // An eighth of the window must be read before the writer hears of it.
    expect(pair.serverEnd.connection.read(id, 999)?.length).toBe(999)
    settle(pair)
    expect(sink.writable.size).toBe(0)
    expect(pair.serverEnd.connection.read(id, 1)?.length).toBe(1)
    settle(pair)
    expect([...sink.writable]).toEqual([id])
    expect(connection.write(id, pattern(10_000))).toBe(1_000)
  })

  test('the send buffer is bounded for all streams together', () => {
    const pair = connected({ sendWindowBytes: 20_000 })
    const [first, second] = [open(pair.client, false), open(pair.client, false)]
    const { connection, sink } = pair.client
    expect(connection.write(first, pattern(15_000))).toBe(15_000)
    expect(connection.write(second, pattern(15_000))).toBe(5_000)
    expect(connection.write(first, pattern(1))).toBe(0)
    settle(pair)
    // Acknowledged bytes make room, whether or not they were read.
    expect([...sink.writable].sort((a, b) => a - b)).toEqual([first, second])
    expect(connection.write(second, pattern(30_000))).toBe(20_000)
  })

  test('the window of the connection holds all streams back', () => {
    const pair = connected({ connectionWindowBytes: 10_000 })
    const ids = [open(pair.client, false), open(pair.client, false)]
    const { connection, sink } = pair.client
    expect(ids.map((id) => connection.write(id, pattern(7_000)))).toEqual([7_000, 3_000])
    settle(pair)
    expect(sink.writable.size).toBe(0)
    expect(pair.serverEnd.connection.read(ids[0] as number, 2_000)?.length).toBe(2_000)
    settle(pair)
    expect([...sink.writable]).toEqual([ids[1]])
    expect(connection.write(ids[1] as number, pattern(7_000))).toBe(2_000)
    // A reset gives back what was never read.
    connection.reset(ids[0] as number, 1)
    settle(pair)
    expect(connection.write(ids[1] as number, pattern(7_000))).toBe(5_000)
  })

  test('no more streams are open than the peer allows, and more when some are over', () => {
    const pair = connected({ maxBidiStreams: 8, maxUniStreams: 3 })
    const ids = Array.from({ length: 8 }, () => open(pair.client))
    expect(pair.client.connection.openStream(true)).toBe(undefined)
    expect([0, 1, 2, 3].map(() => pair.client.connection.openStream(false))).toEqual([2, 6, 10, undefined])
    for (const id of ids) pair.client.connection.finish(id)
    settle(pair)
    for (const id of ids.slice(0, 4)) {
      expect(pair.serverEnd.connection.read(id, 1)).toBe(null)
      pair.serverEnd.connection.finish(id)
    }
    settle(pair)
    expect(pair.client.sink.available).toBeGreaterThan(0)
    expect(Array.from({ length: 5 }, () => pair.client.connection.openStream(true))).toEqual([
      32,
      36,
      40,
      44,
      undefined,
    ])
  })

  test('many short streams one after the other leave nothing behind', () => {
    const pair = connected()
    const reader = new Reader()
    let answered = 0
    pair.serverEnd.act = (end, nowUs) => {
      reader.act(end, nowUs)
      for (const id of end.sink.opened.splice(0)) {
        end.connection.write(id, pattern(100))
        end.connection.finish(id)
        answered++
      }
    }
    const client = new Reader()
    pair.client.act = (end, nowUs) => client.act(end, nowUs)
    for (let i = 0; i < 500; i++) {
      const id = open(pair.client)
      new Writer(id, pattern(100)).act(pair.client)
      expect(pair.run(() => client.ended.has(id), pair.nowUs + 1_000_000)).toBe(true)
    }
    expect(answered).toBe(500)
    settle(pair)
    expect(pair.client.connection.isIdle && pair.serverEnd.connection.isIdle).toBe(true)
  })
})

describe('closing', () => {
  test('tells the peer code and reason, after half a round trip', () => {
    const pair = connected()
    const startUs = pair.nowUs
    const code = 2 ** 53 - 1
    pair.client.connection.close(code, 'bye', pair.nowUs)
    expect(pair.client.sink.close).toEqual({ by: 'local', application: true, code, reason: 'bye' })
    pair.run(() => pair.serverEnd.sink.close !== undefined)
    expect(pair.nowUs - startUs).toBe(10_000)
    expect(pair.serverEnd.sink.close).toEqual({ by: 'remote', application: true, code, reason: 'bye' })
    pair.run(() => pair.client.connection.isEndKnown)
    expect(pair.nowUs - startUs).toBe(20_000)
    pair.run()
    expect([pair.client.connection.state, pair.serverEnd.connection.state]).toEqual(['drained', 'drained'])
    // Three probe time-outs, in case something is still under way.
    expect(pair.nowUs - startUs).toBeLessThan(1_000_000)
  })

  test('only the first call counts, and nothing works afterwards', () => {
    const pair = connected()
    const id = open(pair.client)
    pair.client.connection.close(1, 'first', pair.nowUs)
    pair.client.connection.close(2, 'second', pair.nowUs)
    expect(pair.client.sink.close?.code).toBe(1)
    expect(pair.client.connection.write(id, pattern(1))).toBe(0)
    expect(pair.client.connection.openStream(true)).toBe(undefined)
    settle(pair)
    expect(pair.serverEnd.sink.close?.reason).toBe('first')
  })

  test('a lost close is told again when the peer goes on', () => {
    let cut = false
    const pair = connected({}, (side) => (cut && side === 'client' ? [] : [10_000]))
    cut = true
    pair.client.connection.close(9, 'gone', pair.nowUs)
    pair.runUntil(pair.nowUs + 1_000)
    cut = false
    const id = open(pair.serverEnd)
    pair.serverEnd.connection.write(id, pattern(10))
    pair.run(() => pair.serverEnd.sink.close !== undefined, pair.nowUs + 1_000_000)
    expect(pair.serverEnd.sink.close).toMatchObject({ by: 'remote', code: 9 })
  })

  test('both sides at once is no trouble', () => {
    const pair = connected()
    pair.client.connection.close(1, 'client', pair.nowUs)
    pair.serverEnd.connection.close(2, 'server', pair.nowUs)
    pair.run()
    expect(pair.client.sink.close).toMatchObject({ by: 'local', code: 1 })
    expect(pair.serverEnd.sink.close).toMatchObject({ by: 'local', code: 2 })
    expect(pair.client.connection.isDrained && pair.serverEnd.connection.isDrained).toBe(true)
  })

  test("while shaking hands the application's code stays at home", () => {
    const pair = new Pair({ link: 10_000, config: EXACT })
    pair.run(() => pair.server !== undefined)
    pair.client.connection.close(77, 'secret', pair.nowUs)
    pair.run(() => pair.server?.sink.close !== undefined, 10_000_000)
    expect(pair.serverEnd.sink.close).toEqual({ by: 'remote', application: false, code: 0xc, reason: '' })
  })

  test('a long reason is cut, between characters', () => {
    const pair = connected()
    pair.client.connection.close(1, 'ä'.repeat(1000), pair.nowUs)
    settle(pair)
    expect(pair.serverEnd.sink.close?.reason).toBe('ä'.repeat(256))
  })
})
