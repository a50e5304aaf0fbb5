import { describe, expect, test } from 'vitest'
import { encodeControlFrame, encodeStreamHeader, STREAM_KIND } from '../../src/core/engine/wire.ts'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { connectedPair } from '../support/memory-node.ts'
import type { Pair } from '../support/memory-node.ts'
import { listenToControl, openUni, rawClient, rawServer, readAll } from '../support/raw-peer.ts'

const END_TIMEOUT_MS = 5_000

/** Sends a message and two streams, and ends. */
async function sayGoodbye({ client }: Pair): Promise<void> {
  await client.send(text('message'))
  const twoWay = await client.openStream()
  await twoWay.write(text('two-way'))
  const oneWay = await client.openSendStream()
  await oneWay.write(text('one-way'))
  await client.end()
}

/** Everything of {@link sayGoodbye}. */
async function expectGoodbye({ server }: Pair): Promise<void> {
  expect(string(await server.recv())).toBe('message')
  expect(string(await (await server.acceptStream()).readToEnd(100))).toBe('two-way')
  expect(string(await (await server.acceptReceiveStream()).readToEnd(100))).toBe('one-way')
}

onEveryCarrier('end()', (make, abortsBlockedStreams) => {
  test('delivers everything; what nobody has read yet stays readable after the close', async () => {
    const pair = await make()
    await sayGoodbye(pair)
    expect(await pair.server.closed).toEqual({ closeCode: 0, reason: 'ended', by: 'remote', refused: false })
    await expectGoodbye(pair)
    expect(await outcome(pair.server.recv())).toEqual(failed('connection-closed', { closeCode: 0, by: 'remote' }))
    expect(await outcome(pair.server.acceptStream())).toEqual(failed('connection-closed'))
  })

  test('finishes streams that the application has left open', async () => {
    const { client, server } = await make()
    const stream = await client.openStream()
    await stream.write(text('no finish'))
    await client.end()
    expect(string(await (await server.acceptStream()).readToEnd(100))).toBe('no finish')
    expect(await outcome(stream.write(text('x')))).toHaveProperty('error')
  })

  test('does not need a word to have been said', async () => {
    const { client, server } = await make()
    await client.end()
    expect((await server.closed).by).toBe('remote')
    expect((await client.closed).by).toBe('local')
  })

  test('is disposal', async () => {
    const { client, server } = await make()
    {
      await using connection = client
      await connection.send(text('last'))
    }
    await server.closed
    expect(string(await server.recv())).toBe('last')
  })

  test('ends `isConnected` at once here, and there as soon as it is heard', async () => {
    const { client, server, network } = await make()
    network.hold()
    const ending = client.end()
    expect(client.isConnected()).toBe(false)
    expect(server.isConnected()).toBe(true)
    await settle()
    network.release()
    await ending
    expect(server.isConnected()).toBe(false)
  })

  test('a second time, after close, or after the peer’s, does nothing', async () => {
    const { client, server } = await make()
    await client.end()
    await client.end()
    await settle()
    await server.end()
    const other = await make()
    other.client.close(3, 'over')
    await other.client.end()
    expect(await other.client.closed).toEqual({ closeCode: 3, reason: 'over', by: 'local', refused: false })
  })

  test('of one handle of two leaves the connection to the other', async () => {
    const { client, server } = await make()
    const clone = client.clone()
    await client.end()
    expect(client.isConnected()).toBe(false)
    expect(clone.isConnected()).toBe(true)
    const uses = [
      (): Promise<unknown> => client.send(text('x')),
      (): Promise<unknown> => client.openStream(),
      (): Promise<unknown> => client.recv(),
      (): Promise<unknown> => client.acceptStream(),
    ]
    for (const use of uses) expect(await outcome(use())).toEqual(failed('connection-closed', { by: 'local' }))
    expect(() => client.clone()).toThrow(expect.objectContaining({ code: 'connection-closed' }))
    await clone.send(text('still'))
    expect(string(await server.recv())).toBe('still')
    await clone.end()
    expect((await server.closed).reason).toBe('ended')
  })

  test('by both sides at once loses nothing in either direction', async () => {
    const { client, server } = await make()
    const received = { client: [] as unknown[], server: [] as unknown[] }
    const collect = async (from: typeof client, into: unknown[]): Promise<void> => {
      for await (const message of from) into.push(string(message))
    }
    const collecting = [collect(client, received.client), collect(server, received.server)]
    for (let i = 0; i < 50; i++) {
      void client.send(text(`there ${i}`))
      void server.send(text(`back ${i}`))
    }
    await Promise.all([client.end(), server.end()])
    await Promise.all(collecting)
    expect(received.server).toEqual(Array.from({ length: 50 }, (_, i) => `there ${i}`))
    expect(received.client).toEqual(Array.from({ length: 50 }, (_, i) => `back ${i}`))
  })

  test('lets the ending side read what the other had sent before it knew', async () => {
    const { client, server, network } = await make()
    network.hold()
    const ending = client.end()
    await server.send(text('crossing'))
    const stream = await server.openSendStream()
    await stream.write(text('crossing too'))
    await stream.finish()
    network.release()
    await ending
    expect(string(await client.recv())).toBe('crossing')
    expect(string(await (await client.acceptReceiveStream()).readToEnd(100))).toBe('crossing too')
    expect(await outcome(client.recv())).toEqual(failed('connection-closed'))
  })

  test('waits for writes that the peer reads slowly', async () => {
    const { client, server } = await make({ windowBytes: 1000, limits: { drainBufferBytes: 1 } })
    const stream = await client.openStream()
    const write = stream.write(pattern(50_000))
    const ending = client.end()
    expect(await outcome(ending)).toBe('pending')
    const accepted = await server.acceptStream()
    expect(digest(await accepted.readToEnd(50_000))).toBe(digest(pattern(50_000)))
    await Promise.all([write, ending])
  })

  test('has room for its own frames when the application has used up all streams', async () => {
    const { client, server } = await make({ maxStreams: 3, windowBytes: 100 })
    const streams = [await client.openSendStream(), await client.openSendStream()]
    const writing = streams.map((stream) => track(stream.write(pattern(1000))))
    const third = track(client.openSendStream())
    await settle()
    expect(third.now).toBe('pending')
    expect(await outcome(client.end())).toHaveProperty('value')
    expect(third.now).toEqual(failed('connection-closed'))
    expect(writing.map(({ now }) => now)).toEqual([{ value: undefined }, { value: undefined }])
    for (const _ of streams) expect((await (await server.acceptReceiveStream()).readToEnd(1000)).length).toBe(1000)
  })

  describe('and memory', () => {
    test('beyond `drainBufferBytes` nothing is read ahead; reading makes room, on whichever stream', async () => {
      const limits = { drainBufferBytes: 150_000 }
      const pair = await make({ windowBytes: 100_000, limits })
      const { client, server } = pair
      const streams = await Promise.all([client.openSendStream(), client.openSendStream(), client.openSendStream()])
      const writing = Promise.all(streams.map((stream, i) => stream.write(pattern(200_000, i))))
      const ending = client.end()
      const accepted = [
        await server.acceptReceiveStream(),
        await server.acceptReceiveStream(),
        await server.acceptReceiveStream(),
      ] as const
      await settle()
      // 600 kB were sent; the windows still hold what the budget did not grant.
      expect(await outcome(writing)).toBe('pending')
      expect(await outcome(ending)).toBe('pending')
      for (const [i, stream] of accepted.entries()) {
        expect(digest(await stream.readToEnd(200_000))).toBe(digest(pattern(200_000, i)))
      }
      await Promise.all([writing, ending])
    })

    test('the budget is spent on bytes, not on reads', async () => {
      const limits = { drainBufferBytes: 1_000_000, receiveQueueBytes: 1000, sendQueueBytes: 1000 }
      const { client, server } = await make({ windowBytes: 200, limits })
      const sending = Promise.all(Array.from({ length: 100 }, (_, i) => client.send(pattern(100, i))))
      await settle()
      const ending = Promise.all([sending, client.end()])
      expect(await outcome(ending)).toHaveProperty('value')
      for (let i = 0; i < 100; i++) expect(digest(await server.recv())).toBe(digest(pattern(100, i)))
    })

    test('the budget is spent on bytes, not on reads, by streams too', async () => {
      const { raw, connection } = await rawClient({ abortsBlockedStreams, limits: { drainBufferBytes: 200_000 } })
      const { frames } = listenToControl(raw)
      await openUni(raw, STREAM_KIND.control, encodeControlFrame({ type: 'end', streams: 1, messages: false }))
      const stream = await openUni(raw, encodeStreamHeader(STREAM_KIND.oneWay, 0))
      for (let i = 0; i < 50; i++) {
        await stream.write(pattern(100, i))
        await settle()
      }
      await stream.finish()
      await settle()
      expect(frames).toContainEqual({ type: 'drained' })
      expect((await (await connection.acceptReceiveStream()).readToEnd(5_000)).length).toBe(5_000)
    })

    test('receiving messages gives back what they took', async () => {
      const limits = { drainBufferBytes: 10_000, receiveQueueBytes: 1_000, sendQueueBytes: 1_000 }
      const { client, server } = await make({ windowBytes: 200, limits })
      const sending = track(Promise.all(Array.from({ length: 400 }, (_, i) => client.send(pattern(100, i)))))
      const ending = track(client.end())
      await settle()
      expect([sending.now, ending.now]).toEqual(['pending', 'pending'])
      // Most are read, so that the rest fits; were nothing given back, it would not.
      for (let i = 0; i < 370; i++) expect(digest(await server.recv())).toBe(digest(pattern(100, i)))
      await settle()
      expect(ending.now).toHaveProperty('value')
      for (let i = 370; i < 400; i++) expect(digest(await server.recv())).toBe(digest(pattern(100, i)))
    })

    test('what one stream gives back another may use', async () => {
      const { client, server } = await make({ windowBytes: 100_000, limits: { drainBufferBytes: 100_000 } })
      const [first, second] = [await client.openSendStream(), await client.openSendStream()]
      const writing = [first.write(pattern(90_000)), second.write(pattern(90_000))]
      const one = await server.acceptReceiveStream()
      const ending = client.end()
      expect(await outcome(ending)).toBe('pending')
      // Only the first is read; the second is then drained into the room that this makes.
      await one.readToEnd(90_000)
      expect(await outcome(ending)).toHaveProperty('value')
      await Promise.all(writing)
      expect((await (await server.acceptReceiveStream()).readToEnd(90_000)).length).toBe(90_000)
    })
  })

  describe('a peer that does not confirm', () => {
    test('because nobody reads there: `delivery-unconfirmed` after `endTimeoutMs`, and the connection is closed', async () => {
      const { client, server, runtime } = await make({ windowBytes: 1000, limits: { drainBufferBytes: 1 } })
      const write = track((await client.openStream()).write(pattern(100_000)))
      const ending = track(client.end())
      await runtime.advance(END_TIMEOUT_MS - 1)
      expect(ending.now).toBe('pending')
      await runtime.advance(1)
      expect(ending.now).toEqual(failed('delivery-unconfirmed'))
      expect(write.now).toEqual(failed('connection-closed'))
      expect((await client.closed).by).toBe('local')
      expect((await server.closed).by).toBe('remote')
    })

    test('because it went away: `delivery-unconfirmed` at once', async () => {
      const { client, network } = await make()
      await client.send(text('x'))
      network.hold()
      const ending = track(client.end())
      client.carrier.fail('the network is gone')
      await settle()
      expect(ending.now).toEqual(failed('delivery-unconfirmed'))
      network.release()
    })

    test('because it closed: `delivery-unconfirmed` at once', async () => {
      const { client, server, network } = await make()
      network.hold()
      await client.send(text('x'))
      const ending = track(client.end())
      server.close(4, 'not interested')
      network.release()
      await settle()
      expect(ending.now).toEqual(failed('delivery-unconfirmed'))
      expect(await client.closed).toMatchObject({ closeCode: 4, by: 'remote' })
    })

    test('and is never closed either closes by itself', async () => {
      const { raw, connection, runtime } = await rawClient()
      const end = encodeControlFrame({ type: 'end', streams: 0, messages: false })
      await openUni(raw, STREAM_KIND.control, end)
      const closed = track(connection.closed)
      await runtime.advance(2 * END_TIMEOUT_MS - 1)
      expect(closed.now).toBe('pending')
      await runtime.advance(1)
      expect(closed.now).toMatchObject({ value: { by: 'local' } })
    })

    test('because it refused the messages: the streams arrive nevertheless, and end() says what did not', async () => {
      const { client, server } = await make({ limits: {}, serverLimits: { maxMessageBytes: 10 } })
      await client.send(pattern(11))
      expect(await outcome(server.recv())).toEqual(failed('message-too-large'))
      await client.send(text('x')).catch(() => {})
      await settle()
      const stream = await client.openStream()
      await stream.write(text('arrives'))
      expect(await outcome(client.end())).toEqual(failed('delivery-unconfirmed'))
      expect(string(await (await server.acceptStream()).readToEnd(100))).toBe('arrives')
    })
  })

  describe('with streams of the other side', () => {
    test('half-way: they are cut, and say so', async () => {
      const { client, server } = await make()
      const stream = await server.openStream()
      await stream.write(text('half'))
      const accepted = await client.acceptStream()
      await client.send(text('bye'))
      await client.end()
      expect(await outcome(stream.write(text('way')))).toEqual(failed('connection-closed', { by: 'remote' }))
      expect(await outcome(stream.read())).toHaveProperty('value', undefined)
      expect(string(await accepted.read())).toBe('half')
      const words = expect.stringContaining('the peer was ending the connection') as unknown
      expect(await outcome(accepted.read())).toEqual(failed('stream-reset', { message: words }))
      expect(string(await server.recv())).toBe('bye')
    })

    test('half-way: what the other side had finished arrives nevertheless', async () => {
      const { client, server, network } = await make()
      const [halfWay, never] = [await server.openStream(), await server.openStream()]
      await halfWay.write(text('half'))
      await settle()
      network.hold()
      const ending = track(client.end())
      await server.send(text('message'))
      const finished = await server.openSendStream()
      await finished.write(text('finished'))
      await finished.finish()
      network.release()
      await settle()
      expect(ending.now).toHaveProperty('value')
      expect(await client.closed).toMatchObject({ by: 'local' })
      expect(string(await client.recv())).toBe('message')
      expect(string(await (await client.acceptReceiveStream()).readToEnd(100))).toBe('finished')
      for (const stream of [halfWay, never]) {
        expect(await outcome(stream.write(text('x')))).toEqual(failed('connection-closed', { by: 'remote' }))
      }
    })

    test('opened and still silent: they do not hold it up, and are not answered', async () => {
      const { client, server } = await make()
      const silent = await server.openStream()
      expect(await outcome(client.end())).toHaveProperty('value')
      expect(await outcome(silent.write(text('x')))).toEqual(failed('connection-closed'))
    })

    test('opened and still silent, one-way too: they do not hold it up', async () => {
      const { client, server } = await make()
      const [twoWay, oneWay] = [await server.openStream(), await server.openSendStream()]
      expect(await outcome(client.end())).toHaveProperty('value')
      expect(await outcome(twoWay.write(text('x')))).toEqual(failed('connection-closed'))
      expect(await outcome(oneWay.write(text('x')))).toEqual(failed('connection-closed'))
      expect(await outcome(twoWay.read())).toHaveProperty('error')
    })

    test('on their way when it begins: the bytes can be read, and the answer is refused, not made up', async () => {
      const { client, server, network } = await make()
      network.hold()
      const ending = track(client.end())
      const stream = await server.openStream()
      await stream.write(text('question'))
      await stream.finish()
      const answer = track(stream.readToEnd(100))
      network.release()
      await settle()
      expect(ending.now).toHaveProperty('value')
      expect(answer.now).toEqual(failed('stream-reset'))
      expect(string(await (await client.acceptStream()).readToEnd(100))).toBe('question')
    })

    test('nothing new can be started on the other side, and it says why', async () => {
      const { client, server, network } = await make()
      const ending = client.end()
      await settle()
      await ending
      expect(await outcome(server.openStream())).toEqual(failed('connection-closed', { by: 'remote' }))
      expect(await outcome(server.send(text('x')))).toEqual(failed('connection-closed', { by: 'remote' }))
      network.release()
    })
  })

  describe('with an opening under way', () => {
    test('given up before: what END announces is what the peer sees, no less', async () => {
      const { raw, connection } = await rawServer({ maxStreams: 1, abortsBlockedStreams })
      const first = await connection.openStream()
      await first.write(text('first'))
      const seen = await raw.acceptBi()
      const giveUp = new AbortController()
      const second = track(connection.openStream({ signal: giveUp.signal }))
      giveUp.abort()
      await first.finish()
      await readAll(seen.receive)
      await seen.send.finish()
      expect(await outcome(first.read())).toHaveProperty('value', undefined)
      expect(second.now).toEqual(failed('aborted'))
      // The transport has opened the second only now, for nobody: the peer may see it come and go.
      expect(await outcome(raw.acceptBi())).toHaveProperty('value')
      const { frames } = listenToControl(raw)
      track(connection.end())
      await settle()
      expect(frames.at(-1)).toEqual({ type: 'end', streams: 2, messages: false })
    })

    test('is failed, and nothing is opened after END', async () => {
      const { raw, connection } = await rawServer({ maxStreams: 1, abortsBlockedStreams })
      const first = await connection.openStream()
      await first.write(text('first'))
      const seen = await raw.acceptBi()
      const second = track(connection.openStream())
      const { frames } = listenToControl(raw)
      track(connection.end())
      await settle()
      expect(frames).toEqual([{ type: 'end', streams: 1, messages: false }])
      await readAll(seen.receive)
      await seen.send.finish()
      await settle()
      expect(second.now).toEqual(failed('connection-closed'))
      expect(await outcome(raw.acceptBi())).toBe('pending')
    })
  })

  describe('through a signal', () => {
    test('closes at once and says `aborted`', async () => {
      const { client, server } = await make({ windowBytes: 100, limits: { drainBufferBytes: 1 } })
      const write = track((await client.openStream()).write(pattern(1000)))
      const giveUp = new AbortController()
      const ending = track(client.end({ signal: giveUp.signal }))
      await settle()
      expect(ending.now).toBe('pending')
      giveUp.abort('enough')
      await settle()
      expect(ending.now).toEqual(failed('aborted', { cause: 'enough' }))
      expect(write.now).toEqual(failed('connection-closed'))
      expect((await server.closed).by).toBe('remote')
    })

    test('that has fired already closes at once', async () => {
      const { client, server } = await make()
      expect(await outcome(client.end({ signal: AbortSignal.abort() }))).toEqual(failed('aborted'))
      expect((await server.closed).by).toBe('remote')
    })
  })

  test('END that overtakes the streams it announces is answered when they have come', async () => {
    const { raw, connection } = await rawClient({ abortsBlockedStreams })
    const { frames } = listenToControl(raw)
    await openUni(raw, STREAM_KIND.control, encodeControlFrame({ type: 'end', streams: 1, messages: true }))
    await settle()
    const stream = await raw.openBi()
    await stream.send.write(Buffer.concat([encodeStreamHeader(STREAM_KIND.stream, 0), text('late')]))
    await stream.send.finish()
    const messages = await openUni(raw, STREAM_KIND.messages, Uint8Array.of(1, 65))
    await settle()
    expect(frames).not.toContainEqual({ type: 'drained' })
    await messages.finish()
    await settle()
    // Although nobody has accepted or read a thing.
    expect(frames).toContainEqual({ type: 'drained' })
    expect(string(await connection.recv())).toBe('A')
    expect(string(await (await connection.acceptStream()).readToEnd(100))).toBe('late')
  })
})

describe('end() on another protocol', () => {
  test.each([true, false])(
    'where the transport confirms, it waits for that (abortsBlockedStreams: %s)',
    async (aborts) => {
      const pair = await connectedPair({ abortsBlockedStreams: aborts, confirmsDelivery: true, alpn: 'test/other' })
      const { client, server, network } = pair
      const stream = await client.openStream()
      await stream.write(text('all'))
      network.hold()
      const ending = client.end()
      expect(await outcome(ending)).toBe('pending')
      network.release()
      await ending
      expect(string(await (await server.acceptStream()).readToEnd(10))).toBe('all')
    },
  )

  test('every stream is finished, whoever opened it', async () => {
    const { client, server } = await connectedPair({ confirmsDelivery: true, alpn: 'test/other' })
    const readings = []
    for (let i = 0; i < 3; i++) {
      const theirs = await server.openStream()
      await theirs.write(text('question'))
      await (await client.acceptStream()).write(text(`answer ${i}`))
      readings.push(track(theirs.readToEnd(100).then(string)))
    }
    await client.end()
    await settle()
    expect(readings.map(({ now }) => now)).toEqual([0, 1, 2].map((i) => ({ value: `answer ${i}` })))
  })

  test('a stream that was reset is not waited for', async () => {
    const { client } = await connectedPair({ confirmsDelivery: true, alpn: 'test/other' })
    const stream = await client.openStream()
    await stream.write(text('x'))
    stream.reset(1)
    expect(await outcome(client.end())).toHaveProperty('value')
  })

  test('a transport that fails is no confirmation', async () => {
    const { client, network } = await connectedPair({ confirmsDelivery: true, alpn: 'test/other' })
    const stream = await client.openStream()
    await stream.write(text('x'))
    network.hold()
    const ending = track(client.end())
    client.carrier.fail('gone')
    await settle()
    expect(ending.now).toEqual(failed('delivery-unconfirmed'))
  })

  test('where it does not, the peer’s close confirms, and otherwise the time runs out', async () => {
    const confirmed = await connectedPair({ alpn: 'test/other' })
    const ending = track(confirmed.client.end())
    confirmed.server.close(0, 'thanks')
    await settle()
    expect(ending.now).toHaveProperty('value')

    const { client, runtime } = await connectedPair({ alpn: 'test/other' })
    const unconfirmed = track(client.end())
    await runtime.advance(END_TIMEOUT_MS - 1)
    expect(unconfirmed.now).toBe('pending')
    await runtime.advance(1)
    expect(unconfirmed.now).toEqual(failed('delivery-unconfirmed'))
    expect((await client.closed).by).toBe('local')
  })
})
