/**
 * Streams that one side gives up: the other learns it, with the code, whatever it is doing.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { fails, roundTrip, string, text, throws } from './expect.ts'
import type { ContractCases } from './pair.ts'

/** The smallest code, the largest, and whatever is between. */
const code = fc.oneof(fc.constantFrom(0, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }))

/** The cases. */
export const streamAbortCases: ContractCases = {
  'reset fails the reads of the peer with its code': async (pair) => {
    const [client, server] = await pair.connect()
    await pair.property(code, async (streamCode) => {
      const [stream, accepted] = await pair.stream(client, server)
      stream.reset(streamCode)
      await fails(accepted.read(), 'stream-reset', { streamCode })
      await fails(stream.write(text('x')), 'stream-reset')
      accepted.reset()
    })
    assert(client.isConnected())
  },
  'stop fails the writes of the peer with its code': async (pair) => {
    const [client, server] = await pair.connect()
    await pair.property(code, async (streamCode) => {
      const [stream, accepted] = await pair.stream(client, server)
      const heard = new Promise<number>((resolve) => stream.onStopped(resolve))
      accepted.stop(streamCode)
      assert.equal(await heard, streamCode)
      await fails(stream.write(text('x')), 'stream-stopped', { streamCode })
      let again: number | undefined
      stream.onStopped((value) => (again = value))
      assert.equal(again, streamCode)
      await fails(accepted.read(), 'stream-stopped', { streamCode })
      accepted.reset()
      stream.stop()
    })
    assert(server.isConnected())
  },
  'a read that waits learns of a reset': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const reading = accepted.read()
    await roundTrip(client, server)
    stream.reset(9)
    await fails(reading, 'stream-reset', { streamCode: 9 })
  },
  'a write that is blocked learns of a stop': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const blocked = pair.block(stream)
    await roundTrip(client, server)
    assert.equal(blocked.settled, false)
    accepted.stop(10)
    await fails(blocked.promise, 'stream-stopped', { streamCode: 10 })
  },
  'a side resets while its own write is blocked': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const blocked = pair.block(stream)
    await roundTrip(client, server)
    assert.equal(blocked.settled, false)
    stream.reset(11)
    await fails(blocked.promise, 'stream-reset', { streamCode: 11 })
    let readBytes = 0
    const reading = (async (): Promise<void> => {
      for (let chunk = await accepted.read(); chunk; chunk = await accepted.read()) {
        readBytes += chunk.length
        await roundTrip(client, server)
      }
    })()
    await fails(reading, 'stream-reset', { streamCode: 11 })
    const most = pair.scale.beyondWindowsBytes / 2
    assert(readBytes < most, 'the peer had to read what was under way before it learned of the reset')
  },
  'a side stops while its own read waits': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const reading = accepted.read()
    await roundTrip(client, server)
    const heard = new Promise<number>((resolve) => stream.onStopped(resolve))
    accepted.stop(12)
    await fails(reading, 'stream-stopped', { streamCode: 12 })
    assert.equal(await heard, 12)
    await roundTrip(client, server)
  },
  'giving up one direction leaves the other': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    stream.reset(1)
    await fails(accepted.read(), 'stream-reset', { streamCode: 1 })
    await accepted.write(text('still here'))
    await accepted.finish()
    assert.equal(string(await stream.readToEnd(100)), 'still here')
  },
  'one-way streams are reset and stopped like others': async (pair) => {
    const [client, server] = await pair.connect()
    const opening = async (): Promise<
      readonly [
        Awaited<ReturnType<typeof client.openSendStream>>,
        Awaited<ReturnType<typeof server.acceptReceiveStream>>,
      ]
    > => {
      const stream = await client.openSendStream()
      const [accepted] = await Promise.all([server.acceptReceiveStream(), stream.write(text('x'))])
      assert.equal(string(await accepted.read()), 'x')
      return [stream, accepted]
    }
    const [resetting, resetHere] = await opening()
    resetting.reset(3)
    await fails(resetHere.read(), 'stream-reset', { streamCode: 3 })
    const [stopping, stopHere] = await opening()
    const heard = new Promise<number>((resolve) => stopping.onStopped(resolve))
    stopHere.stop(4)
    assert.equal(await heard, 4)
  },
  'bytes that arrived before a stop are given up with it': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    await stream.write(text('unwanted'))
    await roundTrip(client, server)
    accepted.stop(5)
    await fails(accepted.read(), 'stream-stopped', { streamCode: 5 })
  },
  'cancelling and aborting the WHATWG views is stop(0) and reset(0)': async (pair) => {
    const [client, server] = await pair.connect()
    const [stopped, cancelling] = await pair.stream(client, server)
    const heard = new Promise<number>((resolve) => stopped.onStopped(resolve))
    await cancelling.readable.cancel()
    assert.equal(await heard, 0)
    const [aborting, reset] = await pair.stream(client, server)
    await aborting.writable.abort()
    await fails(reset.read(), 'stream-reset', { streamCode: 0 })
  },
  'disposing of a stream resets what is unfinished and stops what is unread': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    const heard = new Promise<number>((resolve) => accepted.onStopped(resolve))
    stream[Symbol.dispose]()
    await fails(accepted.read(), 'stream-reset', { streamCode: 0 })
    assert.equal(await heard, 0)
  },
  'disposing of a stream that has come to its end does nothing': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream, accepted] = await pair.stream(client, server)
    await accepted.finish()
    await stream.finish()
    assert.equal(await stream.read(), undefined)
    stream[Symbol.dispose]()
    assert.equal(await accepted.read(), undefined)
  },
  'a code that is none is refused': async (pair) => {
    const [client, server] = await pair.connect()
    const [stream] = await pair.stream(client, server)
    for (const bad of [-1, 0x1_0000_0000, 1.5, Number.NaN]) {
      throws(() => stream.reset(bad), 'invalid-configuration')
      throws(() => stream.stop(bad), 'invalid-configuration')
    }
    await stream.write(text('unharmed'))
  },
  'streams that were given up count against no limit': async (pair) => {
    const [client, server] = await pair.connect()
    // More than a transport lets be open at a time.
    for (let i = 0; i < 150; i++) {
      const [stream, accepted] = await pair.stream(client, server)
      if (i % 2 === 0) {
        stream.reset(i)
        stream.stop(i)
        await fails(accepted.read(), 'stream-reset', { streamCode: i })
        accepted.reset()
      } else {
        accepted.stop(i)
        accepted.reset(i)
        await fails(stream.read(), 'stream-reset', { streamCode: i })
        stream.reset()
      }
    }
    await roundTrip(client, server)
  },
}
