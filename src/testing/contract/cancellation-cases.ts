/**
 * Everything that waits can be given up through an `AbortSignal`, and what was given up is not broken.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { testNodeId } from '../../core/keys.ts'
import { aborts, abortsAtOnce, fails, roundTrip, sameBytes, scrambled, string, text } from './expect.ts'
import type { ContractCases } from './pair.ts'

const SMALL_QUEUES = { sendQueueBytes: 1000, receiveQueueBytes: 1000 }

/** The cases. */
export const cancellationCases: ContractCases = {
  'recv is given up, and the next one gets the message': async (pair) => {
    const [client, server] = await pair.connect()
    await aborts(
      (signal) => server.recv({ signal }),
      () => pair.stream(client, server),
    )
    await abortsAtOnce((signal) => server.recv({ signal }))
    const controller = new AbortController()
    const receiving = [server.recv({ signal: controller.signal }), server.recv()]
    controller.abort()
    await client.send(text('for the second'))
    await fails(receiving[0] as Promise<unknown>, 'aborted')
    assert.equal(string(await receiving[1]), 'for the second')
    await roundTrip(client, server)
  },
  'send is given up while it waits, and that message alone is not sent': {
    limits: { a: SMALL_QUEUES, b: SMALL_QUEUES },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      await abortsAtOnce((signal) => client.send(text('never'), { signal }))
      const size = 50_000
      const count = Math.ceil(pair.scale.beyondWindowsBytes / size) + 4
      const sending = Promise.all(Array.from({ length: count }, (_, i) => client.send(scrambled(size, i))))
      await aborts((signal) => client.send(text('given up'), { signal }))
      const after = client.send(text('after it'))
      for (let i = 0; i < count; i++) sameBytes(await server.recv(), scrambled(size, i), `message ${i}`)
      assert.equal(string(await server.recv()), 'after it')
      await Promise.all([sending, after])
    },
  },
  'acceptStream and acceptReceiveStream are given up, and the next ones get the streams': async (pair) => {
    const [client, server] = await pair.connect()
    const handshake = (): Promise<void> => roundTrip(client, server)
    await aborts((signal) => server.acceptStream({ signal }), handshake)
    await aborts((signal) => server.acceptStream({ signal, kind: 'request' }), handshake)
    await aborts((signal) => server.acceptReceiveStream({ signal }), handshake)
    await abortsAtOnce((signal) => server.acceptStream({ signal }))
    await abortsAtOnce((signal) => server.acceptReceiveStream({ signal }))
    await pair.stream(client, server)
    const oneWay = await client.openSendStream()
    await oneWay.write(text('one way'))
    assert.equal(string(await (await server.acceptReceiveStream()).read()), 'one way')
  },
  'openStream and openSendStream are given up before they begin': async (pair) => {
    const [client, server] = await pair.connect()
    await abortsAtOnce((signal) => client.openStream({ signal }))
    await abortsAtOnce((signal) => client.openSendStream({ signal }))
    await pair.stream(client, server)
  },
  'openStream is given up while the transport has no room for another': async (pair) => {
    const [client, server] = await pair.connect()
    // More at a time than any transport of ours allows.
    const controllers = Array.from({ length: 300 }, () => new AbortController())
    const opening = controllers.map(({ signal }) => client.openSendStream({ signal }))
    const opened = await opening[0]
    await opened?.write(text('first'))
    assert.equal(string(await (await server.acceptReceiveStream()).read()), 'first')
    for (const controller of controllers) controller.abort()
    const results = await Promise.allSettled(opening)
    for (const result of results) {
      if (result.status === 'rejected') await fails(Promise.reject(result.reason), 'aborted')
      else result.value.reset()
    }
    await roundTrip(client, server)
    const again = await client.openSendStream()
    await again.write(text('again'))
  },
  'a read is given up, and no byte is lost': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const handshake = (): Promise<void> => roundTrip(client, server)
    await aborts((signal) => accepted.read(100, { signal }), handshake)
    await abortsAtOnce((signal) => accepted.read(100, { signal }))
    await aborts((signal) => accepted.readExactly(5, { signal }), handshake)
    await aborts((signal) => accepted.readToEnd(5, { signal }), handshake)
    await stream.write(text('whole'))
    await stream.finish()
    assert.equal(string(await accepted.readToEnd(5)), 'whole')
  },
  'a write that is given up resets its stream': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    await abortsAtOnce((signal) => stream.write(text('never'), { signal }))
    await stream.write(text('x'))
    await aborts(
      (signal) => pair.block(stream, signal).promise,
      () => roundTrip(client, server),
    )
    await fails(stream.write(text('x')), 'stream-reset')
    const reading = (async (): Promise<void> => {
      while (await accepted.read());
    })()
    await fails(reading, 'stream-reset')
    await roundTrip(client, server)
  },
  'accept is given up, and the next one gets the connection': async (pair) => {
    const { listener } = pair
    await aborts((signal) => listener.accept({ signal }))
    await abortsAtOnce((signal) => listener.accept({ signal }))
    await pair.connect()
  },
  'connect is given up, and the node is not harmed': async (pair) => {
    const gone = await pair.third()
    const address = gone.address()
    await gone.close()
    await abortsAtOnce((signal) => pair.a.connect(pair.b.address(), { signal }))
    await aborts((signal) => pair.a.connect(address, { signal, timeoutMs: 60_000 }))
    const [client, server] = await pair.connect()
    await roundTrip(client, server)
  },
  'connect is given up at any moment, and the peer is left with nothing': async (pair) => {
    const { a, b, listener } = pair
    await pair.property(fc.integer({ min: 0, max: 300 }), async (afterMs) => {
      const controller = new AbortController()
      const connecting = a.connect(b.address(), { signal: controller.signal })
      const outcome = Promise.allSettled([connecting])
      await pair.runtime.sleep(pair.runtime.kind === 'simulated' ? afterMs : afterMs / 20)
      controller.abort()
      const [result] = await outcome
      if (result.status === 'fulfilled') result.value.close()
      else await fails(Promise.reject(result.reason), 'aborted')
      // A peer that had let it in sees it over; the connection that follows is told by its message.
      const client = pair.watch(await a.connect(b.address()))
      await client.send(text('it is me'))
      for (;;) {
        const server = pair.watch(await listener.accept())
        const word = await server.recv().catch(() => undefined)
        if (word) break
        await server.closed
      }
      await client.end()
    })
  },
  'end is given up, which closes the connection': {
    limits: { b: { drainBufferBytes: 1 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      const [stream] = await pair.stream(client, server)
      const blocked = pair.block(stream)
      await aborts((signal) => client.end({ signal }))
      await fails(blocked.promise, 'connection-closed')
      assert.equal((await server.closed).by, 'remote')
    },
  },
  'looking up a name is given up': async (pair) => {
    await abortsAtOnce((signal) => pair.a.discover('whoever', { signal }))
    await abortsAtOnce((signal) => pair.a.register('whoever', { signal }))
    await fails(pair.a.connect(testNodeId('nobody'), { signal: AbortSignal.abort() }), 'aborted')
  },
  'sleeping is given up': async ({ runtime }) => {
    await aborts((signal) => runtime.sleep(3_600_000, { signal }))
    await abortsAtOnce((signal) => runtime.sleep(1, { signal }))
  },
  'a signal that fires after the fact changes nothing': async (pair) => {
    const [client, server] = await pair.connect()
    const controller = new AbortController()
    const { signal } = controller
    await client.send(text('before'), { signal })
    assert.equal(string(await server.recv({ signal })), 'before')
    const stream = await client.openStream({ signal })
    await stream.write(text('stream'), { signal })
    const accepted = await server.acceptStream({ signal })
    assert.equal(string(await accepted.read(100, { signal })), 'stream')
    controller.abort()
    await stream.write(text('after'))
    assert.equal(string(await accepted.read()), 'after')
    await roundTrip(client, server)
  },
}
