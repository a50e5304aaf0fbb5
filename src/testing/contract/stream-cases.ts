/**
 * Streams: many a connection, each reliable and in order, none in the way of another.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { P2PReceiveStream, P2PSendStream } from '../../core/stream.ts'
import { fails, roundTrip, sameBytes, scrambled, string, text } from './expect.ts'
import { settling } from './pair.ts'
import type { Connection, ContractCases, ContractPair } from './pair.ts'

/** Writes `bytes` in pieces of at most `pieceBytes`, and finishes. */
async function writeAll(stream: P2PSendStream, bytes: Uint8Array, pieceBytes: number): Promise<void> {
  for (let i = 0; i < bytes.length; i += pieceBytes) await stream.write(bytes.subarray(i, i + pieceBytes))
  await stream.finish()
}

/** Sends back whatever comes, as it comes. */
async function echo(stream: P2PReceiveStream & P2PSendStream): Promise<void> {
  for (let chunk = await stream.read(); chunk; chunk = await stream.read()) await stream.write(chunk)
  await stream.finish()
}

async function echoed(pair: ContractPair, client: Connection, server: Connection, length: number, piece: number) {
  const bytes = scrambled(length, piece)
  const stream = await client.openStream()
  const echoing = server.acceptStream().then(echo)
  const [back] = await Promise.all([stream.readToEnd(pair.scale.maxBytes), writeAll(stream, bytes, piece), echoing])
  sameBytes(back, bytes, `${length} bytes in pieces of ${piece}`)
}

/** The cases. */
export const streamCases: ContractCases = {
  'a stream brings back what was written, whatever its size and its pieces': async (pair) => {
    const [client, server] = await pair.connect()
    const { maxBytes } = pair.scale
    for (const length of [0, 1, maxBytes]) await echoed(pair, client, server, length, 65_536)
    const length = fc.oneof(
      fc.constantFrom(65_535, 65_536, 65_537).filter((value) => value <= maxBytes),
      fc.integer({ min: 0, max: Math.min(maxBytes, 300_000) }),
    )
    const piece = fc.oneof(fc.integer({ min: 1000, max: 100_000 }), fc.constant(maxBytes))
    await pair.property(fc.tuple(length, piece), ([bytes, each]) => echoed(pair, client, server, bytes, each))
  },
  'many streams, opened by both sides and written in turns, do not mix': async (pair) => {
    const [client, server] = await pair.connect()
    const opening = fc.record({
      byClient: fc.boolean(),
      pieces: fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 6 }),
    })
    await pair.property(fc.array(opening, { minLength: 1, maxLength: pair.scale.many }), async (openings) => {
      const accept = async (at: Connection, count: number): Promise<void> => {
        await Promise.all(Array.from({ length: count }, () => at.acceptStream().then(echo)))
      }
      const byClient = openings.filter((opening) => opening.byClient).length
      const echoing = Promise.all([accept(server, byClient), accept(client, openings.length - byClient)])
      const streams = await Promise.all(openings.map((opening) => (opening.byClient ? client : server).openStream()))
      await Promise.all(
        openings.map(async ({ pieces }, i) => {
          const stream = streams[i]
          assert(stream)
          const parts = pieces.map((length, j) => scrambled(length, i * 100 + j))
          const writing = (async (): Promise<void> => {
            for (const part of parts) await stream.write(part)
            await stream.finish()
          })()
          const expected = new Uint8Array(Buffer.concat(parts))
          sameBytes(await stream.readToEnd(100_000), expected, `stream ${i}`)
          await writing
        }),
      )
      await echoing
    })
  },
  'a side that has finished still reads the answer': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    await stream.write(text('question'))
    await stream.finish()
    const accepted = await server.acceptStream()
    assert.equal(string(await accepted.readToEnd(100)), 'question')
    await accepted.write(text('answer'))
    await accepted.finish()
    assert.equal(string(await stream.readToEnd(100)), 'answer')
    assert.equal(await stream.read(), undefined)
    await stream.finish()
    await fails(stream.write(text('more')), 'stream-stopped')
  },
  'one-way streams carry bytes in either direction': async (pair) => {
    const [client, server] = await pair.connect()
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const stream = await from.openSendStream()
      const [accepted] = await Promise.all([to.acceptReceiveStream(), writeAll(stream, scrambled(70_000), 20_000)])
      sameBytes(await accepted.readToEnd(70_000), scrambled(70_000), 'one-way stream')
    }
  },
  'a stream opens without a round trip: the peer sees it with its first bytes': async (pair) => {
    const [client, server] = await pair.connect()
    await roundTrip(client, server)
    const startMs = pair.runtime.now()
    const stream = await client.openStream()
    if (pair.runtime.kind === 'simulated') assert.equal(pair.runtime.now(), startMs)
    const accepting = settling(server.acceptStream())
    await roundTrip(client, server)
    assert.equal(accepting.settled, false)
    await stream.write(text('x'))
    assert.equal(string(await (await accepting.promise).read()), 'x')
  },
  'a stream that is finished without a byte is seen, empty': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    const [accepted] = await Promise.all([server.acceptStream(), stream.finish()])
    assert.equal(await accepted.read(), undefined)
    const oneWay = await client.openSendStream()
    const [acceptedOneWay] = await Promise.all([server.acceptReceiveStream(), oneWay.finish()])
    assert.equal((await acceptedOneWay.readToEnd(0)).length, 0)
  },
  'a stream that nobody reads is in the way of no other, and of no message': async (pair) => {
    const [client, server] = await pair.connect()
    const [stalled, unread] = await pair.stream(client, server)
    const blocked = pair.block(stalled)
    await echoed(pair, client, server, 100_000, 10_000)
    await roundTrip(client, server)
    assert.equal(blocked.settled, false)
    const { beyondWindowsBytes } = pair.scale
    assert.equal((await unread.readExactly(beyondWindowsBytes)).length, beyondWindowsBytes)
    await blocked.promise
  },
  'messages that nobody receives are in the way of no stream': async (pair) => {
    const [client, server] = await pair.connect()
    const message = new Uint8Array(524_288)
    const count = 4 + Math.ceil(pair.scale.beyondWindowsBytes / message.length)
    const sending = settling(Promise.all(Array.from({ length: count }, () => client.send(message))))
    await echoed(pair, client, server, 100_000, 10_000)
    assert.equal(sending.settled, false)
    for (let i = 0; i < count; i++) assert.equal((await server.recv()).length, message.length)
    await sending.promise
  },
  'the bytes of a write are copied: its array may be used again': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    const array = text('first')
    await stream.write(array)
    array.set(text('later'))
    await stream.write(array)
    await stream.finish()
    assert.equal(string(await (await server.acceptStream()).readToEnd(100)), 'firstlater')
  },
  'concurrent writes are sent in the order of the calls, and finish waits for them': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    const writing = Array.from({ length: 20 }, (_, i) => stream.write(scrambled(5000, i)))
    const finishing = stream.finish()
    const accepted = await server.acceptStream()
    for (let i = 0; i < 20; i++) sameBytes(await accepted.readExactly(5000), scrambled(5000, i), `write ${i}`)
    assert.equal(await accepted.read(), undefined)
    await Promise.all([...writing, finishing])
  },
  'read gives at least one byte and at most as many as asked for': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    await writeAll(stream, scrambled(1000), 1000)
    const accepted = await server.acceptStream()
    const parts: number[] = []
    for (let chunk = await accepted.read(7); chunk; chunk = await accepted.read(7)) {
      assert(chunk.length >= 1 && chunk.length <= 7)
      parts.push(...chunk)
    }
    sameBytes(Uint8Array.from(parts), scrambled(1000), 'in sevens')
    await fails(accepted.read(0), 'invalid-configuration')
  },
  'a second reader at the same time is told so, and the first is not disturbed': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const first = accepted.read()
    await fails(accepted.read(), 'limit-exceeded')
    await stream.write(text('for the first'))
    assert.equal(string(await first), 'for the first')
  },
  'readExactly tells when a stream ends too early, readToEnd when it is too long': async (pair) => {
    const [client, server] = await pair.connect()
    const [short, shortHere] = await pair.stream(client, server)
    await writeAll(short, text('ab'), 10)
    await fails(shortHere.readExactly(3), 'protocol')
    const [long, longHere] = await pair.stream(client, server)
    await writeAll(long, text('abcd'), 10)
    await fails(longHere.readToEnd(3), 'limit-exceeded')
    const [fitting, fittingHere] = await pair.stream(client, server)
    await writeAll(fitting, text('abc'), 10)
    assert.equal(string(await fittingHere.readToEnd(3)), 'abc')
  },
  'the views as WHATWG streams carry bytes both ways': async (pair) => {
    const [client, server] = await pair.connect()
    const stream = await client.openStream()
    const bytes = scrambled(200_000)
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (let i = 0; i < bytes.length; i += 50_000) controller.enqueue(bytes.subarray(i, i + 50_000))
        controller.close()
      },
    })
    const echoing = server.acceptStream().then((accepted) => accepted.readable.pipeTo(accepted.writable))
    const parts: Uint8Array[] = []
    const reading = (async (): Promise<void> => {
      const reader = stream.readable.getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value)
    })()
    await Promise.all([source.pipeTo(stream.writable), reading, echoing])
    sameBytes(new Uint8Array(Buffer.concat(parts)), bytes, 'through WHATWG streams')
  },
  'a loop over a stream gives its bytes; leaving it early stops the peer': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const writing = writeAll(stream, scrambled(100_000), 100_000)
    const parts: Uint8Array[] = []
    for await (const part of accepted) parts.push(part)
    await writing
    sameBytes(new Uint8Array(Buffer.concat(parts)), scrambled(100_000), 'loop')
    const [endless, left] = await pair.stream(client, server)
    const stopped = new Promise<number>((resolve) => endless.onStopped(resolve))
    await endless.write(text('x'))
    for await (const part of left) {
      assert.equal(string(part), 'x')
      break
    }
    assert.equal(await stopped, 0)
  },
  'streams wait to be accepted, whole, in any number that the limits allow': async (pair) => {
    const [client, server] = await pair.connect()
    const { many } = pair.scale
    for (let i = 0; i < many; i++) {
      const stream = await client.openSendStream()
      await stream.write(Uint8Array.of(i, i + 1))
      await stream.finish()
    }
    const heard: number[] = []
    for (let i = 0; i < many; i++) {
      const [first = -1, second] = await (await server.acceptReceiveStream()).readToEnd(2)
      assert.equal(second, first + 1)
      heard.push(first)
    }
    assert.deepEqual(
      heard.sort((x, y) => x - y),
      Array.from({ length: many }, (_, i) => i),
    )
  },
  'streams beyond the limit of those that wait are turned away, and the connection lives on': {
    limits: { b: { maxWaitingStreams: 2 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      const streams = []
      for (let i = 0; i < 3; i++) {
        const stream = await client.openStream()
        await stream.write(text('anybody?'))
        streams.push(stream)
      }
      const refused = streams.map((stream, i) =>
        stream.read().then(
          () => -1,
          () => i,
        ),
      )
      const loser = await Promise.race(refused)
      assert(loser >= 0)
      for (let i = 0; i < 2; i++) {
        const accepted = await server.acceptStream()
        assert.equal(string(await accepted.readExactly(8)), 'anybody?')
        await accepted.write(text('yes'))
        await accepted.finish()
      }
      const losers = (await Promise.all(refused)).filter((index) => index >= 0)
      assert.deepEqual(losers, [loser])
      await roundTrip(client, server)
    },
  },
  'two kinds of streams go to those who take them': async (pair) => {
    const [client, server] = await pair.connect()
    const accepting = [server.acceptStream({ kind: 'request' }), server.acceptStream()] as const
    const request = await client.openStream({ kind: 'request' })
    const stream = await client.openStream()
    await Promise.all([stream.write(text('stream')), request.write(text('request'))])
    const [acceptedRequest, acceptedStream] = await Promise.all(accepting)
    assert.equal(string(await acceptedRequest.read()), 'request')
    assert.equal(string(await acceptedStream.read()), 'stream')
  },
  'a kind of streams that nobody takes is turned away, and the connection lives on': async (pair) => {
    const [client, server] = await pair.connect()
    const request = await client.openStream({ kind: 'request' })
    await request.write(text('anybody?'))
    await fails(request.read(), 'stream-reset')
    await roundTrip(client, server)
  },
}
