/**
 * Each door as a carrier: two real endpoints on loopback.
 *
 * @module
 */
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { CarrierConnection, CarrierStream } from '../../src/core/carrier.ts'
import { P2PAddress } from '../../src/core/address.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import type { IrohEndpoint } from '../../src/iroh/binding.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'
import { DOORS } from './doors.ts'
import {
  ALPN,
  connect,
  incoming,
  LOOPBACK,
  openEndpoint,
  openPair,
  readAll,
  scrambled,
  send,
  useDoor,
  withClock,
} from './endpoints.ts'
import { collectGarbage, within } from './raw-binding.ts'

const NEVER_MS = 150
const SOON_MS = 5_000
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** What `promise` rejects with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing',
    (error: unknown) => error,
  )
}

/** Sends back what comes, stream by stream. */
async function echoAll(connection: CarrierConnection): Promise<void> {
  try {
    for (;;) {
      const stream = await connection.acceptBi()
      void readAll(stream.receive).then(async (bytes) => send(stream.send, bytes))
    }
  } catch (error) {
    if (!P2PError.is(error, 'connection-closed')) throw error
  }
}

describe.each(DOORS)('through the $name door', (door) => {
  beforeEach(() => useDoor(door))

  const official = door.name === 'official'

  describe('a connection', () => {
    test('knows the other side and the protocol', async () => {
      await using pair = await openPair()
      expect(pair.client.remoteId.equals(testNodeId('b'))).toBe(true)
      expect(pair.server.remoteId.equals(testNodeId('a'))).toBe(true)
      expect([pair.client.alpn, pair.server.alpn]).toEqual(['test/carrier', 'test/carrier'])
      // A second address of loopback may have been probed by now: it is a path too, beside the selected one.
      const paths = pair.client.paths()
      for (const path of paths) {
        expect(path).toEqual({
          kind: 'direct',
          remote: expect.stringMatching(/^(127\.0\.0\.1|\[::1\]):\d+$/) as string,
          selected: expect.any(Boolean) as boolean,
          rttMs: expect.any(Number) as number,
        })
      }
      expect(paths.filter((path) => path.selected)).toHaveLength(1)
    })

    test('takes protocol names of any letters', async () => {
      await using pair = await openPair()
      const alpn = 'проба/é/1'
      pair.b.setAlpns([alpn, 'other'])
      const [client, server] = await Promise.all([connect(pair.a, pair.b, alpn), pair.next()])
      expect([client.alpn, server.alpn]).toEqual([alpn, alpn])
    })

    test('echoes any bytes of any size, written in any pieces and read in any', async () => {
      await using pair = await openPair()
      const echoing = echoAll(pair.server)
      // The sizes where pieces, whole writes and growing reads change their ways.
      const edges = [0, 1, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 98_304, 98_305, 131_072, 163_841]
      const size = fc.oneof(fc.constantFrom(...edges), fc.nat(200_000))
      await fc.assert(
        fc.asyncProperty(
          fc.array(size, { maxLength: 4 }),
          fc.integer({ min: 1, max: 100_000 }),
          async (sizes, maxBytes) => {
            const pieces = sizes.map((length, i) => scrambled(length, i + 1))
            const stream = await pair.client.openBi()
            const reading = readAll(stream.receive, maxBytes)
            for (const piece of pieces) if (piece.length > 0) await stream.send.write(piece)
            await stream.send.finish()
            expect(Buffer.compare(await reading, Buffer.concat(pieces))).toBe(0)
          },
        ),
        {
          numRuns: 25,
          examples: [
            [[0], 1_000],
            [[65_536, 65_536], 65_536],
            [[1_048_576], 65_536],
          ],
        },
      )
      pair.client.close(0, '')
      await echoing
    })

    test('copies what is written before write resolves, and hands out arrays of the reader’s own', async () => {
      await using pair = await openPair()
      const sender = await pair.client.openUni()
      const bytes = scrambled(200_000)
      const expected = bytes.slice()
      const receiving = pair.server.acceptUni().then(async (stream) => {
        const first = await stream.read(10)
        const rest = await readAll(stream)
        return { first, rest }
      })
      await sender.write(bytes)
      bytes.fill(0)
      await sender.finish()
      const { first, rest } = await receiving
      expect(first).toEqual(expected.slice(0, 10))
      expect(Buffer.compare(rest, expected.subarray(10))).toBe(0)
    })

    test('carries many streams at once, more than the transport opens at a time', async () => {
      await using pair = await openPair()
      const echoing = echoAll(pair.server)
      const sizes = Array.from({ length: 300 }, (_, i) => i * 37)
      const echoes = await Promise.all(
        sizes.map(async (size, i) => {
          const stream = await pair.client.openBi()
          const reading = readAll(stream.receive)
          await send(stream.send, scrambled(size, i + 1))
          return reading
        }),
      )
      expect(echoes.every((echo, i) => Buffer.compare(echo, scrambled(sizes[i] ?? 0, i + 1)) === 0)).toBe(true)
      pair.client.close(0, '')
      await echoing
    })

    test('reads nothing that was not asked for: maxBytes holds', async () => {
      await using pair = await openPair()
      const sender = await pair.client.openUni()
      await send(sender, scrambled(50_000))
      const receiver = await pair.server.acceptUni()
      const lengths: number[] = []
      for (let chunk = await receiver.read(7_000); chunk; chunk = await receiver.read(7_000)) lengths.push(chunk.length)
      expect(Math.max(...lengths)).toBeLessThanOrEqual(7_000)
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(50_000)
    })
  })

  describe('a stream', () => {
    test('half-closes: one side ends while the other goes on', async () => {
      await using pair = await openPair()
      const stream = await pair.client.openBi()
      await send(stream.send, text('question'))
      const peer = await pair.server.acceptBi()
      expect(await readAll(peer.receive)).toEqual(text('question'))
      expect(await peer.receive.read(1)).toBeUndefined()
      await send(peer.send, text('answer'))
      expect(await readAll(stream.receive)).toEqual(text('answer'))
      expect(await failure(stream.send.write(text('more')))).toMatchObject({ code: 'stream-stopped', streamCode: 0 })
    })

    test.each([0, 7, 4_294_967_295, 4_294_967_301])('carries the code %d of a reset, again and again', async (code) => {
      await using pair = await openPair()
      const sender = await pair.client.openUni()
      await sender.write(text('x'))
      const receiver = await pair.server.acceptUni()
      expect(await receiver.read(9)).toEqual(text('x'))
      sender.reset(code)
      // Twice: the binding itself would read an end the second time.
      for (let i = 0; i < 2; i++) {
        expect(await failure(receiver.read(9))).toMatchObject({
          code: 'stream-reset',
          streamCode: code,
          message: expect.not.stringContaining('Reset(') as string,
        })
      }
      expect(await failure(sender.write(text('y')))).toMatchObject({ code: 'stream-stopped' })
      sender.reset(code)
    })

    test.each([0, 8, 4_294_967_295, 4_294_967_301])(
      'carries the code %d of a stop, also to a blocked write',
      async (code) => {
        await using pair = await openPair()
        const sender = await pair.client.openUni()
        const blocked = failure(sender.write(new Uint8Array(3_000_000)))
        const receiver = await pair.server.acceptUni()
        await receiver.read(1)
        receiver.stop(code)
        receiver.stop(code)
        expect(await blocked).toMatchObject({ code: 'stream-stopped', streamCode: code })
        expect(await failure(sender.write(text('y')))).toMatchObject({ code: 'stream-stopped', streamCode: code })
        expect(await failure(receiver.read(1))).toMatchObject({ code: 'stream-stopped' })
      },
    )

    test('confirms delivery, so that a close after it loses nothing', async () => {
      await using pair = await openPair()
      const sender = await pair.client.openUni()
      await send(sender, scrambled(500_000))
      await sender.acknowledged?.()
      pair.client.close(0, '')
      await pair.server.closed
      const received = await readAll(await pair.server.acceptUni())
      expect(Buffer.compare(received, scrambled(500_000))).toBe(0)
    })

    test('does not confirm what was not finished, stopped by the peer, or lost', async () => {
      await using pair = await openPair()
      const unfinished = await pair.client.openUni()
      await unfinished.write(text('x'))
      expect(await failure(unfinished.acknowledged?.() ?? Promise.resolve())).toMatchObject({ code: 'stream-stopped' })
      const receiver = await pair.server.acceptUni()
      receiver.stop(6)
      await expect.poll(async () => failure(unfinished.write(text('y')))).toMatchObject({ streamCode: 6 })
      await unfinished.finish()
      expect(await failure(unfinished.acknowledged?.() ?? Promise.resolve())).toMatchObject({
        code: 'stream-stopped',
        streamCode: 6,
      })
      const lost = await pair.client.openUni()
      await send(lost, scrambled(1_000_000))
      const confirming = failure(lost.acknowledged?.() ?? Promise.resolve())
      pair.client.close(3, 'over')
      // On a fast machine everything may have been confirmed before.
      expect(['nothing', expect.objectContaining({ code: 'connection-closed', closeCode: 3 })]).toContainEqual(
        await confirming,
      )
    })

    test('lives on when nobody holds it any more', async () => {
      await using pair = await openPair()
      await (async () => {
        const forgotten = await pair.client.openBi()
        await forgotten.send.write(text('x'))
      })()
      const peer = await pair.server.acceptBi()
      await peer.receive.read(1)
      const reading = within(peer.receive.read(1), NEVER_MS)
      await collectGarbage()
      expect(await reading).toBe('pending')
      await peer.send.write(text('still wanted'))
      await collectGarbage()
      await expect(peer.send.write(text('still wanted'))).resolves.toBeUndefined()
    })
  })

  describe('an endpoint', () => {
    test('lives on, with its connections, when nobody holds it any more', async () => {
      const open = async (): Promise<{ weak: readonly WeakRef<IrohEndpoint>[]; streams: readonly CarrierStream[] }> => {
        const { a, b, client, server } = await openPair()
        const stream = await client.openBi()
        await stream.send.write(text('x'))
        return { weak: [new WeakRef(a), new WeakRef(b)], streams: [stream, await server.acceptBi()] }
      }
      const { weak, streams } = await open()
      await collectGarbage()
      const [near, far] = streams
      await near?.send.write(text('y'))
      expect(await far?.receive.read(1)).toEqual(text('x'))
      expect(await far?.receive.read(1)).toEqual(text('y'))
      await Promise.all(weak.map(async (endpoint) => endpoint.deref()?.close()))
    })
  })

  describe('the end of a connection', () => {
    test.each([
      [0, ''],
      [42, 'bye'],
      [7, 'a reason (code 9)'],
      [5, '8'],
      [4_294_967_295, 'é\n"quoted" \u{1f3b5}'],
      [4_294_967_298, 'ended'],
    ])('carries the code %d and the reason %j', async (closeCode, reason) => {
      await using pair = await openPair()
      pair.client.close(closeCode, reason)
      pair.client.close(1, 'only the first counts')
      expect(await pair.client.closed).toEqual({ closeCode, reason, by: 'local' })
      expect(await pair.server.closed).toEqual({ closeCode, reason, by: 'remote' })
      for (const connection of [pair.client, pair.server]) {
        const by = connection === pair.client ? 'local' : 'remote'
        const error = await failure(connection.openBi())
        expect(error).toMatchObject({ code: 'connection-closed', closeCode, reason, by })
        expect(connection.paths()).toEqual([])
      }
    })

    test('settles everything that waits, on both sides', async () => {
      await using pair = await openPair()
      const stream = await pair.client.openBi()
      await stream.send.write(text('x'))
      const peer = await pair.server.acceptBi()
      await peer.receive.read(1)
      const big = new Uint8Array(3_000_000)
      const sender = await pair.server.openUni()
      const local = [stream.receive.read(1), stream.send.write(big), pair.client.acceptBi()]
      const remote = [sender.write(big), pair.server.acceptBi(), pair.server.acceptUni()]
      if (official) {
        // Neither gets through to the waiting call on this door; the close settles both.
        stream.send.reset(1)
        stream.receive.stop(1)
      }
      const settled = [Promise.all(local.map(failure)), Promise.all(remote.map(failure))]
      pair.client.close(9, 'over')
      const closed = (by: string): unknown =>
        expect.objectContaining({ code: 'connection-closed', closeCode: 9, reason: 'over', by })
      expect(await settled[0]).toEqual([closed('local'), closed('local'), closed('local')])
      expect(await settled[1]).toEqual([closed('remote'), closed('remote'), closed('remote')])
    })

    // The official door tells idleness by our clock; the native one leaves it to QUIC.
    if (official)
      test('by silence is noticed', async () => {
        const clock = new ManualRuntime()
        await using pair = await openPair({ idleTimeoutMs: 12_000, runtime: withClock(clock) })
        await clock.advance(11_000)
        expect(pair.client.paths()).not.toEqual([])
        // What the transports have to say to each other at first comes in real time, whenever it likes.
        await expect
          .poll(async () => {
            await clock.advance(12_000)
            return pair.client.paths()
          })
          .toEqual([])
        expect(await pair.client.closed).toEqual({
          closeCode: 0,
          reason: 'timed out: no sign of life from the peer',
          by: 'transport',
        })
        expect(await pair.server.closed).toMatchObject({ closeCode: 0, by: 'remote' })
        expect(clock.pendingTimers).toBe(0)
      })

    if (official)
      test('does not come by itself while the peer talks', async () => {
        const clock = new ManualRuntime()
        await using pair = await openPair({ idleTimeoutMs: 12_000, runtime: withClock(clock) })
        for (let i = 0; i < 10; i++) {
          const sender = await pair.server.openUni()
          await send(sender, text('here'))
          await readAll(await pair.client.acceptUni())
          await clock.advance(5_000)
        }
        expect(pair.client.paths()).not.toEqual([])
      })

    test('leaves nobody waiting when the endpoint is closed, and takes no time', async () => {
      const pair = await openPair()
      const accepting = failure(pair.client.acceptBi())
      expect(await within(pair.a.close(), 1_000)).toEqual({ value: undefined })
      await pair.a.close()
      expect(await pair.client.closed).toMatchObject({ by: 'local', closeCode: 0 })
      expect(await pair.server.closed).toEqual({ by: 'remote', closeCode: 0, reason: 'the node was closed' })
      expect(await accepting).toMatchObject({ code: 'connection-closed', by: 'local' })
      expect(await failure(connect(pair.a, pair.b))).toMatchObject({ code: 'connection-closed', by: 'local' })
      await pair.b.close()
    })
  })

  describe('connecting', () => {
    test('to a protocol that is not served is refused', async () => {
      await using pair = await openPair()
      const error = await failure(connect(pair.a, pair.b, 'unknown/1'))
      expect(error).toMatchObject({
        code: 'refused',
        node: testNodeId('b').toString(),
        message: expect.stringMatching(/does not serve the protocol "unknown\/1"/) as string,
      })
      expect((error as Error).message).not.toMatch(/Error|Code::|\.rs/)
      expect((error as Error).cause).toBeInstanceOf(Error)
    })

    test('is refused while nothing is served, and goes with what is served later', async () => {
      await using pair = await openPair()
      const nobody = await failure(connect(pair.b, pair.a))
      expect(nobody).toMatchObject({
        code: 'refused',
        message: expect.stringContaining('nobody listens there') as string,
      })
      pair.b.setAlpns([])
      expect(await failure(connect(pair.a, pair.b))).toMatchObject({ code: 'refused' })
      pair.b.setAlpns(['later'])
      expect((await connect(pair.a, pair.b, 'later')).alpn).toBe('later')
      expect(await failure(connect(pair.a, pair.b))).toMatchObject({ code: 'refused' })
    })

    test('to an id without addresses, or with none that could be reached, has no route', async () => {
      await using pair = await openPair()
      const signal = AbortSignal.timeout(SOON_MS)
      for (const address of [
        new P2PAddress(testNodeId('c')),
        new P2PAddress(testNodeId('c'), ['192.0.2.1:4433', '[2001:db8::1]:4433']),
        new P2PAddress(testNodeId('c'), [], ['https://relay.example/']),
      ]) {
        expect(await failure(pair.a.connect({ address, alpn: 'x', signal }))).toMatchObject({
          code: 'no-route',
          node: testNodeId('c').toString(),
        })
      }
    })

    test('to an address where somebody else is fails, and to oneself too', async () => {
      await using pair = await openPair()
      const signal = AbortSignal.timeout(SOON_MS)
      const wrong = new P2PAddress(testNodeId('c'), pair.b.address().direct)
      expect(await failure(pair.a.connect({ address: wrong, alpn: ALPN, signal }))).toMatchObject({
        code: 'connection-failed',
        message: expect.stringContaining('somebody else') as string,
      })
      expect(await failure(connect(pair.a, pair.a))).toMatchObject({ code: 'self-connect' })
    })

    test('ends at once when the caller gives up, and closes what comes late', async () => {
      await using pair = await openPair()
      const reason = new Error('enough')
      expect(await failure(connect(pair.a, pair.b, undefined, AbortSignal.abort(reason)))).toMatchObject({
        code: 'aborted',
        cause: reason,
      })
      const controller = new AbortController()
      const attempt = failure(connect(pair.a, pair.b, undefined, controller.signal))
      controller.abort(reason)
      expect(await attempt).toMatchObject({ code: 'aborted', name: 'AbortError', cause: reason })
      if (!official) return
      const late = await pair.next()
      expect(await within(late.closed, SOON_MS)).toMatchObject({ value: { by: 'remote', closeCode: 0 } })
    })
  })

  describe('binding', () => {
    test.each([[['127.0.0.1:0', '[::1]:0']], [['127.0.0.1:0']], [['[::1]:0']]])(
      'to %j leaves no socket beyond loopback',
      async (bind) => {
        const endpoint = await openEndpoint('a', { bind })
        const bound = endpoint.boundAddresses()
        expect(bound.length).toBeGreaterThan(0)
        expect(bound.filter((address) => !/^(127\.0\.0\.1|\[::1\]):[1-9]\d*$/.test(address))).toEqual([])
        expect(endpoint.address().direct).toEqual(bound)
        expect(endpoint.address().relays).toEqual([])
        expect(endpoint.address().id.equals(testNodeId('a'))).toBe(true)
        expect(await endpoint.online(1_000)).toBe(false)
        await endpoint.close()
      },
    )

    test('to a port in use, or an address of another machine, fails and names it', async () => {
      const endpoint = await openEndpoint('a')
      const taken = endpoint.boundAddresses()[0] ?? ''
      expect(await failure(openEndpoint('b', { bind: [taken] }))).toMatchObject({
        code: 'network',
        message: `cannot bind ${taken}: a port is in use already; choose another, or 0 for any`,
      })
      expect(await failure(openEndpoint('b', { bind: ['192.0.2.123:0'] }))).toMatchObject({
        code: 'network',
        message: 'cannot bind 192.0.2.123:0: this machine has no such address',
      })
      await endpoint.close()
    })

    test('gives its port back when it is closed and collected', async () => {
      const openAndClose = async (bind: readonly string[]): Promise<readonly string[]> => {
        const endpoint = await openEndpoint('a', { bind })
        const bound = endpoint.boundAddresses()
        await endpoint.close()
        expect(endpoint.address().direct).toEqual(bound)
        return bound
      }
      const bound = await openAndClose(LOOPBACK)
      await expect
        .poll(
          async () => {
            await collectGarbage()
            return openAndClose(bound)
          },
          { timeout: SOON_MS },
        )
        .toEqual(bound)
    })

    test('takes relays by their URLs, and does without while none answers', async () => {
      const relays = ['http://127.0.0.1:9/', 'https://127.0.0.1:9/']
      const [a, b] = await Promise.all([openEndpoint('a', { relay: relays }), openEndpoint('b', { relay: relays })])
      expect(await a.online(50)).toBe(false)
      expect(a.address().relays).toEqual([])
      const next = incoming(b)
      b.setAlpns([ALPN])
      const [client] = await Promise.all([connect(a, b), next()])
      expect(client.paths().filter(({ selected }) => selected)).toMatchObject([{ kind: 'direct' }])
      await Promise.all([a.close(), b.close()])
    })

    test('takes one address of a family, and idle time-outs that the transport can keep', async () => {
      expect(await failure(openEndpoint('a', { bind: ['127.0.0.1:0', '127.0.0.2:0'] }))).toMatchObject({
        code: 'invalid-configuration',
        message: expect.stringContaining('at most one IPv4 and one IPv6') as string,
      })
      const short = openEndpoint('a', { idleTimeoutMs: 9_999 })
      expect(
        await short.then(
          async (endpoint) => endpoint.close(),
          (error: unknown) => (error as P2PError).code,
        ),
      ).toBe(official ? 'invalid-configuration' : undefined)
    })
  })
})
