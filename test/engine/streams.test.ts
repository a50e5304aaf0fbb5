import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { P2PStream } from '../../src/core/stream.ts'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

/** A stream and its other end; the header has been sent. */
async function streamPair({ client, server }: Pair): Promise<{ ours: P2PStream; theirs: P2PStream }> {
  const ours = await client.openStream()
  await ours.write(text('!'))
  const theirs = await server.acceptStream()
  await theirs.readExactly(1)
  return { ours, theirs }
}

onEveryCarrier('streams', (make) => {
  test('open without a word to the peer, which sees them with the first bytes', async () => {
    const { client, server } = await make()
    const stream = await client.openStream()
    const accepted = server.acceptStream()
    expect(await outcome(accepted)).toBe('pending')
    await stream.write(text('hello'))
    expect(string(await (await accepted).read())).toBe('hello')
  })

  test('that are finished without a byte are seen too, two-way and one-way', async () => {
    const { client, server } = await make()
    await (await client.openStream()).finish()
    expect(await (await server.acceptStream()).read()).toBeUndefined()
    await (await client.openSendStream()).finish()
    expect(await (await server.acceptReceiveStream()).read()).toBeUndefined()
  })

  test('carry any bytes both ways, in any pieces, each direction with its own end', async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 4000 }), { maxLength: 12 })
    const { client, server } = await make({ windowBytes: 3000 })
    await fc.assert(
      fc.asyncProperty(pieces, pieces, fc.integer({ min: 1, max: 5000 }), async (there, back, readBytes) => {
        const [ours, theirs] = [await client.openStream(), server.acceptStream()]
        const send = async (stream: P2PStream, parts: Uint8Array[]): Promise<void> => {
          for (const part of parts) await stream.write(part)
          await stream.finish()
        }
        const receive = async (stream: P2PStream): Promise<Uint8Array> => {
          const chunks: Uint8Array[] = []
          for (let chunk = await stream.read(readBytes); chunk; chunk = await stream.read(readBytes)) {
            expect(chunk.length).toBeGreaterThan(0)
            expect(chunk.length).toBeLessThanOrEqual(readBytes)
            chunks.push(chunk)
          }
          return Buffer.concat(chunks)
        }
        const sending = send(ours, there)
        const peer = await theirs
        const [received, answered] = await Promise.all([receive(peer), receive(ours), sending, send(peer, back)])
        expect(digest(received)).toBe(digest(Buffer.concat(there)))
        expect(digest(answered)).toBe(digest(Buffer.concat(back)))
      }),
      { numRuns: 30 },
    )
  })

  test('end one way and stay open the other', async () => {
    const { ours, theirs } = await streamPair(await make())
    await ours.finish()
    expect(await theirs.read()).toBeUndefined()
    await theirs.write(text('still'))
    expect(string(await ours.read())).toBe('still')
    await theirs.finish()
    expect(await ours.read()).toBeUndefined()
    expect(await ours.read()).toBeUndefined()
  })

  test('wait for a slow reader, each for itself', async () => {
    const pair = await make({ windowBytes: 1000 })
    const slow = await streamPair(pair)
    const fast = await streamPair(pair)
    const blocked = slow.ours.write(pattern(10_000))
    expect(await outcome(blocked)).toBe('pending')
    // No head-of-line blocking: the other stream and messages go on.
    const flowing = fast.ours.write(pattern(10_000, 1))
    expect(digest(await fast.theirs.readExactly(10_000))).toBe(digest(pattern(10_000, 1)))
    await flowing
    await pair.client.send(text('also'))
    expect(string(await pair.server.recv())).toBe('also')
    expect(pair.client.carrier.outstandingBytes).toBeLessThan(3000)
    expect(digest(await slow.theirs.readExactly(10_000))).toBe(digest(pattern(10_000)))
    await blocked
  })

  test('take concurrent writes in the order of the calls, and finish after them', async () => {
    const { ours, theirs } = await streamPair(await make({ windowBytes: 10 }))
    const writing = [ours.write(text('one ')), ours.write(text('two ')), ours.write(text('three')), ours.finish()]
    expect(string(await theirs.readToEnd(100))).toBe('one two three')
    await Promise.all(writing)
  })

  test('refuse writes after finish, and do nothing at a second finish', async () => {
    const { ours } = await streamPair(await make())
    await ours.finish()
    await ours.finish()
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-stopped'))
  })

  test('copy what is written', async () => {
    const { ours, theirs } = await streamPair(await make())
    for (const bytes of [text('before'), Buffer.from('before')]) {
      await ours.write(bytes)
      bytes.fill(0)
      expect(string(await theirs.read())).toBe('before')
    }
  })

  test('take bytes only', async () => {
    const { ours } = await streamPair(await make())
    for (const wrong of ['text', [1, 2], new ArrayBuffer(3), undefined]) {
      expect(await outcome(ours.write(wrong as unknown as Uint8Array))).toEqual(failed('invalid-configuration'))
    }
  })

  test('a write of nothing sends nothing', async () => {
    const { ours, theirs } = await streamPair(await make())
    await ours.write(new Uint8Array(0))
    const read = theirs.read()
    expect(await outcome(read)).toBe('pending')
    await ours.write(text('x'))
    expect(string(await read)).toBe('x')
  })

  test('come to the acceptor in the order of their opening', async () => {
    const { client, server } = await make()
    for (let i = 0; i < 20; i++) await (await client.openStream()).write(Uint8Array.of(i))
    for (let i = 0; i < 20; i++) expect(await (await server.acceptStream()).read()).toEqual(Uint8Array.of(i))
  })

  test('one-way ones go one way', async () => {
    const { client, server } = await make()
    const out = await client.openSendStream()
    await out.write(text('there'))
    const received = await server.acceptReceiveStream()
    expect(string(await received.read())).toBe('there')
    await out.finish()
    expect(await received.read()).toBeUndefined()
    expect('write' in received).toBe(false)
    expect('read' in out).toBe(false)
  })

  test('are opened up to the transport’s limit, then wait for one to end', async () => {
    const pair = await make({ maxStreams: 3 })
    const open = [await streamPair(pair), await streamPair(pair), await streamPair(pair)]
    const next = pair.client.openStream()
    expect(await outcome(next)).toBe('pending')
    open[0]?.ours[Symbol.dispose]()
    open[0]?.theirs[Symbol.dispose]()
    const stream = await next
    await stream.write(text('at last'))
    expect(string(await (await pair.server.acceptStream()).read())).toBe('at last')
  })

  describe('that stay silent', () => {
    const later: readonly [string, (pair: Pair, blocked: P2PStream) => Promise<void> | void][] = [
      ['a two-way stream', async ({ client }) => (await client.openStream()).write(text('.'))],
      ['a one-way stream', async ({ client }) => (await client.openSendStream()).write(text('.'))],
      ['a message', ({ client }) => client.send(text('.'))],
      ['a control frame', (_pair, blocked) => blocked.reset(1)],
    ]

    // QUIC shows the peer all earlier streams as soon as a later one is used.
    test.each(later)('are not given up because of %s that speaks', async (_what, speak) => {
      const pair = await make({ windowBytes: 100 })
      const { client, server, runtime } = pair
      const { ours } = await streamPair(pair)
      const blocked = outcome(ours.write(pattern(1000)))
      const [twoWay, oneWay] = [await client.openStream(), await client.openSendStream()]
      await speak(pair, ours)
      await blocked
      await runtime.advance(25_000)
      await Promise.all([twoWay.write(text('late')), oneWay.write(text('late too'))])
      const accepted = await server.acceptStream()
      const received = await server.acceptReceiveStream()
      expect(string(await accepted.read())).toBe('late')
      expect(string(await received.read())).toBe('late too')
      // Nothing of it was stopped in the meantime.
      await settle()
      await Promise.all([twoWay.write(text('and later')), oneWay.write(text('and later'))])
      expect(string(await accepted.read())).toBe('and later')
      expect(string(await received.read())).toBe('and later')
    })
  })

  describe('reading', () => {
    test('never takes more than was asked for, and leaves the rest', async () => {
      const { ours, theirs } = await streamPair(await make())
      await ours.write(text('abcdef'))
      expect(string(await theirs.read(2))).toBe('ab')
      expect(string(await theirs.read(3))).toBe('cde')
      expect(string(await theirs.read(9))).toBe('f')
    })

    test('checks its argument', async () => {
      const { theirs } = await streamPair(await make())
      for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(await outcome(theirs.read(wrong))).toEqual(failed('invalid-configuration'))
      }
      for (const wrong of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(await outcome(theirs.readExactly(wrong))).toEqual(failed('invalid-configuration'))
      }
      for (const wrong of [-1, Number.NaN]) {
        expect(await outcome(theirs.readToEnd(wrong))).toEqual(failed('invalid-configuration'))
      }
    })

    test('a second reader is told, and the first goes on', async () => {
      const { ours, theirs } = await streamPair(await make())
      const first = theirs.read()
      expect(await outcome(theirs.read())).toEqual(failed('limit-exceeded', { limit: 'readers', max: 1 }))
      await ours.write(text('for the first'))
      expect(string(await first)).toBe('for the first')
    })

    test('exactly: waits for all of them, and tells a stream that is too short', async () => {
      const { ours, theirs } = await streamPair(await make())
      const four = theirs.readExactly(4)
      await ours.write(text('ab'))
      expect(await outcome(four)).toBe('pending')
      await ours.write(text('cdef'))
      expect(string(await four)).toBe('abcd')
      expect((await theirs.readExactly(0)).length).toBe(0)
      const five = outcome(theirs.readExactly(5))
      await ours.finish()
      expect(await five).toEqual(failed('protocol'))
    })

    test('exactly: asks the carrier for no more than it holds, however much is claimed', async () => {
      const pair = await make()
      const { ours, theirs } = await streamPair(pair)
      const read = theirs.readExactly(50_000_000)
      const reads = pair.server.carrier.largestRead
      expect(reads).toBeLessThanOrEqual(1_048_576)
      const failing = outcome(read)
      ours.reset()
      expect(await failing).toEqual(failed('stream-reset'))
    })

    test('to the end: takes all up to the limit, and stops the stream beyond it', async () => {
      const pair = await make()
      const exact = await streamPair(pair)
      await exact.ours.write(pattern(1000))
      await exact.ours.finish()
      expect(digest(await exact.theirs.readToEnd(1000))).toBe(digest(pattern(1000)))
      const over = await streamPair(pair)
      await over.ours.write(pattern(1001))
      const read = over.theirs.readToEnd(1000)
      expect(await outcome(read)).toEqual(failed('limit-exceeded', { max: 1000 }))
      await settle()
      expect(await outcome(over.ours.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 0 }))
      const empty = await streamPair(pair)
      await empty.ours.finish()
      expect((await empty.theirs.readToEnd(0)).length).toBe(0)
    })

    test('what an aborted read would have got goes to the next', async () => {
      const { ours, theirs } = await streamPair(await make())
      const giveUp = new AbortController()
      const first = outcome(theirs.read(100, { signal: giveUp.signal }))
      giveUp.abort('no more')
      expect(await first).toEqual(failed('aborted', { name: 'AbortError', cause: 'no more' }))
      await ours.write(text('kept'))
      await settle()
      expect(string(await theirs.read())).toBe('kept')
    })

    test('in a loop ends with the stream, and leaving the loop stops it', async () => {
      const pair = await make()
      const whole = await streamPair(pair)
      await whole.ours.write(text('all'))
      await whole.ours.finish()
      const chunks: Uint8Array[] = []
      for await (const chunk of whole.theirs) chunks.push(chunk)
      expect(string(Buffer.concat(chunks))).toBe('all')

      const left = await streamPair(pair)
      await left.ours.write(text('some'))
      for await (const chunk of left.theirs) {
        expect(string(chunk)).toBe('some')
        break
      }
      await settle()
      expect(await outcome(left.ours.write(text('more')))).toEqual(failed('stream-stopped', { streamCode: 0 }))
    })
  })

  test('disposing resets what is unfinished and stops what is unread', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const read = theirs.read()
    ours[Symbol.dispose]()
    expect(await outcome(read)).toEqual(failed('stream-reset', { streamCode: 0 }))
    expect(await outcome(theirs.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 0 }))
    ours[Symbol.dispose]()
  })

  test('disposing of a stream that has ended does nothing', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    await ours.write(text('kept'))
    await ours.finish()
    await theirs.finish()
    expect(await ours.read()).toBeUndefined()
    ours[Symbol.dispose]()
    expect(string(await theirs.readToEnd(10))).toBe('kept')
  })

  test('are counted', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    await ours.write(pattern(99))
    await theirs.readExactly(99)
    await pair.client.send(pattern(50))
    await pair.server.recv()
    const [there, here] = [pair.client.stats(), pair.server.stats()]
    expect(there).toMatchObject({ bytesSent: 150, messagesSent: 1, streamsOpened: 1, streamsAccepted: 0 })
    expect(here).toMatchObject({ bytesReceived: 150, messagesReceived: 1, streamsOpened: 0, streamsAccepted: 1 })
    expect(there).toMatchObject({ path: 'direct', rttMs: 1, durationMs: 0 })
    pair.client.close()
    await settle()
    expect(pair.client.stats()).toMatchObject({ path: 'none', rttMs: undefined })
  })
})
