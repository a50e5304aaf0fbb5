/**
 * Peers that speak the library's own protocol, and speak nonsense: bytes on real streams of real connections, without an
 * engine of ours at their end. What each byte does is in `test/engine` and `test/router`; here is that a node over a real
 * door stays a node, and others are served meanwhile.
 *
 * @module
 */
import * as iroh from '@number0/iroh'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { encodeControlFrame, encodeStreamHeader, STREAM_KIND } from '../../src/core/engine/wire.ts'
import { encodeVarint } from '../../src/core/encoding.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testSigningKey } from '../../src/core/keys.ts'
import { P2P_ALPN } from '../../src/core/system.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { encodeRequest } from '../../src/router/codec.ts'
import { P2PHeaders } from '../../src/router/headers.ts'
import { P2PResponse, P2PRouter, request, serve } from '../../src/router/index.ts'
import { DOORS } from './doors.ts'
import { LOOPBACK, scrambled } from './endpoints.ts'
import { bytesOf, rawEndpoint, within } from './raw-binding.ts'

const SEED = 20_261_130
const CONNECTIONS = 100
const STREAMS_EACH = 8
/** A loaded machine is slow to everybody; what hangs takes longer than this. */
const PATIENCE_MS = 60_000
const LIMIT_MS = 300_000

/** Numbers drawn from a seed. */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  below(bound: number): number {
    this.#state ^= this.#state << 13
    this.#state >>>= 0
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    this.#state >>>= 0
    return this.#state % bound
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  bytes(length: number): number[] {
    return Array.from({ length }, () => this.below(256))
  }
}

const join = (...parts: readonly (Uint8Array | readonly number[])[]): number[] =>
  parts.flatMap((part) => Array.from(part))
const head = (method: string, target: string, fields: Record<string, string> = {}): Uint8Array =>
  encodeRequest({ method, target, headers: new P2PHeaders(fields) }, 16_384)

/** What a peer that behaves could say on a stream that goes both ways. */
const REQUESTS: readonly ((number: number) => number[])[] = [
  (number) => join(encodeStreamHeader(STREAM_KIND.request, number), head('GET', '/hello')),
  (number) =>
    join(
      encodeStreamHeader(STREAM_KIND.request, number),
      head('POST', '/echo', { 'content-length': '600', 'content-type': 'application/octet-stream' }),
      scrambled(600),
    ),
  (number) => join(encodeStreamHeader(STREAM_KIND.request, number), head('BREW', '/pot', { 'x-lid': 'off' })),
  (number) => join(encodeStreamHeader(STREAM_KIND.stream, number), scrambled(100)),
]
/** And on one that goes one way. */
const ONE_WAY: readonly ((number: number) => number[])[] = [
  (number) => join(encodeStreamHeader(STREAM_KIND.oneWay, number), scrambled(100)),
  () => join([STREAM_KIND.messages], ...[3, 0, 70].flatMap((length) => [encodeVarint(length), scrambled(length)])),
  (number) =>
    join(
      [STREAM_KIND.control],
      encodeControlFrame({ type: 'reset', openedBySender: true, number, code: 7 }),
      encodeControlFrame({ type: 'stop', openedBySender: false, number, code: 7 }),
      encodeControlFrame({ type: 'end', streams: number, messages: true }),
      encodeControlFrame({ type: 'drained' }),
    ),
]

/** Changes a few places. */
const MUTATIONS: readonly ((bytes: number[], random: Random) => void)[] = [
  (bytes, random) => (bytes[random.below(bytes.length)] = random.below(256)),
  (bytes, random) =>
    (bytes[random.below(Math.min(bytes.length, 8))] = random.pick([0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff])),
  (bytes, random) => bytes.splice(random.below(bytes.length), 1 + random.below(4)),
  (bytes, random) => bytes.splice(random.below(bytes.length), 0, ...random.bytes(1 + random.below(9))),
  (bytes, random) => bytes.splice(1 + random.below(bytes.length)),
  (bytes, random) => bytes.push(...bytes.slice(random.below(bytes.length))),
]

/** One sequence: noise, or what somebody who behaves could have said, as it is or with changes. */
function sequence(random: Random, templates: readonly ((number: number) => number[])[], number: number): number[] {
  if (random.below(4) === 0) return random.bytes(1 + random.below(3000))
  const bytes = random.pick(templates)(number)
  for (let changes = random.below(4); changes > 0 && bytes.length > 1; changes--) random.pick(MUTATIONS)(bytes, random)
  return bytes
}

/** Sends one sequence, and goes on in one of the ways in which a peer can. Whatever is refused is refused. */
async function speak(connection: iroh.Connection, random: Random, number: number): Promise<void> {
  const isTwoWay = random.below(2) === 0
  const bytes = sequence(random, isTwoWay ? REQUESTS : ONE_WAY, number)
  const end = random.below(4)
  const { send, receive } = isTwoWay
    ? await connection.openBi().then((stream) => ({ send: stream.send, receive: stream.recv }))
    : { send: await connection.openUni(), receive: undefined }
  await send.writeAll(bytes)
  if (end === 0) return
  if (end === 1) await send.reset(BigInt(random.below(2 ** 31)))
  else await send.finish()
  if (end === 2) await receive?.stop(BigInt(random.below(100)))
  else if (receive) await within(receive.readToEnd(100_000), 200)
}

describe.each(DOORS)('garbage on real streams of a served node through the $name door', ({ name }) => {
  const rejections: unknown[] = []
  const note = (reason: unknown): void => void rejections.push(reason)
  beforeEach(() => {
    vi.stubEnv('P2P_IROH_BINDING', name)
    process.on('unhandledRejection', note)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    process.off('unhandledRejection', note)
  })

  test(
    'costs others nothing, and leaves nothing behind',
    async () => {
      const options = { relay: 'disabled', bind: LOOPBACK } as const
      const home = await IrohP2P.create({ ...options, secretKey: testSigningKey('home') })
      const player = await IrohP2P.create({ ...options, secretKey: testSigningKey('player') })
      const failures: unknown[] = []
      const router = new P2PRouter()
        .route('GET', '/hello', () => P2PResponse.text('hello'))
        .route('POST', '/echo', (req) => P2PResponse.stream(req.body))
      const server = await serve(home, router, { authorize: 'everyone', onError: (error) => failures.push(error) })

      const attacker = await rawEndpoint([])
      const id = iroh.EndpointId.fromString(home.localNodeId().toHex())
      const target = new iroh.EndpointAddr(id, null, [...home.address().direct])
      const random = new Random(SEED)
      const over = new AbortController()
      let spoken = 0
      const attack = async (): Promise<void> => {
        for (let i = 0; i < CONNECTIONS; i++) {
          const connection = await attacker.connect(target, bytesOf(P2P_ALPN))
          for (let number = 0; number < STREAMS_EACH; number++) {
            const outcome = await within(speak(connection, random, number), PATIENCE_MS)
            expect(outcome).not.toBe('pending')
            spoken++
            // A connection that broke the protocol is over, and the next says more.
            if (typeof outcome === 'object' && 'error' in outcome) break
          }
          connection.close(BigInt(random.below(1000)), random.bytes(random.below(20)))
        }
      }
      let answered = 0
      const ask = async (): Promise<void> => {
        const body = scrambled(2_000)
        while (!over.signal.aborted || answered < 20) {
          const hello = await request(player, home.address(), { path: '/hello' })
          expect(await hello.text()).toBe('hello')
          const echo = await request(player, home.address(), { method: 'POST', path: '/echo', body })
          expect(Buffer.from(await echo.bytes()).equals(body)).toBe(true)
          answered++
        }
      }
      await Promise.all([attack().finally(() => over.abort()), ask()])

      // Whatever was begun ends with the connections of those who began it.
      await attacker.close()
      await expect.poll(() => server.stats().connections, { timeout: PATIENCE_MS }).toBe(1)
      await expect.poll(() => server.stats().requestsInFlight, { timeout: PATIENCE_MS }).toBe(0)
      const { requestsMalformed, requestsAnswered } = server.stats()
      expect({ spoken: spoken > 200, malformed: requestsMalformed > 10 }).toEqual({ spoken: true, malformed: true })
      expect(requestsAnswered).toBeGreaterThanOrEqual(2 * answered)
      expect(await within(server.close(), PATIENCE_MS)).toEqual({ value: undefined })
      for (const node of [player, home]) expect(await within(node.close(), PATIENCE_MS)).toEqual({ value: undefined })
      // What a handler hears of bodies that make no sense is of the closed union, and nothing else was thrown.
      expect(failures.filter((error) => !P2PError.is(error))).toEqual([])
      expect(rejections).toEqual([])
    },
    LIMIT_MS,
  )
})
