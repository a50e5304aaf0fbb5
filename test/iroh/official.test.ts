/**
 * The official door's parts on their own, where the real binding cannot be brought to do what is tested.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import { describe, expect, test, vi } from 'vitest'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { officialBinding } from '../../src/iroh/official/binding.ts'
import { ByteCodec, PIECE_BYTES } from '../../src/iroh/official/bytes.ts'
import { OfficialConnection } from '../../src/iroh/official/connection.ts'
import { OfficialEndpoint } from '../../src/iroh/official/endpoint.ts'
import { closeError } from '../../src/iroh/errors.ts'
import { bindError, connectError, lacksIpv6, parseClose, streamError } from '../../src/iroh/official/errors.ts'
import { loadOfficial } from '../../src/iroh/official/load.ts'
import type { Official } from '../../src/iroh/official/load.ts'
import { realRuntime } from '../../src/runtime/index.ts'
import { ManualRuntime, settle } from '../support/manual-runtime.ts'
import { scrambled } from './endpoints.ts'
import { within } from './raw-binding.ts'

const official = await loadOfficial()
const BACKTRACE = '\n\nStack backtrace:\n   0: <anyhow::Error>::msg\n   1: closed by peer: x (code 1)'
const PLACE = '(/home/build/.cargo/registry/src/iroh-1.0.2/src/endpoint.rs:1060:20)'
/** The same failure as the binding tells it without and with RUST_BACKTRACE. */
const told = (...causes: string[]): Error[] => [
  new Error(causes.join('\nCaused by:\n    ')),
  new Error(`ConnectError::Connecting ${PLACE}\nCaused by:\n    ${causes.join(` ${PLACE}\n    `)}${BACKTRACE}`),
]

describe('loading', () => {
  test('a package that is not installed says how to install it', async () => {
    const cause = Object.assign(new Error("Cannot find package '@number0/iroh'"), { code: 'ERR_MODULE_NOT_FOUND' })
    const binding = officialBinding(async () => Promise.reject(cause))
    await expect(
      binding.open({
        secretKey: testSigningKey('a'),
        bind: undefined,
        relay: 'disabled',
        idleTimeoutMs: 30_000,
        runtime: realRuntime(),
      }),
    ).rejects.toMatchObject({
      code: 'unsupported',
      backend: 'iroh (official)',
      what: `@number0/iroh on ${process.platform}-${process.arch}`,
      message: 'the iroh backend needs the package @number0/iroh, which is not installed: npm install @number0/iroh',
      cause,
    })
  })

  test('a package without a part for the platform names the platform', async () => {
    const cause = new Error('Cannot find native binding. npm has a bug …')
    await expect(loadOfficial(async () => Promise.reject(cause))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(`cannot be loaded on ${process.platform}-${process.arch}`) as string,
      cause,
    })
  })
})

describe('bytes', () => {
  test('become arrays of numbers and come back', () => {
    const codec = new ByteCodec(official)
    for (const length of [0, 1, 255, PIECE_BYTES, PIECE_BYTES + 1]) {
      const bytes = scrambled(length)
      const array = codec.encode(bytes)
      expect(Array.isArray(array)).toBe(true)
      expect(codec.decode(array)).toEqual(bytes)
    }
    expect(codec.encode(scrambled(10), 3, 7)).toEqual(Array.from(scrambled(10).slice(3, 7)))
    expect(codec.encodeText('é')).toEqual([0xc3, 0xa9])
  })

  test('become Buffers for a binding that takes them', () => {
    const newer = { SecretKey: { fromBytes: () => undefined } } as unknown as Official
    const codec = new ByteCodec(newer)
    const bytes = scrambled(100).subarray(20, 60)
    const encoded = codec.encode(bytes, 10, 20) as unknown
    expect(Buffer.isBuffer(encoded)).toBe(true)
    expect(encoded).toEqual(Buffer.from(bytes.subarray(10, 20)))
    const decoded = codec.decode(Buffer.from(bytes))
    expect([decoded, decoded.constructor]).toEqual([bytes.slice(), Uint8Array])
  })
})

describe('the end of a connection', () => {
  const local = { closeCode: 3, reason: 'mine', by: 'local' } as const

  test.each([
    ['closed by peer: 7', { closeCode: 7, reason: '', by: 'remote' }],
    ['closed by peer: 7 (code 0)', { closeCode: 0, reason: '7', by: 'remote' }],
    ['closed by peer: bye (code 9) (code 42)', { closeCode: 42, reason: 'bye (code 9)', by: 'remote' }],
    ['closed by peer: two\nlines (code 4294967301)', { closeCode: 4_294_967_301, reason: 'two\nlines', by: 'remote' }],
    ['closed by peer: closed by peer: 5 (code 6)', { closeCode: 6, reason: 'closed by peer: 5', by: 'remote' }],
    ['closed', { closeCode: 0, reason: 'the node was closed', by: 'local' }],
    ['timed out', { closeCode: 0, reason: 'timed out: no sign of life from the peer', by: 'transport' }],
    ['reset by peer', { closeCode: 0, reason: expect.stringContaining('restarted') as string, by: 'transport' }],
    [
      'aborted by peer: Error { code: 1 }',
      { closeCode: 0, reason: 'the transport gave the connection up', by: 'transport' },
    ],
  ])('%j', (text, expected) => {
    expect(parseClose(text, undefined)).toEqual(expected)
    expect(parseClose(text, local)).toBe(local)
  })
})

describe('failures', () => {
  const connecting = (error: Error): unknown => connectError(error, testNodeId('b'), 'alpn', 12.3)

  test.each([
    [['aborted by peer: the cryptographic handshake failed: error 120: peer doesn’t'], 'refused'],
    [['aborted by peer: the server refused to accept a new connection'], 'refused'],
    [['aborted by peer: the cryptographic handshake failed: error 50: x'], 'connection-failed'],
    [
      ['aborted by peer: the cryptographic handshake failed: error 50: No addressing information available'],
      'connection-failed',
    ],
    [['the cryptographic handshake failed: error 48: invalid peer certificate: UnknownIssuer'], 'connection-failed'],
    [['No addressing information available', 'No address lookup configured'], 'no-route'],
    [['Connecting to ourself is not supported'], 'self-connect'],
    [['timed out'], 'timeout'],
    [['closed'], 'connection-closed'],
    [['Endpoint is closed'], 'connection-closed'],
    [['closed by peer: timed out (code 4294967297)'], 'connection-closed'],
    [['something new'], 'connection-failed'],
  ])('to connect: %j is %s', (causes, code) => {
    for (const cause of told(...causes)) {
      const error = connecting(cause)
      expect(error).toMatchObject({ code, cause: { message: cause.message.replace(BACKTRACE, '') } })
      expect((error as Error).message).not.toMatch(/::|\.rs|backtrace|Caused by/)
    }
  })

  test('to connect tell how long it took, and whom the peer closed with', () => {
    expect(connecting(new Error('timed out'))).toMatchObject({ afterMs: 12.3 })
    expect(connecting(new Error('closed by peer: no (code 4294967297)'))).toMatchObject({
      closeCode: 4_294_967_297,
      reason: 'no',
      by: 'remote',
    })
  })

  test.each([
    ['Stopped(88)', undefined, { code: 'stream-stopped', streamCode: 88 }],
    ['Reset(4294967301)', undefined, { code: 'stream-reset', streamCode: 4_294_967_301 }],
    ['ClosedStream', undefined, { code: 'stream-stopped', streamCode: 0 }],
    ['ClosedStream { _private: () }', undefined, { code: 'stream-stopped', streamCode: 0 }],
    [
      'ConnectionLost(TimedOut)',
      { closeCode: 0, reason: 'x', by: 'transport' },
      { code: 'connection-closed', by: 'transport', reason: 'x' },
    ],
    ['ClosedStream', { closeCode: 1, reason: '', by: 'remote' }, { code: 'connection-closed', closeCode: 1 }],
    ['SomethingNew', undefined, { code: 'connection-failed' }],
  ] as const)('of a stream: %s', (text, close, expected) => {
    for (const cause of [new Error(text), new Error(text + BACKTRACE)]) {
      const error = streamError(cause, (options) => close && closeError(close, options))
      expect(error).toMatchObject({ ...expected, cause: { message: text } })
      expect(error.message).not.toMatch(/::|\.rs|backtrace|\(.*\{/)
    }
  })

  test('to bind name the addresses', () => {
    const text = (error: string): string => bindError(new Error(error + BACKTRACE), ['0.0.0.0:80']).message
    expect(text('Failed to bind sockets\nCaused by:\n    Permission denied (os error 13)')).toMatch(
      /0\.0\.0\.0:80: permission denied/,
    )
    expect(text('Something')).toBe('cannot bind 0.0.0.0:80')
    expect(bindError(new Error('x'), []).message).toBe('cannot bind all interfaces')
    expect(
      lacksIpv6(new Error('Failed to bind sockets\nCaused by:\n    Cannot assign requested address (os error 99)')),
    ).toBe(true)
    expect(
      lacksIpv6(
        new Error('Failed to bind sockets\nCaused by:\n    Address family not supported by protocol (os error 97)'),
      ),
    ).toBe(true)
    expect(lacksIpv6(new Error('Failed to bind sockets\nCaused by:\n    Address already in use (os error 98)'))).toBe(
      false,
    )
  })
})

describe('paths', () => {
  const path = (remoteAddr: string, isSelected: boolean): unknown => ({
    isRelay: remoteAddr.startsWith('http'),
    remoteAddr,
    isSelected,
    rttMs: 5,
  })

  function connectionWith(paths: () => unknown[]): {
    connection: OfficialConnection
    clock: ManualRuntime
    looks: () => number
    end: (text: string) => void
  } {
    const clock = new ManualRuntime()
    let end: (text: string) => void = () => undefined
    const closed = new Promise<string>((resolve) => {
      end = resolve
    })
    const look = vi.fn<() => unknown[]>(paths)
    const raw = {
      paths: look,
      closed: async () => closed,
      remoteId: () => ({ toBytes: () => [...testNodeId('b').asBytes()] }),
      alpn: () => [0x78],
    } as unknown as iroh.Connection
    const codec = new ByteCodec(official)
    const connection = new OfficialConnection(raw, { codec, runtime: clock, idleTimeoutMs: 30_000 })
    return { connection, clock, looks: () => look.mock.calls.length, end }
  }

  test('are looked at only while somebody wants to know, and changes are told once', async () => {
    let paths = [path('http://relay.example/', true)]
    const { connection, clock, looks } = connectionWith(() => paths)
    await clock.advance(10_000)
    expect([looks(), clock.pendingTimers]).toEqual([0, 0])

    const [one, two] = [vi.fn<() => void>(), vi.fn<() => void>()]
    const first = connection.onPathChange(one)
    const second = connection.onPathChange(two)
    await clock.advance(2_000)
    expect(one).not.toHaveBeenCalled()
    paths = [path('http://relay.example/', false), path('192.0.2.1:1', true)]
    await clock.advance(2_000)
    expect([one.mock.calls.length, two.mock.calls.length]).toEqual([1, 1])
    expect(connection.paths()).toEqual([
      { kind: 'relay', remote: 'http://relay.example/', selected: false, rttMs: 5 },
      { kind: 'direct', remote: '192.0.2.1:1', selected: true, rttMs: 5 },
    ])
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    paths = []
    await clock.advance(2_000)
    expect([one.mock.calls.length, two.mock.calls.length]).toEqual([1, 2])
    second[Symbol.dispose]()
    expect(clock.pendingTimers).toBe(0)
  })

  test('are no more after the end, nor is anybody told', async () => {
    let paths = [path('192.0.2.1:1', true)]
    const { connection, clock, end } = connectionWith(() => paths)
    const listener = vi.fn<() => void>()
    connection.onPathChange(listener)
    end('closed by peer: 0')
    await connection.closed
    paths = []
    await clock.advance(5_000)
    connection.onPathChange(listener)[Symbol.dispose]()
    connection.onPathChange(listener)
    expect([connection.paths(), listener.mock.calls.length, clock.pendingTimers]).toEqual([[], 0, 0])
  })
})

describe('an endpoint', () => {
  function endpointOver(raw: Partial<Record<keyof iroh.Endpoint, unknown>>, clock: ManualRuntime): OfficialEndpoint {
    return new OfficialEndpoint({
      official,
      raw: {
        addr: () => ({ relayUrl: () => null, directAddresses: () => [] }),
        acceptNext: async () => Promise.resolve(null),
        ...raw,
      } as unknown as iroh.Endpoint,
      bound: ['127.0.0.1:1'],
      loopbackOnly: true,
      nodeId: testNodeId('a'),
      codec: new ByteCodec(official),
      runtime: clock,
      idleTimeoutMs: 30_000,
      maxHandshakes: 256,
      relays: true,
    })
  }
  const never = async <T>(): Promise<T> => new Promise<T>(() => undefined)

  test('is closed after 4 seconds even if the binding does not come back', async () => {
    const clock = new ManualRuntime()
    const closing = endpointOver({ close: never }, clock).close()
    await clock.advance(3_999)
    expect(await within(closing, 20)).toBe('pending')
    await clock.advance(1)
    expect(await within(closing, 1_000)).toEqual({ value: undefined })
  })

  test('is closed even if the binding fails to, and leaves no timer', async () => {
    const clock = new ManualRuntime()
    await endpointOver({ close: async () => Promise.reject(new Error('no')) }, clock).close()
    expect(clock.pendingTimers).toBe(0)
  })

  test('waits for a relay no longer than it was told to', async () => {
    const clock = new ManualRuntime()
    let relay: string | null = null
    const endpoint = endpointOver(
      { addr: () => ({ relayUrl: () => relay, directAddresses: () => ['[fe80::1%2]:5', '10.0.0.1:5'] }) },
      clock,
    )
    const waiting = endpoint.online(1_000)
    await clock.advance(1_100)
    expect(await within(waiting, 1_000)).toEqual({ value: false })
    const again = endpoint.online(1_000)
    await clock.advance(500)
    relay = 'https://relay.example/'
    await clock.advance(100)
    expect(await within(again, 1_000)).toEqual({ value: true })
    expect(endpoint.address()).toMatchObject({ direct: ['10.0.0.1:5'], relays: ['https://relay.example/'] })
  })

  test('turns away what comes beyond 256 handshakes at a time, and survives handshakes that fail', async () => {
    const refuse = vi.fn<() => Promise<void>>(async () => Promise.resolve())
    const fail = vi.fn<() => Promise<never>>(async () => Promise.reject(new Error('no')))
    const queue = [
      ...Array.from({ length: 10 }, () => ({ refuse, accept: fail })),
      ...Array.from({ length: 300 }, () => ({ refuse, accept: never })),
    ]
    let start: () => void = () => undefined
    const started = new Promise<void>((resolve) => {
      start = resolve
    })
    const acceptNext = async (): Promise<unknown> => {
      await started
      return queue.shift() ?? null
    }
    const endpoint = endpointOver({ acceptNext, setAlpns: () => undefined }, new ManualRuntime())
    endpoint.setAlpns(['x'])
    start()
    await settle()
    expect([fail.mock.calls.length, refuse.mock.calls.length]).toEqual([10, 44])
  })
})
