/**
 * Random traffic over a carrier that delivers streams in random order, with random ends: what was sent arrives, and
 * whatever waits is settled.
 */
import { setMaxListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import type { P2PReceiveStream, P2PStream } from '../../src/core/stream.ts'
import { digest, disposePair, pattern, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { connectedPair } from '../support/memory-node.ts'
import type { MemoryConnection, Pair } from '../support/memory-node.ts'

type Action =
  | { readonly what: 'message'; readonly bytes: number }
  | { readonly what: 'two-way' | 'one-way'; readonly bytes: number }
  | { readonly what: 'pause' }

const bytes = fc.oneof(fc.nat(20), fc.nat(3_000))
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ what: fc.constant('message' as const), bytes }),
  fc.record({ what: fc.constantFrom('two-way' as const, 'one-way' as const), bytes }),
  fc.record({ what: fc.constant('pause' as const) }),
)
const script = fc.array(action, { maxLength: 12 })
const carrier = fc.record({
  abortsBlockedStreams: fc.boolean(),
  windowBytes: fc.constantFrom(1, 50, 1_000, 100_000),
  maxStreams: fc.constantFrom(3, 100),
  keepsReceived: fc.boolean(),
})
const limits = fc.record({
  sendQueueBytes: fc.constantFrom(1, 1_000, 1_048_576),
  receiveQueueBytes: fc.constantFrom(1, 1_000, 1_048_576),
})
/** Which lane moves next, and so which stream overtakes which. */
const order = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 50 })

function picker(choices: readonly number[]): (lanes: number) => number {
  let i = 0
  return (lanes) => (choices[i++ % choices.length] ?? 0) % lanes
}

/** What one side sends, in words that the other side can repeat. */
interface Log {
  readonly messages: string[]
  readonly streams: string[]
}

/** What of it the other side must have heard. */
interface Heard {
  readonly messages: string[]
  readonly streams: string[] | undefined
}

/** Reads everything that comes until there is no more. */
function readEverything(connection: MemoryConnection): { readonly log: Log; readonly done: Promise<unknown> } {
  const log: Log = { messages: [], streams: [] }
  const ignore = (error: unknown): void => {
    expect(P2PError.is(error)).toBe(true)
  }
  const whole = async (stream: P2PReceiveStream): Promise<void> => {
    log.streams.push(digest(await stream.readToEnd(100_000)))
  }
  const loop = async (accept: () => Promise<void>): Promise<void> => {
    try {
      for (;;) await accept()
    } catch (error) {
      ignore(error)
    }
  }
  const reading: Promise<void>[] = []
  const loops = [
    loop(async () => {
      log.messages.push(digest(await connection.recv()))
    }),
    loop(async () => {
      const stream = await connection.acceptStream()
      reading.push(
        (async (): Promise<void> => {
          try {
            await whole(stream)
            await stream.finish()
          } catch (error) {
            ignore(error)
          }
        })(),
      )
    }),
    loop(async () => {
      reading.push(whole(await connection.acceptReceiveStream()).catch(ignore))
    }),
  ]
  return { log, done: Promise.all(loops).then(() => Promise.all(reading)) }
}

/** Plays a script; resolves with what was sent, once it has been accepted. Some streams are left to `end()` to finish. */
async function play(connection: MemoryConnection, actions: readonly Action[], finishAll: boolean): Promise<Log> {
  const log: Log = { messages: [], streams: [] }
  for (const [seed, step] of actions.entries()) {
    if (step.what === 'pause') {
      await settle()
    } else if (step.what === 'message') {
      await connection.send(pattern(step.bytes, seed))
      log.messages.push(digest(pattern(step.bytes, seed)))
    } else {
      const stream = step.what === 'two-way' ? await connection.openStream() : await connection.openSendStream()
      if ('readToEnd' in stream) (stream as P2PStream).readToEnd(0).catch(() => {})
      await stream.write(pattern(step.bytes, seed))
      if (finishAll || step.bytes % 2 === 0) void stream.finish()
      log.streams.push(digest(pattern(step.bytes, seed)))
    }
  }
  return log
}

const sorted = (list: readonly string[]): string[] => [...list].sort()

describe('random traffic', () => {
  test('one side ends: everything it has sent arrives', async () => {
    await fc.assert(
      fc.asyncProperty(carrier, limits, order, script, async (options, bounds, choices, actions) => {
        const pair = await connectedPair({ ...options, limits: bounds, pick: picker(choices) })
        const { log, done } = readEverything(pair.server)
        const sent = await play(pair.client, actions, options.maxStreams === 3)
        await pair.client.end()
        await done
        expect(log.messages).toEqual(sent.messages)
        expect(sorted(log.streams)).toEqual(sorted(sent.streams))
        await disposePair(pair)
      }),
      { numRuns: 150 },
    )
  })

  test('one side ends, the other reads only when the connection is gone', async () => {
    await fc.assert(
      fc.asyncProperty(carrier, order, script, async (options, choices, actions) => {
        fc.pre(options.maxStreams > 3)
        // Room for a whole script, so that it can be played to nobody.
        const windowBytes = Math.max(options.windowBytes, 100_000)
        const pair = await connectedPair({ ...options, windowBytes, pick: picker(choices) })
        const sent = await play(pair.client, actions, options.maxStreams === 3)
        await pair.client.end()
        await pair.server.closed
        const { log, done } = readEverything(pair.server)
        await done
        expect(log.messages).toEqual(sent.messages)
        expect(sorted(log.streams)).toEqual(sorted(sent.streams))
        await disposePair(pair)
      }),
      { numRuns: 150 },
    )
  })

  test('both sides send and end, each when it is done: nothing is lost in either direction', async () => {
    await fc.assert(
      fc.asyncProperty(carrier, limits, order, script, script, async (options, bounds, choices, there, back) => {
        const pair = await connectedPair({ ...options, limits: bounds, pick: picker(choices) })
        const [atServer, atClient] = [readEverything(pair.server), readEverything(pair.client)]
        const run = async (connection: MemoryConnection, actions: readonly Action[]): Promise<Heard | undefined> => {
          try {
            const sent = await play(connection, actions, options.maxStreams === 3)
            // Streams that this side had not finished when it heard of the other's end are cut.
            const inTime = connection.isConnected()
            await connection.end()
            return inTime ? sent : { messages: sent.messages, streams: undefined }
          } catch (error) {
            // The other side ended while this one was in the middle of its script.
            const code = P2PError.is(error) ? error.code : error
            if (code !== 'connection-closed' && code !== 'delivery-unconfirmed') throw error
            return undefined
          }
        }
        const [sentByClient, sentByServer] = await Promise.all([run(pair.client, there), run(pair.server, back)])
        await Promise.all([atServer.done, atClient.done])
        // Who could say everything was heard to the end.
        for (const [sent, { log }] of [[sentByClient, atServer] as const, [sentByServer, atClient] as const]) {
          expect(log.messages).toEqual(sent?.messages ?? log.messages)
          expect(sorted(log.streams)).toEqual(sorted(sent?.streams ?? log.streams))
        }
        expect(sentByClient ?? sentByServer).toBeDefined()
        await disposePair(pair)
      }),
      { numRuns: 150 },
    )
  })

  test('one side ends while the other has just said everything: both are heard to the end', async () => {
    await fc.assert(
      fc.asyncProperty(carrier, order, script, script, async (options, choices, there, back) => {
        fc.pre(options.maxStreams > 3)
        // Room for a whole script, so that it can be played to nobody.
        const windowBytes = Math.max(options.windowBytes, 100_000)
        const pair = await connectedPair({ ...options, windowBytes, pick: picker(choices) })
        const { client, server, network } = pair
        const [atServer, atClient] = [readEverything(server), readEverything(client)]
        network.hold()
        const sentByClient = await play(client, there, false)
        const ending = track(client.end())
        const sentByServer = await play(server, back, true)
        network.release()
        await Promise.all([atServer.done, atClient.done])
        expect(ending.now).toHaveProperty('value')
        for (const [sent, { log }] of [[sentByClient, atServer] as const, [sentByServer, atClient] as const]) {
          expect(log.messages).toEqual(sent.messages)
          expect(sorted(log.streams)).toEqual(sorted(sent.streams))
        }
        await disposePair(pair)
      }),
      { numRuns: 150 },
    )
  })

  test('close or loss at any moment: everything that waits is settled, and nothing is left behind', async () => {
    setMaxListeners(100)
    const ends = ['close', 'fail', 'node'] as const
    await fc.assert(
      fc.asyncProperty(
        carrier,
        limits,
        order,
        script,
        script,
        fc.constantFrom(...ends),
        fc.nat(60),
        async (options, bounds, choices, there, back, how, steps) => {
          const pair: Pair = await connectedPair({ ...options, limits: bounds, pick: picker(choices) })
          const { client, server, a } = pair
          const work = [
            readEverything(server).done,
            readEverything(client).done,
            play(client, there, false),
            play(server, back, false),
            client.openStream().then((stream) => stream.read()),
            server.openStream().then((stream) => stream.write(pattern(200_000))),
            server.closed,
            client.closed,
          ].map((promise) => track<unknown>(promise))
          // A number of microtasks, so that it happens in the middle of anything.
          for (let i = 0; i < steps; i++) await Promise.resolve()
          if (how === 'close') client.close(7, 'enough')
          else if (how === 'fail') client.carrier.fail('gone')
          else void a.close()
          if (how === 'node') await pair.runtime.advance(60_000)
          // A script pauses at most as often as it has steps.
          for (let i = 0; i < 14; i++) await settle()
          expect(work.map(({ now }) => now === 'pending')).toEqual(work.map(() => false))
          const errors = work.flatMap(({ now }) => (typeof now === 'object' && 'error' in now ? [now.error] : []))
          expect(errors.filter((error) => !P2PError.is(error))).toEqual([])
          expect(client.isConnected() || server.isConnected()).toBe(false)
          await disposePair(pair)
        },
      ),
      { numRuns: 150 },
    )
  })
})
