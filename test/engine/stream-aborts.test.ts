import { describe, expect, test } from 'vitest'
import type { P2PStream } from '../../src/core/stream.ts'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

async function streamPair({ client, server }: Pair): Promise<{ ours: P2PStream; theirs: P2PStream }> {
  const ours = await client.openStream()
  await ours.write(text('!'))
  const theirs = await server.acceptStream()
  await theirs.readExactly(1)
  return { ours, theirs }
}

/** The connection has survived whatever happened to a stream. */
async function expectAlive({ client, server }: Pair): Promise<void> {
  const stream = await client.openStream()
  await stream.write(text('alive'))
  await stream.finish()
  const accepted = await server.acceptStream()
  expect(string(await accepted.readToEnd(10))).toBe('alive')
  await accepted.finish()
  expect(await stream.read()).toBeUndefined()
  await server.send(text('yes'))
  expect(string(await client.recv())).toBe('yes')
}

const CODES = [0, 7, 2 ** 32 - 1]

onEveryCarrier('aborting a stream', (make, abortsBlockedStreams) => {
  test.each(CODES)('reset(%d) reaches a waiting reader with its code', async (code) => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const read = theirs.read()
    ours.reset(code)
    expect(await outcome(read)).toEqual(failed('stream-reset', { streamCode: code }))
    expect(await outcome(theirs.read())).toEqual(failed('stream-reset', { streamCode: code }))
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-reset', { streamCode: code }))
    // The other direction is untouched.
    await theirs.write(text('back'))
    expect(string(await ours.read())).toBe('back')
    await expectAlive(pair)
  })

  test.each(CODES)('stop(%d) reaches the writer with its code', async (code) => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    theirs.stop(code)
    await settle()
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: code }))
    expect(await outcome(theirs.read())).toEqual(failed('stream-stopped', { streamCode: code }))
    await theirs.write(text('back'))
    expect(string(await ours.read())).toBe('back')
    await expectAlive(pair)
  })

  test.each([-1, 2 ** 32, 1.5, Number.NaN])('%d is no code', async (code) => {
    const { ours } = await streamPair(await make())
    expect(() => ours.reset(code)).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
    expect(() => ours.stop(code)).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
  })

  test('a blocked write is reset at once, on both sides', async () => {
    const pair = await make({ windowBytes: 1000 })
    const { ours, theirs } = await streamPair(pair)
    const write = ours.write(pattern(5000))
    const queued = ours.write(pattern(10))
    expect(await outcome(write)).toBe('pending')
    const failing = outcome(queued)
    ours.reset(9)
    expect(await outcome(write)).toEqual(failed('stream-reset', { streamCode: 9 }))
    expect(await failing).toEqual(failed('stream-reset', { streamCode: 9 }))
    await settle()
    expect(await outcome(theirs.read())).toEqual(failed('stream-reset', { streamCode: 9 }))
    expect(pair.client.carrier.outstandingBytes).toBe(0)
    await expectAlive(pair)
  })

  test('a read that waits is stopped at once, on both sides', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const read = theirs.read()
    theirs.stop(8)
    expect(await outcome(read)).toEqual(failed('stream-stopped', { streamCode: 8 }))
    await settle()
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 8 }))
    await expectAlive(pair)
  })

  test('reset by one side and stop by the other at the same moment', async () => {
    const pair = await make({ windowBytes: 100 })
    const { ours, theirs } = await streamPair(pair)
    const write = outcome(ours.write(pattern(500)))
    const back = ours.read()
    const theirBack = theirs.write(pattern(500))
    ours.reset(1)
    theirs.stop(2)
    expect(await write).toEqual(failed('stream-reset', { streamCode: 1 }))
    expect(await outcome(theirs.read())).toEqual(failed('stream-stopped', { streamCode: 2 }))
    expect(digest(await back)).toBe(digest(pattern(100)))
    theirs.reset(3)
    expect(await outcome(theirBack)).toEqual(failed('stream-reset', { streamCode: 3 }))
    await settle()
    expect(await outcome(ours.read())).toEqual(failed('stream-reset', { streamCode: 3 }))
    await expectAlive(pair)
  })

  test('a blocked write that is stopped by the peer fails at once', async () => {
    const pair = await make({ windowBytes: 1000 })
    const { ours, theirs } = await streamPair(pair)
    const write = ours.write(pattern(5000))
    await settle()
    theirs.stop(4)
    expect(await outcome(write)).toEqual(failed('stream-stopped', { streamCode: 4 }))
    await expectAlive(pair)
  })

  test('before the peer has seen a byte of it', async () => {
    const pair = await make()
    const { client, server } = pair
    const never = await client.openStream()
    never.reset(1)
    const accepted = server.acceptStream()
    expect(await outcome(accepted)).toBe('pending')
    await (await client.openStream()).write(text('next'))
    expect(string(await (await accepted).read())).toBe('next')
    await expectAlive(pair)
  })

  describe('with the first write still blocked, so that header and abort travel together', () => {
    const abortEarly = async (pair: Pair): Promise<P2PStream> => {
      pair.network.hold()
      const stream = await pair.client.openStream()
      const write = stream.write(pattern(100))
      await settle()
      stream.reset(6)
      expect(await outcome(write)).toEqual(failed('stream-reset'))
      pair.network.release()
      await settle()
      return stream
    }

    if (abortsBlockedStreams) {
      test('there is no stream to accept, and the other direction fails too', async () => {
        const pair = await make({ windowBytes: 10 })
        const stream = await abortEarly(pair)
        expect(await outcome(stream.read())).toEqual(failed('stream-reset'))
        expect(await outcome(pair.server.acceptStream())).toBe('pending')
      })
    } else {
      test('the abort is kept until the header has come', async () => {
        const pair = await make({ windowBytes: 10 })
        const stream = await abortEarly(pair)
        const accepted = await pair.server.acceptStream()
        expect(await outcome(accepted.read())).toEqual(failed('stream-reset', { streamCode: 6 }))
        await accepted.write(text('back'))
        expect(string(await stream.read())).toBe('back')
        await expectAlive(pair)
      })
    }
  })

  describe('a sender that listens hears of a stop', () => {
    test('while it writes nothing, once, with the code', async () => {
      const { ours, theirs } = await streamPair(await make())
      const heard: number[] = []
      ours.onStopped((code) => heard.push(code))
      ours.onStopped((code) => heard.push(code))[Symbol.dispose]()
      theirs.stop(12)
      await settle()
      expect(heard).toEqual([12])
      ours.onStopped((code) => heard.push(code + 1))
      expect(heard).toEqual([12, 13])
    })

    test('while a write is blocked', async () => {
      const { ours, theirs } = await streamPair(await make({ windowBytes: 10 }))
      const heard: number[] = []
      ours.onStopped((code) => heard.push(code))
      const write = outcome(ours.write(pattern(100)))
      await settle()
      theirs.stop(12)
      await write
      await settle()
      expect(heard).toEqual([12])
    })

    test.each(['finish', 'reset', 'close'] as const)('but not of %s', async (how) => {
      const pair = await make()
      const { ours, theirs } = await streamPair(pair)
      const heard: number[] = []
      ours.onStopped((code) => heard.push(code))
      if (how === 'finish') await ours.finish()
      else if (how === 'reset') ours.reset(1)
      else pair.client.close()
      await settle()
      theirs.stop(12)
      await settle()
      expect(heard).toEqual([])
    })
  })

  test('a thousand blocked streams, each aborted by both sides at once, leave nothing behind', async () => {
    const pair = await make({ windowBytes: 10 })
    for (let i = 0; i < 1000; i++) {
      const { ours, theirs } = await streamPair(pair)
      const write = outcome(ours.write(pattern(50)))
      const read = outcome(ours.read())
      ours.reset(1)
      theirs.stop(2)
      ours.stop(3)
      theirs.reset(4)
      await Promise.all([write, read])
    }
    expect(pair.client.carrier.openPipes + pair.server.carrier.openPipes).toBeLessThanOrEqual(2)
    await expectAlive(pair)
    // Frames for streams that are no more must not keep early aborts of new ones from being heard.
    const { client, server, network } = pair
    network.hold()
    const stream = await client.openStream()
    const write = stream.write(pattern(100))
    stream.reset(6)
    expect(await outcome(write)).toEqual(failed('stream-reset'))
    network.release()
    await settle()
    await expectAlive({ ...pair, client: server, server: client })
    expect(pair.client.carrier.openPipes).toBeLessThanOrEqual(2)
  })

  describe('through a signal', () => {
    test('a write that is given up takes the stream with it, and says `aborted`', async () => {
      const pair = await make({ windowBytes: 100 })
      const { ours, theirs } = await streamPair(pair)
      const giveUp = new AbortController()
      const write = ours.write(pattern(500), { signal: giveUp.signal })
      const queued = ours.write(pattern(5))
      expect(await outcome(write)).toBe('pending')
      const failing = outcome(queued)
      giveUp.abort('enough')
      expect(await outcome(write)).toEqual(failed('aborted', { name: 'AbortError', cause: 'enough' }))
      expect(await failing).toEqual(failed('stream-reset'))
      await settle()
      expect(await outcome(theirs.read())).toEqual(failed('stream-reset'))
      await expectAlive(pair)
    })

    test('a signal that has fired already stops the call before anything happens', async () => {
      const pair = await make()
      const { ours, theirs } = await streamPair(pair)
      const signal = AbortSignal.abort('too late')
      expect(await outcome(ours.write(text('x'), { signal }))).toEqual(failed('aborted'))
      expect(await outcome(theirs.read(1, { signal }))).toEqual(failed('aborted'))
      await ours.write(text('fine'))
      expect(string(await theirs.read())).toBe('fine')
    })
  })

  test('an aborted read does not keep the stream from being stopped', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const giveUp = new AbortController()
    const read = outcome(theirs.read(1, { signal: giveUp.signal }))
    giveUp.abort()
    await read
    theirs.stop(5)
    await settle()
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 5 }))
    await expectAlive(pair)
  })
})

describe('aborting a blocked stream on another protocol', () => {
  onEveryCarrier('closes the connection only where it must', (make, abortsBlockedStreams) => {
    test.each(['reset', 'stop'] as const)('%s', async (what) => {
      const { client, server } = await make({ alpn: 'test/other', windowBytes: 100 })
      const ours = await client.openStream()
      const waiting: Promise<unknown> = what === 'reset' ? ours.write(pattern(500)) : ours.read()
      if (what === 'stop') await ours.write(text('!'))
      await settle()
      if (what === 'reset') ours.reset(7)
      else ours.stop(7)
      const code = what === 'reset' ? 'stream-reset' : 'stream-stopped'
      expect(await outcome(waiting)).toEqual(failed(code, { streamCode: 7 }))
      await settle()
      expect(client.isConnected()).toBe(abortsBlockedStreams)
      expect(server.isConnected()).toBe(abortsBlockedStreams)
    })
  })
})
