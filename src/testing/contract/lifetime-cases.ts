/**
 * Connections that are closed: at once, for all handles, and nothing waits for ever.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { P2PError } from '../../core/errors.ts'
import type { P2PStream } from '../../core/stream.ts'
import { fails, roundTrip, string, text, throws } from './expect.ts'
import type { Connection, ContractCases, ContractPair } from './pair.ts'

/** Everything that waits on one side of a connection, and on its end of a stream that the peer leaves alone. */
function waiting(pair: ContractPair, connection: Connection, stream: P2PStream): Promise<unknown>[] {
  return [
    connection.recv(),
    connection.recv(),
    connection.acceptStream(),
    connection.acceptStream({ kind: 'request' }),
    connection.acceptReceiveStream(),
    stream.read(),
    pair.block(stream).promise,
  ]
}

/** The cases. */
export const lifetimeCases: ContractCases = {
  'close tells the peer code and reason, and who it was': async (pair) => {
    const [client, server] = await pair.connect()
    client.close(42, 'good reasons')
    assert.equal(client.isConnected(), false)
    assert.deepEqual(await server.closed, { closeCode: 42, reason: 'good reasons', by: 'remote', refused: false })
    assert.deepEqual(await client.closed, { closeCode: 42, reason: 'good reasons', by: 'local', refused: false })
    assert.equal(server.isConnected(), false)
  },
  'codes from 0 to 2^32 - 1 and reasons of any text arrive': async (pair) => {
    const code = fc.oneof(fc.constantFrom(0, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }))
    const reason = fc.string({ unit: 'grapheme', maxLength: 60 })
    await pair.property(fc.tuple(code, reason, fc.boolean()), async ([closeCode, why, byClient]) => {
      const [client, server] = await pair.connect()
      const [closing, other] = byClient ? [client, server] : [server, client]
      closing.close(closeCode, why)
      assert.deepEqual(await other.closed, { closeCode, reason: why, by: 'remote', refused: false })
    })
  },
  'codes and reasons that cannot be sent are refused, and the connection stays': async (pair) => {
    const [client, server] = await pair.connect()
    for (const code of [-1, 0x1_0000_0000, 0.5]) throws(() => client.close(code), 'invalid-configuration')
    throws(() => client.close(0, 'x'.repeat(1025)), 'invalid-configuration')
    await roundTrip(client, server)
  },
  'everything that waits, on both sides, fails with what ended the connection': async (pair) => {
    const [client, server] = await pair.connect()
    const [first] = await pair.stream(client, server)
    const [second] = await pair.stream(server, client)
    await roundTrip(client, server)
    const [here, there] = [waiting(pair, client, first), waiting(pair, server, second)]
    const end = { closeCode: 5, reason: 'over' }
    const failing = [
      ...here.map((promise) => fails(promise, 'connection-closed', { ...end, by: 'remote' })),
      ...there.map((promise) => fails(promise, 'connection-closed', { ...end, by: 'local' })),
    ]
    server.close(5, 'over')
    await Promise.all(failing)
  },
  'nothing can be begun after the end': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    client.close(6, 'over')
    await server.closed
    for (const connection of [client, server]) {
      await fails(connection.send(text('x')), 'connection-closed')
      await fails(connection.recv(), 'connection-closed')
      await fails(connection.openStream(), 'connection-closed')
      await fails(connection.acceptStream(), 'connection-closed')
      await fails(connection.openSendStream(), 'connection-closed')
      await fails(connection.acceptReceiveStream(), 'connection-closed')
    }
    for (const half of [stream, accepted]) {
      await fails(half.read(), 'connection-closed')
      await fails(half.write(text('x')), 'connection-closed')
      half.reset()
      half.stop()
    }
  },
  'closing again, or ending, after the end does nothing': async (pair) => {
    const [client, server] = await pair.connect()
    client.close(1, 'first')
    client.close(2, 'second')
    await server.closed
    server.close(3, 'third')
    await Promise.all([client.end(), server.end()])
    assert.deepEqual([(await client.closed).closeCode, (await server.closed).closeCode], [1, 1])
  },
  'both sides may close at the same time': async (pair) => {
    const [client, server] = await pair.connect()
    client.close(1, 'one')
    server.close(2, 'two')
    const [here, there] = await Promise.all([client.closed, server.closed])
    // Each side has closed itself, or has heard the other before.
    assert.equal(here.closeCode, here.by === 'local' ? 1 : 2)
    assert.equal(there.closeCode, there.by === 'local' ? 2 : 1)
    assert(here.by === 'local' || there.by === 'local')
  },
  'closing one handle closes the connection for all of its clones': async (pair) => {
    const [client, server] = await pair.connect()
    const clone = client.clone()
    client.close(7, 'for all')
    assert.equal(clone.isConnected(), false)
    await fails(clone.send(text('x')), 'connection-closed', { closeCode: 7 })
    assert.equal((await server.closed).closeCode, 7)
  },
  'what is closed at any moment settles everything on both sides': async (pair) => {
    const scenario = fc.record({
      byClient: fc.boolean(),
      gracefully: fc.boolean(),
      afterMs: fc.integer({ min: 0, max: 400 }),
      work: fc.array(fc.constantFrom('message', 'stream', 'one-way', 'accept', 'large', 'reset'), { maxLength: 8 }),
    })
    await pair.property(scenario, async ({ byClient, gracefully, afterMs, work }) => {
      const [client, server] = await pair.connect()
      const running: Promise<unknown>[] = []
      const does = async (connection: Connection, what: (typeof work)[number]): Promise<void> => {
        if (what === 'message') {
          await connection.send(new Uint8Array(30_000))
          await connection.recv()
        } else if (what === 'stream' || what === 'large' || what === 'reset') {
          const stream = await connection.openStream()
          await stream.write(new Uint8Array(what === 'large' ? 200_000 : 100))
          if (what === 'reset') stream.reset(1)
          else await stream.finish()
          await stream.readToEnd(1_000_000)
        } else if (what === 'one-way') {
          const stream = await connection.openSendStream()
          await stream.write(new Uint8Array(5000))
          await stream.finish()
        } else {
          const stream = await connection.acceptStream()
          for (let chunk = await stream.read(); chunk; chunk = await stream.read()) await stream.write(chunk)
          await stream.finish()
        }
      }
      for (const what of work) running.push(does(client, what), does(server, what))
      const results = Promise.allSettled(running)
      // The moment is what varies; nothing depends on what has happened by then.
      await pair.runtime.sleep(pair.runtime.kind === 'simulated' ? afterMs : afterMs / 20)
      const closing = byClient ? client : server
      const ending = gracefully ? closing.end() : Promise.resolve(closing.close(9, 'now'))
      const [ended] = await Promise.allSettled([ending])
      if (ended.status === 'rejected') assert(P2PError.is(ended.reason, 'delivery-unconfirmed'), String(ended.reason))
      await Promise.all([client.closed, server.closed])
      for (const result of await results) {
        if (result.status === 'rejected') assert(P2PError.is(result.reason), String(result.reason))
      }
      assert.deepEqual([client.isConnected(), server.isConnected()], [false, false])
    })
  },
  'a connection that is silent for long is kept alive': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const reading = accepted.read()
    // Ten times the idle time-out where time is virtual; where it is real, no test could wait for it.
    await pair.runtime.sleep(pair.runtime.kind === 'simulated' ? 300_000 : 1)
    assert.deepEqual([client.isConnected(), server.isConnected()], [true, true])
    await stream.write(text('still there'))
    assert.equal(string(await reading), 'still there')
    await roundTrip(server, client)
  },
  'a connection that is closed leaves others alone': async (pair) => {
    const [first] = await pair.connect()
    const [second, secondHere] = await pair.connect()
    first.close(1)
    await first.closed
    await roundTrip(second, secondHere)
  },
  'bytes that arrived before the peer closed can still be read': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    await stream.write(text('early'))
    const accepted = await server.acceptStream()
    // They have arrived together.
    assert.equal(string(await accepted.readExactly(1)), 'e')
    client.close(3)
    assert.equal((await server.closed).closeCode, 3)
    assert.equal(string(await accepted.readExactly(4)), 'arly')
    await fails(accepted.read(), 'connection-closed', { closeCode: 3, by: 'remote' })
  },
}
