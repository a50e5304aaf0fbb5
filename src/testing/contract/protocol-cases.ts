/**
 * Protocols other than our own: streams, and nothing of ours.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { fails, sameBytes, scrambled, string, text } from './expect.ts'
import type { ContractCase, ContractCases } from './pair.ts'

const ALPN = 'contract/other/1'

const foreign = (run: ContractCase['run']): ContractCase => ({ listen: { alpns: [ALPN] }, run })

/** The cases. */
export const protocolCases: ContractCases = {
  'both sides know the protocol they agreed on': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    assert.deepEqual([client.alpn, server.alpn], [ALPN, ALPN])
  }),
  'streams carry exactly the bytes that were written': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    // Among them those that mean something on our own protocol.
    const first = fc.constantFrom(0x01, 0x02, 0x11, 0x12, 0x13, 0xff)
    const length = fc.integer({ min: 0, max: 50_000 })
    await pair.property(fc.tuple(first, length), async ([kind, rest]) => {
      const bytes = Uint8Array.of(kind, ...scrambled(rest))
      const stream = await client.openStream()
      await Promise.all([stream.write(bytes), stream.finish()])
      const accepted = await server.acceptStream()
      sameBytes(await accepted.readToEnd(100_000), bytes, 'there')
      await accepted.write(bytes)
      await accepted.finish()
      sameBytes(await stream.readToEnd(100_000), bytes, 'back')
      const oneWay = await server.openSendStream()
      await oneWay.write(bytes)
      await oneWay.finish()
      sameBytes(await (await client.acceptReceiveStream()).readToEnd(100_000), bytes, 'one way')
    })
  }),
  'messages and other kinds of streams are unsupported, and say so': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    await fails(client.send(text('x')), 'unsupported')
    await fails(server.recv(), 'unsupported')
    await fails(client.openStream({ kind: 'request' }), 'unsupported')
    await fails(server.acceptStream({ kind: 'request' }), 'unsupported')
    assert(client.isConnected())
  }),
  'reset and stop arrive with their codes': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    const [first, firstHere] = await pair.stream(client, server)
    first.reset(7)
    await fails(firstHere.read(), 'stream-reset', { streamCode: 7 })
    const [second, secondHere] = await pair.stream(client, server)
    secondHere.stop(8)
    // It is on its way; bytes written before it is here go nowhere.
    const writing = (async (): Promise<void> => {
      for (;;) await second.write(new Uint8Array(65_536))
    })()
    await fails(writing, 'stream-stopped', { streamCode: 8 })
    assert.deepEqual([client.isConnected(), server.isConnected()], [true, true])
  }),
  'aborting a blocked stream never hangs, though it may close the connection': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    const [stream] = await pair.stream(client, server)
    const blocked = pair.block(stream)
    stream.reset(9)
    await fails(blocked.promise, ['stream-reset', 'connection-closed'])
    const [again, againHere] = await pair.connect()
    const [reading] = await pair.stream(again, againHere)
    const waiting = reading.read()
    reading.stop(9)
    await fails(waiting, ['stream-stopped', 'connection-closed'])
  }),
  'close arrives with its code and reason': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    client.close(77, 'enough')
    assert.deepEqual(await server.closed, { closeCode: 77, reason: 'enough', by: 'remote', refused: false })
    assert.deepEqual(await client.closed, { closeCode: 77, reason: 'enough', by: 'local', refused: false })
  }),
  'the end waits for a peer that reads and closes': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    const writing = stream.write(scrambled(100_000))
    const reading = (async (): Promise<void> => {
      const accepted = await server.acceptStream()
      sameBytes(await accepted.readToEnd(100_000), scrambled(100_000), 'stream')
      server.close(0, 'thank you')
    })()
    await Promise.all([writing, client.end(), reading])
    assert.deepEqual([client.isConnected(), server.isConnected()], [false, false])
  }),
  'a node speaks several at once': foreign(async (pair) => {
    const { a, b } = pair
    const ours = await b.listen()
    const [other] = await pair.connect()
    const [client, server] = await Promise.all([a.connect(b.address()), ours.accept()])
    await client.send(text('ours'))
    assert.equal(string(await server.recv()), 'ours')
    assert.notEqual(other.alpn, client.alpn)
    pair.watch(client)
    pair.watch(server)
  }),
}
