import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeVarint } from '../../src/core/encoding.ts'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

const KIND_MESSAGES = 0x12

/** Opens the messages stream of a connection as a hostile peer would. */
const rawMessages = async ({ client }: Pair, ...bytes: Uint8Array[]): Promise<{ write: (b: Uint8Array) => void }> => {
  const stream = await client.carrier.openUni()
  await stream.write(Uint8Array.of(KIND_MESSAGES))
  for (const part of bytes) await stream.write(part)
  return { write: (b) => void stream.write(b).catch(() => {}) }
}

onEveryCarrier('messages', (make) => {
  test('arrive in order and exactly once, both ways, whatever their sizes', async () => {
    const { client, server } = await make({ windowBytes: 1000 })
    const messages = fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(messages, messages, async (there, back) => {
        const exchange = async (from: typeof client, to: typeof client, sent: Uint8Array[]): Promise<void> => {
          const sending = Promise.all(sent.map((message) => from.send(message)))
          for (const message of sent) expect(digest(await to.recv())).toBe(digest(message))
          await sending
        }
        await Promise.all([exchange(client, server, there), exchange(server, client, back)])
      }),
      { numRuns: 30 },
    )
    expect(await outcome(client.recv())).toBe('pending')
  })

  test('of no bytes at all arrive as such', async () => {
    const { client, server } = await make()
    await client.send(new Uint8Array(0))
    await client.send(text('x'))
    await client.send(new Uint8Array(0))
    expect([await server.recv(), await server.recv(), await server.recv()].map(string)).toEqual(['', 'x', ''])
  })

  test('of exactly the limit pass, one byte more is refused to the sender and disturbs nobody', async () => {
    const { client, server } = await make({ limits: { maxMessageBytes: 1000 } })
    await client.send(pattern(1000))
    expect(await outcome(client.send(pattern(1001)))).toEqual(failed('message-too-large', { size: 1001, max: 1000 }))
    await client.send(text('next'))
    expect(digest(await server.recv())).toBe(digest(pattern(1000)))
    expect(string(await server.recv())).toBe('next')
  })

  test('are copied: the array can be used again as soon as send has resolved', async () => {
    const { client, server } = await make({ windowBytes: 10 })
    const bytes = pattern(100)
    await client.send(bytes)
    bytes.fill(0)
    expect(digest(await server.recv())).toBe(digest(pattern(100)))
  })

  test('that are large arrive as they were, though their frames share memory', async () => {
    const { client, server } = await make({ windowBytes: 50_000 })
    const sent = [70_000, 20_000, 30_000, 65_536, 16_384, 16_380, 3, 131_072, 20_000, 100_000].map((size) =>
      pattern(size),
    )
    for (const [i, message] of sent.entries()) message[0] = i
    const sending = (async (): Promise<void> => {
      for (let round = 0; round < 5; round++) await Promise.all(sent.map((message) => client.send(message)))
    })()
    for (let round = 0; round < 5; round++) {
      for (const message of sent) expect(digest(await server.recv())).toBe(digest(message))
    }
    await sending
  })

  test('must be bytes', async () => {
    const { client } = await make()
    expect(await outcome(client.send('text' as unknown as Uint8Array))).toEqual(failed('invalid-configuration'))
  })

  test('concurrent recv calls are served in order, and clones share the queue', async () => {
    const { client, server } = await make()
    const other = server.clone()
    const received = [server.recv(), other.recv(), server.recv()]
    for (const name of ['1', '2', '3']) await client.send(text(name))
    expect((await Promise.all(received)).map(string)).toEqual(['1', '2', '3'])
  })

  test('iteration yields them until the connection ends', async () => {
    const { client, server } = await make()
    const received: (string | undefined)[] = []
    const reading = (async (): Promise<void> => {
      for await (const message of server) received.push(string(message))
    })()
    await client.send(text('1'))
    await client.send(text('2'))
    await client.end()
    await reading
    expect(received).toEqual(['1', '2'])
  })

  test('a receiver that does not read makes the sender wait, and memory stays bounded', async () => {
    const limits = { sendQueueBytes: 20_000, receiveQueueBytes: 10_000 }
    const { client, server } = await make({ limits, windowBytes: 5_000 })
    let accepted = 0
    const sending = (async (): Promise<void> => {
      for (let i = 0; i < 200; i++) {
        await client.send(pattern(1000, i))
        accepted++
      }
    })()
    await settle()
    const before = accepted
    // Both queues, the window between them, and a batch each that is on its way.
    expect(before).toBeGreaterThanOrEqual(20)
    expect(before).toBeLessThanOrEqual((20_000 + 10_000 + 5_000) / 1000 + 20)
    await settle()
    expect(accepted).toBe(before)
    for (let i = 0; i < 200; i++) expect(digest(await server.recv())).toBe(digest(pattern(1000, i)))
    await sending
  })

  test('empty messages are bounded too', async () => {
    const limits = { sendQueueBytes: 1000, receiveQueueBytes: 1000 }
    const { client, server } = await make({ limits, windowBytes: 10 })
    let accepted = 0
    const sending = (async (): Promise<void> => {
      for (let i = 0; i < 500; i++) {
        await client.send(new Uint8Array(0))
        accepted++
      }
    })()
    await settle()
    expect(accepted).toBeLessThan(150)
    for (let i = 0; i < 500; i++) await server.recv()
    await sending
  })

  test('concurrent sends that wait are sent in the order of the calls', async () => {
    const { client, server } = await make({ limits: { sendQueueBytes: 100, receiveQueueBytes: 100 }, windowBytes: 50 })
    const sending = Promise.all(Array.from({ length: 50 }, (_, i) => client.send(pattern(i * 3, i))))
    for (let i = 0; i < 50; i++) expect(digest(await server.recv())).toBe(digest(pattern(i * 3, i)))
    await sending
  })

  test('giving up a send that waits takes that message out, and no other', async () => {
    const { client, server } = await make({ limits: { sendQueueBytes: 100, receiveQueueBytes: 10 }, windowBytes: 10 })
    const first = client.send(pattern(200, 1))
    const giveUp = new AbortController()
    const second = outcome(client.send(pattern(200, 2), { signal: giveUp.signal }))
    const third = client.send(pattern(200, 3))
    giveUp.abort('enough')
    expect(await second).toEqual(failed('aborted', { name: 'AbortError', cause: 'enough' }))
    expect(digest(await server.recv())).toBe(digest(pattern(200, 1)))
    expect(digest(await server.recv())).toBe(digest(pattern(200, 3)))
    await Promise.all([first, third])
  })

  test('giving up a recv leaves the message to the next', async () => {
    const { client, server } = await make()
    const giveUp = new AbortController()
    const first = outcome(server.recv({ signal: giveUp.signal }))
    const second = server.recv()
    giveUp.abort()
    expect(await first).toEqual(failed('aborted'))
    await client.send(text('for the second'))
    expect(string(await second)).toBe('for the second')
  })

  describe('from a hostile peer', () => {
    test('a claim of 4 GB is refused before a byte of it is kept', async () => {
      const pair = await make()
      await rawMessages(pair, encodeVarint(4 * 1024 ** 3), new Uint8Array(1000))
      const error = failed('message-too-large', { size: 4 * 1024 ** 3, max: 1_048_576 })
      expect(await outcome(pair.server.recv())).toEqual(error)
      expect(await outcome(pair.server.recv())).toEqual(error)
      // Streams of the same connection go on.
      const stream = await pair.server.openStream()
      await stream.write(text('still here'))
      expect(string(await (await pair.client.acceptStream()).read())).toBe('still here')
    })

    test('a length over 2^53 is refused', async () => {
      const pair = await make()
      await rawMessages(pair, new Uint8Array(8).fill(0xff))
      expect(await outcome(pair.server.recv())).toEqual(failed('message-too-large'))
    })

    test('an end in the middle of a message, or of its length, is a protocol error', async () => {
      for (const part of [Uint8Array.of(10, 1, 2, 3), Uint8Array.of(0x80, 0)]) {
        const pair = await make()
        const stream = await pair.client.carrier.openUni()
        await stream.write(Uint8Array.of(KIND_MESSAGES, 1, 77))
        await stream.write(part)
        await stream.finish()
        expect(digest(await pair.server.recv())).toBe(digest(Uint8Array.of(77)))
        expect(await outcome(pair.server.recv())).toEqual(failed('protocol'))
      }
    })

    test('any chopping of the bytes gives the same messages', async () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }), sizes, async (sent, cuts) => {
          const pair = await make({ windowBytes: 64 })
          const bytes = Uint8Array.from(sent.flatMap((message) => [...encodeVarint(message.length), ...message]))
          const stream = await pair.client.carrier.openUni()
          await stream.write(Uint8Array.of(KIND_MESSAGES))
          const writing = (async (): Promise<void> => {
            for (let offset = 0, i = 0; offset < bytes.length; i++) {
              const end = offset + (cuts[i % cuts.length] ?? 1)
              await stream.write(bytes.subarray(offset, end))
              offset = end
            }
            await stream.finish()
          })()
          for (const message of sent) expect(digest(await pair.server.recv())).toBe(digest(message))
          await writing
          expect(await outcome(pair.server.recv())).toEqual(failed('connection-closed'))
        }),
        { numRuns: 20 },
      )
    })
  })

  test('a sender over the receiver’s limit learns it, and the receiver is not harmed', async () => {
    const { client, server } = await make({ limits: {}, serverLimits: { maxMessageBytes: 100 } })
    await client.send(pattern(101))
    expect(await outcome(server.recv())).toEqual(failed('message-too-large', { size: 101, max: 100 }))
    await client.send(text('accepted before the peer’s word is heard'))
    await settle()
    const next = await outcome(client.send(text('x')))
    expect(next).toEqual(failed('limit-exceeded', { limit: 'maxMessageBytes' }))
  })

  test('to a side that takes none are `unsupported`', async () => {
    const { client } = await make({ listen: { kinds: ['request'] } })
    await client.send(text('anybody?'))
    await settle()
    await client.send(text('accepted before the peer’s word is heard'))
    await settle()
    expect(await outcome(client.send(text('x')))).toEqual(failed('unsupported', { what: 'messages' }))
  })
})
