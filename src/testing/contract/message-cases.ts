/**
 * Messages: reliable, ordered, exactly once, bounded.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { collect, fails, roundTrip, sameBytes, scrambled, string, text } from './expect.ts'
import type { Connection, ContractCases } from './pair.ts'

const SMALL_QUEUES = { sendQueueBytes: 65_536, receiveQueueBytes: 65_536 }

/** Lengths around the places where frames, batches and queues have their seams. */
const messageLength = fc.oneof(
  fc.constantFrom(0, 1, 63, 64, 16_383, 16_384, 65_535, 65_536),
  fc.integer({ min: 0, max: 100_000 }),
)

async function sendAll(to: Connection, lengths: readonly number[], seed: number): Promise<void> {
  for (const [i, length] of lengths.entries()) await to.send(scrambled(length, seed + i))
}

async function expectAll(from: Connection, lengths: readonly number[], seed: number): Promise<void> {
  for (const [i, length] of lengths.entries()) {
    sameBytes(await from.recv(), scrambled(length, seed + i), `message ${i}`)
  }
}

/** The cases. */
export const messageCases: ContractCases = {
  'messages of any sizes arrive in order, exactly once, in both directions at once': async (pair) => {
    const lengths = fc.array(messageLength, { maxLength: 12 })
    await pair.property(fc.tuple(lengths, lengths), async ([there, back]) => {
      const [client, server] = await pair.connect()
      await Promise.all([
        sendAll(client, there, 1),
        sendAll(server, back, 1000),
        expectAll(server, there, 1),
        expectAll(client, back, 1000),
      ])
      const nothingMore = [collect(client), collect(server)]
      await client.end()
      assert.deepEqual(await Promise.all(nothingMore), [[], []])
    })
  },
  'an empty message is a message': async (pair) => {
    const [client, server] = await pair.connect()
    await client.send(new Uint8Array(0))
    await client.send(text('next'))
    assert.equal((await server.recv()).length, 0)
    assert.equal(string(await server.recv()), 'next')
  },
  'a message of exactly the limit, 1 MiB, is delivered': async (pair) => {
    const [client, server] = await pair.connect()
    const message = scrambled(1_048_576)
    const [received] = await Promise.all([server.recv(), client.send(message)])
    sameBytes(received, message, 'message')
  },
  'a message over the limit fails at the sender, who can go on': async (pair) => {
    const [client, server] = await pair.connect()
    const sending = client.send(new Uint8Array(1_048_577))
    await fails(sending, 'message-too-large', { size: 1_048_577, max: 1_048_576 })
    await roundTrip(client, server)
  },
  'a message over the limit of the receiver alone ends its messages, and no stream': {
    limits: { b: { maxMessageBytes: 1000 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      await client.send(scrambled(1000))
      await client.send(new Uint8Array(1001))
      sameBytes(await server.recv(), scrambled(1000), 'the message before')
      await fails(server.recv(), 'message-too-large', { size: 1001, max: 1000 })
      await server.send(text('the other direction'))
      assert.equal(string(await client.recv()), 'the other direction')
      await pair.stream(client, server)
    },
  },
  'the bytes of a message are copied: its array may be used again': async (pair) => {
    const [client, server] = await pair.connect()
    const array = text('first')
    await client.send(array)
    array.set(text('later'))
    await client.send(array)
    assert.equal(string(await server.recv()), 'first')
    assert.equal(string(await server.recv()), 'later')
  },
  'a received message is its owner’s: changing it changes no other': async (pair) => {
    const [client, server] = await pair.connect()
    for (const word of ['one', 'two', 'six']) await client.send(text(word))
    const first = await server.recv()
    new Uint8Array(first.buffer, first.byteOffset, first.length).fill(0)
    assert.equal(string(await server.recv()), 'two')
    assert.equal(string(await server.recv()), 'six')
  },
  'only a Uint8Array is a message': async (pair) => {
    const [client] = await pair.connect()
    await fails(client.send('text' as unknown as Uint8Array), 'invalid-configuration')
  },
  'concurrent calls of recv are served in order': async (pair) => {
    const [client, server] = await pair.connect()
    const receiving = Array.from({ length: 10 }, () => server.recv())
    for (let i = 0; i < 10; i++) await client.send(Uint8Array.of(i))
    assert.deepEqual(
      (await Promise.all(receiving)).map(([first]) => first),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
  },
  'concurrent calls of send are sent in order': async (pair) => {
    const [client, server] = await pair.connect()
    const { many } = pair.scale
    const sending = Promise.all(Array.from({ length: many }, (_, i) => client.send(scrambled(i * 11, i))))
    for (let i = 0; i < many; i++) sameBytes(await server.recv(), scrambled(i * 11, i), `message ${i}`)
    await sending
  },
  'the iterator gives every message, and returns when the peer has ended': async (pair) => {
    const [client, server] = await pair.connect()
    const collecting = collect(server)
    for (const word of ['so', 'long']) await client.send(text(word))
    await client.end()
    assert.deepEqual((await collecting).map(string), ['so', 'long'])
    await fails(server.recv(), 'connection-closed', { by: 'remote', closeCode: 0 })
  },
  'leaving the iterator leaves the connection, and the messages that follow': async (pair) => {
    const [client, server] = await pair.connect()
    for (const word of ['one', 'two']) await client.send(text(word))
    for await (const message of server) {
      assert.equal(string(message), 'one')
      break
    }
    assert.equal(string(await server.recv()), 'two')
    await roundTrip(server, client)
  },
  'the iterator returns when this side closes': async (pair) => {
    const [, server] = await pair.connect()
    const collecting = collect(server)
    server.close()
    assert.deepEqual(await collecting, [])
  },
  'clones share the queue, in both directions': async (pair) => {
    const [client, server] = await pair.connect()
    const clones = { client: client.clone(), server: server.clone() }
    const receiving = [server.recv(), clones.server.recv(), server.recv()]
    await client.send(text('0'))
    await clones.client.send(text('1'))
    await client.send(text('2'))
    assert.deepEqual((await Promise.all(receiving)).map(string), ['0', '1', '2'])
  },
  'a sender whose peer does not receive stops within its bounds, and loses nothing': {
    limits: { a: SMALL_QUEUES, b: SMALL_QUEUES },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      const size = 16_384
      const bound = pair.scale.beyondWindowsBytes + SMALL_QUEUES.sendQueueBytes + SMALL_QUEUES.receiveQueueBytes
      const count = Math.ceil(bound / size)
      const progress = { accepted: 0 }
      const sending = (async (): Promise<void> => {
        for (let i = 0; i < count; i++) {
          await client.send(scrambled(size, i))
          progress.accepted++
        }
      })()
      // Whatever would still move has moved when nothing has while as many bytes as a message has went there and back.
      for (let before = -1, still = 0; still < 3; before = progress.accepted) {
        if (progress.accepted === count) break
        const stream = await client.openStream()
        const written = stream.write(new Uint8Array(2 * size)).then(() => stream.finish())
        const other = await server.acceptStream()
        assert.equal((await other.readToEnd(2 * size)).length, 2 * size)
        await other.finish()
        await Promise.all([written, stream.readToEnd(0)])
        still = progress.accepted === before ? still + 1 : 0
      }
      assert(progress.accepted < count, 'the sender was never stopped')
      assert(
        progress.accepted * size >= SMALL_QUEUES.sendQueueBytes - size,
        'the sender was stopped before its queue was full',
      )
      assert(client.stats().messagesSent < count)
      for (let i = 0; i < count; i++) sameBytes(await server.recv(), scrambled(size, i), `message ${i}`)
      await sending
      assert.equal(progress.accepted, count)
    },
  },
}
