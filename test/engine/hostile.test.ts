/** Peers that do not play by the rules: only their own connection suffers. */
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeControlFrame, encodeStreamHeader, LIBRARY_CODE, STREAM_KIND } from '../../src/core/engine/wire.ts'
import type { CarrierConnection } from '../../src/core/carrier.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { P2P_ALPN } from '../../src/core/system.ts'
import { failed, outcome, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { MemoryNode } from '../support/memory-node.ts'
import type { PairOptions } from '../support/memory-node.ts'
import { openUni, rawClient } from '../support/raw-peer.ts'
import type { RawPair } from '../support/raw-peer.ts'

const HEADER_TIMEOUT_MS = 10_000

describe.each([true, false])('a hostile peer (abortsBlockedStreams: %s)', (abortsBlockedStreams) => {
  let pair: RawPair
  let bystander: () => Promise<void>

  /** A hostile peer, and another that behaves. */
  const attack = async (options: PairOptions = {}): Promise<RawPair> => {
    pair = await rawClient({ abortsBlockedStreams, ...options })
    const { network, node, runtime } = pair
    const good = MemoryNode.create(network, 'good', { runtime })
    const listener = await node.listen('', { alpns: ['good'] })
    const there = await good.connect(node.localNodeId(), { alpn: 'good' })
    const here = await listener.accept()
    bystander = async () => {
      const stream = await there.openStream()
      await stream.write(text('unaffected'))
      const accepted = await here.acceptStream()
      expect(string(await accepted.read())).toBe('unaffected')
      stream[Symbol.dispose]()
      accepted[Symbol.dispose]()
    }
    return pair
  }

  const finish = async (): Promise<void> => {
    await settle()
    await bystander()
    const closed = track(pair.node.close())
    await pair.runtime.advance(60_000)
    expect(closed.now).toHaveProperty('value')
    expect(pair.network.violations).toEqual([])
    expect(pair.node.endpoint.connections.size).toBe(0)
    expect(pair.runtime.pendingTimers).toBe(0)
  }
  afterEach(finish)

  /** How a connection is over, for either side, once the peer has broken the protocol. */
  const ends = async ({ connection, raw }: RawPair): Promise<unknown[]> => {
    await settle()
    return [await outcome(raw.closed), await connection.closed]
  }
  const broken = [
    { value: expect.objectContaining({ closeCode: LIBRARY_CODE.protocol, by: 'remote' }) as unknown },
    expect.objectContaining({ by: 'local', closeCode: 0 }) as unknown,
  ]

  test.each([0x00, 0x03, 0x10, 0x14, 0xff])(
    'one-way stream of the unknown kind %d: the connection is over',
    async (kind) => {
      const victim = await attack()
      await openUni(victim.raw, kind, 0)
      expect(await ends(victim)).toEqual(broken)
    },
  )

  test.each([0x00, 0x03, 0x11, 0x13, 0xff])(
    'two-way stream of the unknown kind %d: the stream is given up',
    async (kind) => {
      const { raw, connection } = await attack()
      const stream = await raw.openBi()
      await stream.send.write(Uint8Array.of(kind, 0))
      const read = track(stream.receive.read(1))
      await settle()
      expect(read.now).toEqual(failed('stream-reset', { streamCode: LIBRARY_CODE.protocol }))
      expect(await outcome(stream.send.write(text('x')))).toEqual(
        failed('stream-stopped', { streamCode: LIBRARY_CODE.protocol }),
      )
      expect(connection.isConnected()).toBe(true)
    },
  )

  test.each([STREAM_KIND.control, STREAM_KIND.messages])(
    'a second stream of kind %d: the connection is over',
    async (kind) => {
      const victim = await attack()
      await openUni(victim.raw, kind)
      await openUni(victim.raw, kind)
      expect(await ends(victim)).toEqual(broken)
    },
  )

  test('a malformed control frame: the connection is over', async () => {
    const victim = await attack()
    await openUni(victim.raw, STREAM_KIND.control, encodeControlFrame({ type: 'drained' }), 0x77)
    expect(await ends(victim)).toEqual(broken)
  })

  test('control frames for streams that were never there: nothing happens, and little is kept', async () => {
    const { raw, connection } = await attack()
    const control = await openUni(raw, STREAM_KIND.control)
    for (let number = 0; number < 2_000; number++) {
      for (const openedBySender of [true, false]) {
        await control.write(encodeControlFrame({ type: 'reset', openedBySender, number: number + 5, code: 1 }))
        await control.write(encodeControlFrame({ type: 'stop', openedBySender, number: number + 5, code: 1 }))
      }
    }
    const stream = await raw.openBi()
    await stream.send.write(Buffer.concat([encodeStreamHeader(STREAM_KIND.stream, 0), text('fine')]))
    expect(string(await (await connection.acceptStream()).read())).toBe('fine')
  })

  test('control frames are understood in any pieces', async () => {
    const { raw, connection } = await attack()
    const stream = await raw.openBi()
    await stream.send.write(new Uint8Array([...encodeStreamHeader(STREAM_KIND.stream, 300), 65]))
    const accepted = await connection.acceptStream()
    await accepted.read(1)
    const read = track(accepted.read(1))
    const control = await openUni(raw, STREAM_KIND.control)
    const frames = [
      encodeControlFrame({ type: 'stop', openedBySender: true, number: 300, code: 2 ** 31 }),
      encodeControlFrame({ type: 'reset', openedBySender: true, number: 300, code: 70_000 }),
    ]
    for (const byte of Buffer.concat(frames)) {
      await control.write(Uint8Array.of(byte))
      await settle()
    }
    expect(read.now).toEqual(failed('stream-reset', { streamCode: 70_000 }))
    expect(await outcome(accepted.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 2 ** 31 }))
    expect(connection.isConnected()).toBe(true)
  })

  test('aborts of streams to come are kept, but no more than 256 of them', async () => {
    const { raw, connection } = await attack()
    const control = await openUni(raw, STREAM_KIND.control)
    for (let number = 0; number < 300; number++) {
      await control.write(encodeControlFrame({ type: 'reset', openedBySender: true, number, code: 9 }))
    }
    await settle()
    const open = async (number: number): Promise<unknown> => {
      const stream = await raw.openBi()
      await stream.send.write(new Uint8Array([...encodeStreamHeader(STREAM_KIND.stream, number), 65]))
      return outcome((await connection.acceptStream()).read())
    }
    expect(await open(299)).toEqual(failed('stream-reset', { streamCode: 9 }))
    expect(await open(0)).toEqual({ value: Uint8Array.of(65) })
  })

  test('a close in the library’s words is told in the application’s, to whoever waits for whatever', async () => {
    const { raw, connection } = await attack()
    await openUni(raw, STREAM_KIND.messages, Uint8Array.of(1, 65))
    const [twoWay, oneWay] = [await raw.openBi(), await openUni(raw, encodeStreamHeader(STREAM_KIND.oneWay, 1))]
    await twoWay.send.write(encodeStreamHeader(STREAM_KIND.stream, 0))
    const stream = await connection.acceptStream()
    await connection.recv()
    const waiting = [
      connection.recv(),
      stream.read(),
      (await connection.acceptReceiveStream()).read(),
      stream.write(new Uint8Array(1_000_000)),
      connection.acceptStream(),
    ].map((promise) => track<unknown>(promise))
    await settle()
    raw.close(LIBRARY_CODE.refused, 'not you')
    await settle()
    expect(waiting.map(({ now }) => now)).toEqual(waiting.map(() => failed('refused')))
    expect(await outcome(oneWay.write(text('x')))).toHaveProperty('error')
    expect(await connection.closed).toEqual({ closeCode: 0, reason: 'not you', by: 'remote', refused: true })
  })

  test('the same number for two streams', async () => {
    const { raw, connection } = await attack()
    for (const name of ['one', 'two']) {
      const stream = await raw.openBi()
      await stream.send.write(Buffer.concat([encodeStreamHeader(STREAM_KIND.stream, 7), text(name)]))
      await stream.send.finish()
    }
    expect(string(await (await connection.acceptStream()).readToEnd(9))).toBe('one')
    expect(string(await (await connection.acceptStream()).readToEnd(9))).toBe('two')
  })

  test('a number beyond 2^53', async () => {
    const { raw } = await attack()
    const stream = await raw.openBi()
    await stream.send.write(Buffer.from('01ffffffffffffffff', 'hex'))
    expect(await outcome(stream.receive.read(1))).toEqual(failed('stream-reset', { streamCode: LIBRARY_CODE.protocol }))
  })

  describe('that opens a stream and says nothing', () => {
    const silent = async (
      { raw }: RawPair,
      bytes: readonly number[],
    ): Promise<Awaited<ReturnType<CarrierConnection['openBi']>>> => {
      const stream = await raw.openBi()
      if (bytes.length > 0) await stream.send.write(Uint8Array.from(bytes))
      // A later stream makes the silent one appear.
      const later = await raw.openBi()
      await later.send.write(Buffer.concat([encodeStreamHeader(STREAM_KIND.stream, 99), text('later')]))
      return stream
    }

    test.each([[[]], [[0x01]], [[0x01, 0x80, 0x00]]])(
      '(but for %j) is given up after 10 s, and not before',
      async (bytes) => {
        const victim = await attack()
        const stream = await silent(victim, bytes)
        const read = track(stream.receive.read(1))
        await victim.runtime.advance(HEADER_TIMEOUT_MS - 1)
        expect(read.now).toBe('pending')
        await victim.runtime.advance(1)
        expect(read.now).toEqual(failed('stream-reset', { streamCode: LIBRARY_CODE.headerTimeout }))
        expect(string(await (await victim.connection.acceptStream()).read())).toBe('later')
      },
    )

    test('and speaks too late is not listened to', async () => {
      const victim = await attack()
      const stream = await silent(victim, [])
      await victim.runtime.advance(HEADER_TIMEOUT_MS)
      await stream.send.write(Buffer.concat([encodeStreamHeader(STREAM_KIND.stream, 0), text('late')])).catch(() => {})
      await settle()
      expect(string(await (await victim.connection.acceptStream()).read())).toBe('later')
      expect(await outcome(victim.connection.acceptStream())).toBe('pending')
    })

    test('on a hundred streams: each is given up in its own time', async () => {
      const victim = await attack({ maxStreams: 200 })
      const reads = []
      for (let i = 0; i < 50; i++) {
        const stream = await victim.raw.openBi()
        await stream.send.write(Uint8Array.of(STREAM_KIND.stream))
        reads.push(track(stream.receive.read(1)))
        await victim.runtime.advance(100)
      }
      await victim.runtime.advance(HEADER_TIMEOUT_MS - 2_500)
      const given = reads.map(({ now }) => now !== 'pending')
      expect(given).toEqual(reads.map((_, i) => i <= 25))
      await victim.runtime.advance(HEADER_TIMEOUT_MS)
      expect(reads.every(({ now }) => now !== 'pending')).toBe(true)
      expect(victim.runtime.pendingTimers).toBe(0)
    })
  })

  test('DRAINED and END that nobody asked for, in any order', async () => {
    const frames = fc.array(
      fc.constantFrom(
        encodeControlFrame({ type: 'drained' }),
        encodeControlFrame({ type: 'end', streams: 3, messages: true }),
        encodeControlFrame({ type: 'end', streams: 0, messages: false }),
        encodeControlFrame({ type: 'reset', openedBySender: true, number: 0, code: 1 }),
        encodeControlFrame({ type: 'stop', openedBySender: false, number: 0, code: 1 }),
      ),
      { maxLength: 8 },
    )
    await attack()
    await fc.assert(
      fc.asyncProperty(frames, async (list) => {
        const { raw, connection, runtime, node } = await rawClient({ abortsBlockedStreams })
        await openUni(raw, STREAM_KIND.control, ...list)
        await settle()
        const ended = track(connection.end())
        await runtime.advance(60_000)
        expect(ended.now).not.toBe('pending')
        await node.close()
        expect(runtime.pendingTimers).toBe(0)
      }),
      { numRuns: 40 },
    )
  })

  test('any bytes on any streams: whatever happens, happens to this connection alone', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      // More often something that looks right at first.
      fc
        .tuple(fc.constantFrom(...Object.values(STREAM_KIND)), fc.uint8Array({ maxLength: 40 }))
        .map(([kind, rest]) => Uint8Array.of(kind, ...rest)),
    )
    const end = fc.constantFrom('open', 'finish', 'reset')
    const streams = fc.array(fc.record({ twoWay: fc.boolean(), bytes, end }), { minLength: 1, maxLength: 8 })
    const { network, runtime } = await attack()
    await fc.assert(
      fc.asyncProperty(streams, async (list) => {
        const { signal } = new AbortController()
        const node = MemoryNode.create(network, 'target', { runtime })
        const listener = await node.listen()
        const raw = await network
          .endpoint(testNodeId('fuzz'))
          .connect({ address: node.address(), alpn: P2P_ALPN, signal })
        const connection = await listener.accept()
        const work = [
          connection.recv(),
          connection.acceptStream().then((stream) => stream.readToEnd(100)),
          connection.acceptReceiveStream().then((stream) => stream.readToEnd(100)),
          connection.send(text('hello')),
          connection.closed,
        ].map((promise) => track<unknown>(promise))
        for (const { twoWay, bytes, end } of list) {
          const opened = twoWay ? (await raw.openBi()).send : await raw.openUni()
          try {
            await opened.write(bytes)
            if (end === 'finish') await opened.finish()
            if (end === 'reset') opened.reset(3)
          } catch (error) {
            if (!P2PError.is(error)) throw error
          }
          if (!connection.isConnected()) break
        }
        await settle()
        await bystander()
        connection.close()
        listener.close()
        await settle()
        expect(work.map(({ now }) => now === 'pending')).toEqual(work.map(() => false))
        const errors = work.flatMap(({ now }) => (typeof now === 'object' && 'error' in now ? [now.error] : []))
        expect(errors.filter((error) => !P2PError.is(error))).toEqual([])
        await Promise.all([node.close(), runtime.advance(60_000)])
        expect(runtime.pendingTimers).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
})
