/**
 * The four critical scenarios: basic connectivity, latency, NAT traversal, data integrity. What every network can show is
 * in one group; what needs a network of a certain kind is in the group of conditions, for backends that can bring it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { P2PError } from '../../core/errors.ts'
import { testNodeId } from '../../core/keys.ts'
import type { ContractConditions } from './backend.ts'
import { fails, roundTrip, sameBytes, scrambled, string, text } from './expect.ts'
import type { Connection, ContractCase, ContractCases, ContractPair } from './pair.ts'

const MIN_LATENCY_MS = 1
const MAX_LATENCY_MS = 500
/** The largest transfer that the contract speaks of, each way. */
const LARGEST_BYTES = 8_388_608

/** One question and its answer on a stream of its own. */
async function ask(from: Connection, question: Uint8Array): Promise<void> {
  const stream = await from.openStream()
  const [answer] = await Promise.all([
    stream.readToEnd(question.length + 1),
    stream.write(question).then(() => stream.finish()),
  ])
  sameBytes(answer, question, 'answer')
}

/** Answers `count` questions, all at once. */
async function answer(to: Connection, count: number): Promise<void> {
  const answers: Promise<void>[] = []
  for (let i = 0; i < count; i++) {
    const stream = await to.acceptStream()
    const echo = async (): Promise<void> => {
      await stream.write(await stream.readToEnd(100_000))
      await stream.finish()
    }
    answers.push(echo())
  }
  await Promise.all(answers)
}

/** As many questions at once as the backend is to bear, messages both ways, and one stream that never answers. */
async function underLoad(pair: ContractPair): Promise<void> {
  const [client, server] = await pair.connect()
  const { many } = pair.scale
  const [silent] = await pair.stream(client, server)
  const controller = new AbortController()
  const unanswered = fails(silent.read(1, { signal: controller.signal }), 'aborted')
  const said = Array.from({ length: many }, (_, i) => scrambled(i * 37, i))
  const talk = async (from: Connection): Promise<void> => {
    for (const message of said) await from.send(message)
  }
  const hear = async (to: Connection): Promise<void> => {
    for (const [i, message] of said.entries()) sameBytes(await to.recv(), message, `message ${i}`)
  }
  await Promise.all([
    ...said.map((_, i) => ask(client, scrambled(1 + ((i * 997) % 20_000), i))),
    answer(server, many),
    ...[client, server].flatMap((side) => [talk(side), hear(side)]),
  ])
  controller.abort()
  await unanswered
  await roundTrip(client, server)
}

/** Messages of drawn sizes beside a large stream, in both directions. */
async function transfers(pair: ContractPair, maxBytes: number): Promise<void> {
  const length = fc.oneof(fc.integer({ min: 0, max: 1023 }), fc.constantFrom(65_535, 65_536, 200_000))
  await pair.property(fc.array(length, { maxLength: 10 }), async (lengths) => {
    const [client, server] = await pair.connect()
    const large = scrambled(maxBytes, lengths.length)
    const send = async (from: Connection): Promise<void> => {
      const stream = await from.openSendStream()
      const writing = stream.write(large).then(() => stream.finish())
      for (const [i, bytes] of lengths.entries()) await from.send(scrambled(bytes, i))
      await writing
    }
    const receive = async (to: Connection): Promise<void> => {
      const reading = to.acceptReceiveStream().then((stream) => stream.readToEnd(maxBytes + 1))
      for (const [i, bytes] of lengths.entries()) sameBytes(await to.recv(), scrambled(bytes, i), `message ${i}`)
      sameBytes(await reading, large, 'large stream')
    }
    await Promise.all([send(client), send(server), receive(client), receive(server)])
    await client.end()
  })
}

/** One stream of the largest size from each side at the same time, read as it comes. */
async function largest(pair: ContractPair): Promise<void> {
  const [client, server] = await pair.connect()
  const send = async (from: Connection, seed: number): Promise<void> => {
    const stream = await from.openSendStream()
    await stream.write(scrambled(LARGEST_BYTES, seed))
    await stream.finish()
  }
  const receive = async (to: Connection, seed: number): Promise<void> => {
    const stream = await to.acceptReceiveStream()
    sameBytes(await stream.readToEnd(LARGEST_BYTES), scrambled(LARGEST_BYTES, seed), 'stream of 8 MiB')
  }
  await Promise.all([send(client, 1), send(server, 2), receive(server, 1), receive(client, 2)])
  await client.end()
}

/** The cases that every backend runs. */
export const criticalCases: ContractCases = {
  'basic connectivity: any two nodes discover each other by name, connect and exchange': async (pair) => {
    const { a, b, listener } = pair
    const c = await pair.third()
    await b.register('bob')
    for (const node of [a, c]) {
      const id = await node.discover('bob')
      assert(id.equals(testNodeId('b')))
      const [client, server] = await Promise.all([node.connect(id), listener.accept()])
      assert(pair.watch(server).remoteNodeId().equals(node.localNodeId()))
      await roundTrip(pair.watch(client), server)
    }
  },
  'latency tolerance: many exchanges at once end well, beside one that never does': underLoad,
  'data integrity: large transfers and messages beside them arrive whole and in order': (pair) =>
    transfers(pair, pair.scale.maxBytes),
  'data integrity: 8 MiB in each direction at once arrive whole and in order': largest,
}

/** Latencies from the least to the most. */
const latencies: ContractCase['conditions'] = ({ latency }, { runs, seed }) => {
  if (latency === false) return []
  if (latency !== true) return latency.map((latencyMs) => ({ latencyMs }))
  const drawn = fc.sample(fc.integer({ min: MIN_LATENCY_MS, max: MAX_LATENCY_MS }), { numRuns: runs, seed })
  return [MIN_LATENCY_MS, MAX_LATENCY_MS, ...drawn].map((latencyMs) => ({ latencyMs }))
}

/** Every NAT with every other. */
const pairsOfNats: ContractCase['conditions'] = ({ nats }) =>
  nats.flatMap((first) => nats.map((second): ContractConditions => ({ nats: [first, second] })))

function latencyOf({ conditions }: ContractPair): number {
  assert(conditions.latencyMs !== undefined)
  return conditions.latencyMs
}

/** The cases for backends that can bring about latencies and NATs. */
export const conditionCases: ContractCases = {
  'at any latency from 1 to 500 ms nodes connect and exchange, and no sooner than it allows': {
    conditions: latencies,
    run: async (pair) => {
      const roundTripMs = 2 * latencyOf(pair)
      const startMs = pair.runtime.now()
      const [client, server] = await pair.connect()
      const connectedMs = pair.runtime.now()
      assert(connectedMs - startMs >= roundTripMs, `connected within ${connectedMs - startMs} ms`)
      // Two messages there and back.
      await roundTrip(client, server)
      const tookMs = pair.runtime.now() - connectedMs
      assert(tookMs >= roundTripMs, `there and back in ${tookMs} ms`)
    },
  },
  'at any latency a connect ends when its time is over, and not before': {
    conditions: latencies,
    run: async (pair) => {
      const timeoutMs = latencyOf(pair)
      const startMs = pair.runtime.now()
      await fails(pair.a.connect(pair.b.address(), { timeoutMs }), 'timeout', { afterMs: timeoutMs })
      const tookMs = pair.runtime.now() - startMs
      const { lateMs = 100 } = pair.scale
      assert(tookMs >= timeoutMs && tookMs < timeoutMs + lateMs, `it took ${tookMs} ms`)
      // What was given up may still have come to be heard of there; the next is whole.
      const client = await pair.a.connect(pair.b.address())
      const hello = text('the second')
      await client.send(hello)
      for (;;) {
        const server = await pair.listener.accept()
        try {
          assert.equal(string(await server.recv()), 'the second')
          break
        } catch (error) {
          if (!P2PError.is(error)) throw error
        }
      }
      pair.watch(client)
    },
  },
  'at any latency many exchanges at once end well, beside one that never does': {
    conditions: latencies,
    run: underLoad,
  },
  'at any latency large transfers and messages beside them arrive whole and in order': {
    conditions: latencies,
    run: (pair) => transfers(pair, Math.min(pair.scale.maxBytes, 300_000)),
  },
  'behind any two NATs nodes connect, directly or over a relay, and exchange': {
    conditions: pairsOfNats,
    run: async (pair) => {
      const [client, server] = await pair.connect()
      await roundTrip(client, server)
      for (const side of [client, server]) {
        const { path } = side.stats()
        assert(path === 'direct' || path === 'relay', `the path is ${path}`)
      }
      await client.end()
    },
  },
}
