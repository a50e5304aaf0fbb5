import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  completeSimulatorConfig,
  checkBind,
  checkOptions,
  DEFAULT_LIMITS,
  parseDuration,
  parseSeed,
  parseSimulatorConfig,
  resolveLimits,
} from '../../src/core/config.ts'
import type { P2PLimits, SimulatorConfig } from '../../src/core/config.ts'
import { attempt } from '../support/attempt.ts'

const invalid = (setting: string, value: unknown): unknown =>
  expect.objectContaining({
    code: 'invalid-configuration',
    setting,
    value,
    // The message names both, so that it helps without looking at fields.
    message: expect.stringMatching(
      new RegExp(`${setting.replace('.', '\\.')}.*${String(value).replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')}`, 's'),
    ) as unknown,
  })

describe('options', () => {
  test('that are known pass, whatever their values', () => {
    expect(() => checkOptions('create', { relay: undefined, bind: 7 }, ['bind', 'relay'])).not.toThrow()
  })

  test('that are unknown are named, with the known ones, and without their value', () => {
    expect(() => checkOptions('create', { relay: 'x', relays: 'secret' }, ['bind', 'relay'])).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        setting: 'relays',
        value: undefined,
        message: 'create has no option "relays"; known are bind, relay',
      }),
    )
  })

  test('to bind are ip:port', () => {
    expect(() => checkBind(['127.0.0.1:0', '[::1]:4433'])).not.toThrow()
    expect(() => checkBind([])).toThrow(expect.objectContaining({ code: 'invalid-configuration', setting: 'bind' }))
    for (const address of ['localhost', 'localhost:0', '127.0.0.1', '::1:0', '1.2.3.4:65536', '']) {
      expect(() => checkBind([address])).toThrow(invalid('bind', address))
    }
  })
})

describe('limits', () => {
  test('are the documented ones by default', () => {
    expect(resolveLimits()).toEqual({
      connectTimeoutMs: 30_000,
      lookUpTimeoutMs: 5_000,
      idleTimeoutMs: 30_000,
      endTimeoutMs: 5_000,
      streamHeaderTimeoutMs: 10_000,
      maxMessageBytes: 1_048_576,
      sendQueueBytes: 1_048_576,
      receiveQueueBytes: 1_048_576,
      drainBufferBytes: 16_777_216,
      authorizeTimeoutMs: 5_000,
      maxConnections: 100,
      maxConnectionsPerPeer: 25,
      acceptBacklog: 64,
      maxWaitingStreams: 256,
    })
    expect(Object.isFrozen(DEFAULT_LIMITS)).toBe(true)
  })

  test('each can be set, and leaves the others', () => {
    for (const name of Object.keys(DEFAULT_LIMITS)) {
      const follows = name === 'maxConnections' ? { maxConnectionsPerPeer: 8 } : {}
      expect(resolveLimits({ [name]: 7 })).toEqual({ ...DEFAULT_LIMITS, ...follows, [name]: 7 })
      expect(resolveLimits({ [name]: undefined })).toEqual(DEFAULT_LIMITS)
    }
  })

  test('a peer may have a quarter of all connections, but 8 at least', () => {
    expect(resolveLimits({ maxConnections: 2 }).maxConnectionsPerPeer).toBe(8)
    expect(resolveLimits({ maxConnections: 1001 }).maxConnectionsPerPeer).toBe(251)
    expect(resolveLimits({ maxConnections: 1001, maxConnectionsPerPeer: 3 }).maxConnectionsPerPeer).toBe(3)
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5', null])('%j is none', (value) => {
    const wrong = { maxConnections: value } as unknown as Partial<P2PLimits>
    expect(() => resolveLimits(wrong)).toThrow(invalid('limits.maxConnections', value))
  })

  test.each(['maxConections', 'toString', '__proto__x', 'constructor'])('there is no limit %s', (name) => {
    expect(() => resolveLimits({ [name]: 5 })).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        message: expect.stringContaining('maxConnections') as unknown,
      }),
    )
  })
})

describe('durations', () => {
  test.each([
    ['10s', 10_000],
    ['500ms', 500],
    ['250us', 0.25],
    ['5000ns', 0.005],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['750', 750],
    ['1.5s', 1_500],
    [' 2 s ', 2_000],
    ['0', 0],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDuration(text, 'D')).toBeCloseTo(ms, 9)
  })

  test.each([
    '',
    's',
    '-1s',
    '1d',
    '1 day',
    '10s5',
    '1e3',
    '0x10',
    'NaN',
    'Infinity',
    '.5s',
    '1.s',
    `${'9'.repeat(400)}s`,
  ])('%j is none', (text) => {
    expect(() => parseDuration(text, 'D')).toThrow(
      expect.objectContaining({ code: 'invalid-configuration', setting: 'D', value: text }),
    )
  })
})

describe('seeds', () => {
  test.each([
    ['0', 0n],
    ['42', 42n],
    ['18446744073709551615', 2n ** 64n - 1n],
  ])('%s', (text, seed) => {
    expect(parseSeed(text, 'S')).toBe(seed)
  })

  test.each(['', '-1', '1.0', '0x1', ' 1', '18446744073709551616', '99999999999999999999', '١'])(
    '%j is none',
    (text) => {
      expect(() => parseSeed(text, 'S')).toThrow(
        expect.objectContaining({ code: 'invalid-configuration', setting: 'S', value: text }),
      )
    },
  )
})

describe('the simulator’s environment', () => {
  const defaults: SimulatorConfig = {
    seed: undefined,
    runs: 1,
    maxParallel: undefined,
    durationMs: undefined,
    epochOffsetMs: 1_700_000_000_000,
    timeMultiplier: undefined,
    stepSizeMs: 10,
    defaultLatencyMs: 50,
    defaultPacketLoss: 0.01,
    partitionProbability: 0,
    discoveryDelayMs: 100,
    dnsTtlSeconds: 300,
    connectionTimeoutSeconds: 30,
    maxMessageBytes: 1_048_576,
  }

  /** Variable, its field, good texts with their values, bad texts. */
  const VARIABLES: readonly (readonly [
    name: string,
    field: keyof SimulatorConfig,
    good: readonly (readonly [string, number | bigint])[],
    bad: readonly string[],
  ])[] = [
    [
      'SIMULATOR_SEED',
      'seed',
      [
        ['7', 7n],
        ['0', 0n],
      ],
      ['-1', '1.5', 'x', '18446744073709551616'],
    ],
    ['SIMULATOR_RUNS', 'runs', [['100', 100]], ['0', '-1', '1.5', 'many', '1e3']],
    [
      'SIMULATOR_MAX_PARALLEL',
      'maxParallel',
      [
        ['0', 0],
        ['8', 8],
      ],
      ['-1', '1025', '2.5'],
    ],
    [
      'SIMULATOR_DURATION',
      'durationMs',
      [
        ['10s', 10_000],
        ['250', 250],
      ],
      ['-1s', 'forever', '1d'],
    ],
    [
      'SIMULATOR_EPOCH_OFFSET',
      'epochOffsetMs',
      [
        ['0', 0],
        ['1700000000001', 1_700_000_000_001],
      ],
      ['-1', '0.5', '8640000000000001'],
    ],
    [
      'SIMULATOR_TIME_MULTIPLIER',
      'timeMultiplier',
      [
        ['1000', 1000],
        ['0.5', 0.5],
      ],
      ['0', '-1', 'fast', '0.0'],
    ],
    ['SIMULATOR_STEP_SIZE_MS', 'stepSizeMs', [['1', 1]], ['0', '0.5', '86400001']],
    [
      'SIMULATOR_DEFAULT_LATENCY_MS',
      'defaultLatencyMs',
      [
        ['0', 0],
        ['12.5', 12.5],
      ],
      ['-1', '3600001'],
    ],
    [
      'SIMULATOR_DEFAULT_PACKET_LOSS',
      'defaultPacketLoss',
      [
        ['0', 0],
        ['1', 1],
        ['0.05', 0.05],
      ],
      ['1.1', '-0.1', '5%'],
    ],
    ['SIMULATOR_PARTITION_PROBABILITY', 'partitionProbability', [['0.001', 0.001]], ['2', '-1']],
    ['SIMULATOR_DISCOVERY_DELAY_MS', 'discoveryDelayMs', [['0', 0]], ['-1']],
    ['SIMULATOR_DNS_TTL_SECONDS', 'dnsTtlSeconds', [['0', 0]], ['1.5', '-1', '31536001']],
    ['SIMULATOR_CONNECTION_TIMEOUT_SECS', 'connectionTimeoutSeconds', [['1.5', 1.5]], ['0', '86401']],
    ['SIMULATOR_MAX_MESSAGE_SIZE', 'maxMessageBytes', [['1', 1]], ['0', '1.5', '9007199254740992']],
  ]

  test('is the documented one when nothing is set', () => {
    expect(parseSimulatorConfig({})).toEqual(defaults)
    const empty = Object.fromEntries(VARIABLES.map(([name]) => [name, '']))
    expect(parseSimulatorConfig(empty)).toEqual(defaults)
  })

  test('every field has its variable', () => {
    expect(VARIABLES.map(([, field]) => field).toSorted()).toEqual(Object.keys(defaults).toSorted())
  })

  test.each(VARIABLES.flatMap(([name, field, good]) => good.map(([text, value]) => ({ name, field, text, value }))))(
    '$name=$text',
    ({ name, field, text, value }) => {
      expect(parseSimulatorConfig({ [name]: text })).toEqual({ ...defaults, [field]: value })
    },
  )

  test.each(VARIABLES.flatMap(([name, , , bad]) => [...bad, ' ', 'NaN'].map((text) => ({ name, text }))))(
    '$name=$text is refused by name and value',
    ({ name, text }) => {
      expect(() => parseSimulatorConfig({ [name]: text })).toThrow(invalid(name, text))
    },
  )

  test('any text is a value or refused; never a silent default', () => {
    const texts = fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String))
    fc.assert(
      fc.property(fc.constantFrom(...VARIABLES), texts, ([name, field], text) => {
        fc.pre(text !== '')
        const result = attempt(() => parseSimulatorConfig({ [name]: text })[field])
        const type = 'value' in result ? typeof result.value : 'none'
        const error = expect.objectContaining({
          code: 'invalid-configuration',
          setting: name,
          value: text,
        }) as unknown
        expect(type).toMatch(/^(number|bigint|none)$/)
        expect(result).toEqual(type === 'none' ? { error } : result)
        expect(type === 'none' || /\d/.test(text)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('what a simulation is not told is what the environment says; what it is told completely asks nobody', () => {
    const env = { SIMULATOR_DEFAULT_LATENCY_MS: '7', SIMULATOR_DEFAULT_PACKET_LOSS: '0.5' }
    expect(completeSimulatorConfig({ defaultPacketLoss: 0 }, env)).toEqual({
      ...parseSimulatorConfig({}),
      defaultLatencyMs: 7,
      defaultPacketLoss: 0,
    })
    const complete = parseSimulatorConfig({})
    expect(completeSimulatorConfig(complete, { SIMULATOR_SEED: 'nonsense' })).toBe(complete)
  })
})
