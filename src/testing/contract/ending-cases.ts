/**
 * The graceful end: everything is delivered, whoever reads it and when.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { collect, fails, roundTrip, sameBytes, scrambled, string, text } from './expect.ts'
import { settling } from './pair.ts'
import type { Connection, ContractCases } from './pair.ts'

/** What one side says before it ends. */
interface Words {
  readonly messages: readonly number[]
  readonly streams: readonly number[]
  readonly finish: boolean
}

const lengths = fc.array(fc.oneof(fc.constantFrom(0, 1, 65_536), fc.integer({ min: 0, max: 60_000 })), { maxLength: 4 })
const words: fc.Arbitrary<Words> = fc.record({ messages: lengths, streams: lengths, finish: fc.boolean() })

async function say(connection: Connection, { messages, streams, finish }: Words): Promise<void> {
  for (const [i, length] of messages.entries()) await connection.send(scrambled(length, i))
  for (const [i, length] of streams.entries()) {
    const stream = await connection.openSendStream()
    // A stream says its number, as streams come in any order.
    await stream.write(Uint8Array.of(i))
    await stream.write(scrambled(length, i + 100))
    if (finish) await stream.finish()
  }
}

async function hear(connection: Connection, { messages, streams }: Words): Promise<void> {
  for (const [i, length] of messages.entries()) sameBytes(await connection.recv(), scrambled(length, i), `message ${i}`)
  const left = new Set(streams.keys())
  for (const _ of streams) {
    const stream = await connection.acceptReceiveStream()
    const [number = -1] = await stream.readExactly(1)
    assert(left.delete(number), `stream ${number} came twice, or never was`)
    const bytes = await stream.readToEnd(100_000)
    sameBytes(bytes, scrambled(streams[number] ?? 0, number + 100), `stream ${number}`)
  }
  await fails(connection.recv(), 'connection-closed')
  await fails(connection.acceptReceiveStream(), 'connection-closed')
}

/** The cases. */
export const endingCases: ContractCases = {
  'end loses nothing that was sent before it, from either side': async (pair) => {
    await pair.property(fc.tuple(words, fc.boolean()), async ([said, byClient]) => {
      const [client, server] = await pair.connect()
      const [from, to] = byClient ? [client, server] : [server, client]
      await Promise.all([say(from, said).then(() => from.end()), hear(to, said)])
      assert.deepEqual([(await from.closed).by, (await to.closed).by], ['local', 'remote'])
    })
  },
  'end by both sides at once loses nothing in either direction': async (pair) => {
    await pair.property(fc.tuple(words, words), async ([there, back]) => {
      const [client, server] = await pair.connect()
      // Both have said everything before either ends: an end turns away what the other begins after it.
      await Promise.all([say(client, there), say(server, back)])
      const heard = [hear(server, there), hear(client, back)]
      await Promise.all([client.end(), server.end(), ...heard])
    })
  },
  'what was delivered stays readable after the connection is over': async (pair) => {
    await pair.property(words, async (said) => {
      const [client, server] = await pair.connect()
      await say(client, said)
      await client.end()
      const { by, closeCode } = await server.closed
      assert.deepEqual([by, closeCode, server.isConnected()], ['remote', 0, false])
      await hear(server, said)
    })
  },
  'end is needed by nobody who has said nothing': async (pair) => {
    const [client, server] = await pair.connect()
    await server.end()
    assert.equal((await client.closed).by, 'remote')
    assert.deepEqual(await server.closed, { closeCode: 0, reason: 'ended', by: 'local', refused: false })
  },
  'end tells the peer at once that nothing follows': async (pair) => {
    const [client, server] = await pair.connect()
    const waiting = [server.recv(), server.acceptStream(), server.acceptReceiveStream(), collect(server)]
    const ending = client.end()
    assert.equal(client.isConnected(), false)
    await fails(client.openStream(), 'connection-closed', { by: 'local' })
    await fails(client.send(text('x')), 'connection-closed', { by: 'local' })
    await ending
    for (const promise of waiting.slice(0, 3)) await fails(promise, 'connection-closed', { by: 'remote' })
    assert.deepEqual(await waiting[3], [])
    assert.equal(server.isConnected(), false)
    await fails(server.openStream(), 'connection-closed')
  },
  'end waits for what the peer had sent before it knew, which can be read afterwards': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    await server.send(text('message'))
    await accepted.write(scrambled(50_000))
    await accepted.finish()
    await client.end()
    sameBytes(await stream.readToEnd(50_000), scrambled(50_000), 'answer')
    assert.equal(string(await client.recv()), 'message')
  },
  'a stream that crosses the end is given up, and never looks like an empty answer': async (pair) => {
    const [client, server] = await pair.connect()
    await roundTrip(client, server)
    const ending = server.end()
    const stream = await client.openStream()
    await Promise.allSettled([stream.write(text('question')), stream.finish()])
    await fails(stream.read(), ['stream-reset', 'connection-closed'])
    await ending
  },
  'disposing of a connection is its end': async (pair) => {
    const [client, server] = await pair.connect()
    {
      await using connection = client
      await connection.send(text('last words'))
    }
    assert.equal(client.isConnected(), false)
    assert.equal((await client.closed).reason, 'ended')
    assert.equal(string(await server.recv()), 'last words')
  },
  'the connection ends with its last handle': async (pair) => {
    const [client, server] = await pair.connect()
    const clone = client.clone()
    await client.end()
    assert.deepEqual([client.isConnected(), clone.isConnected(), server.isConnected()], [false, true, true])
    await fails(client.send(text('x')), 'connection-closed', { by: 'local' })
    await fails(client.recv(), 'connection-closed', { by: 'local' })
    await roundTrip(clone, server)
    await client.end()
    assert.equal(clone.isConnected(), true)
    await clone.end()
    assert.equal((await server.closed).by, 'remote')
  },
  'end that the peer does not confirm in time says so, and the connection is over': {
    limits: { a: { endTimeoutMs: 300 }, b: { drainBufferBytes: 1, receiveQueueBytes: 1 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      const [stream] = await pair.stream(client, server)
      const blocked = pair.block(stream)
      await fails(client.end(), 'delivery-unconfirmed')
      await fails(blocked.promise, 'connection-closed')
      assert.equal((await client.closed).by, 'local')
      assert.equal((await server.closed).by, 'remote')
    },
  },
  'end waits for a slow reader, who gets everything': {
    limits: { a: { endTimeoutMs: 120_000 }, b: { endTimeoutMs: 120_000, drainBufferBytes: 65_536 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      const [stream, accepted] = await pair.stream(client, server)
      const { beyondWindowsBytes } = pair.scale
      const blocked = pair.block(stream)
      const ending = settling(client.end())
      // Nobody has read, so nothing can have been confirmed.
      const part = await accepted.readExactly(1000)
      assert.equal(ending.settled, false)
      const rest = await accepted.readToEnd(beyondWindowsBytes)
      assert.equal(part.length + rest.length, beyondWindowsBytes)
      await Promise.all([blocked.promise, ending.promise])
    },
  },
}
