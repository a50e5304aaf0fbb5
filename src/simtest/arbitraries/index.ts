/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/simtest/arbitraries`: values for property-based tests, for fast-check, which has to be installed:
 * ids, messages, paths, networks and faults. All shrink towards the simplest: no NAT, a perfect line, no faults.
 *
 * @module
 */
import {
  array,
  asyncModelRun,
  boolean,
  constant,
  constantFrom,
  integer,
  oneof,
  option,
  record,
  string,
  stringMatching,
  tuple,
  uint8Array,
} from 'fast-check'
import type { Arbitrary, AsyncCommand } from 'fast-check'
import { testNodeId } from '../../core/keys.ts'
import type { NodeId } from '../../core/node-id.ts'
import type {
  Fault,
  FaultTargets,
  Lan,
  LinkOptions,
  LinkPresetName,
  NatPresetName,
  SimHost,
  Simulation,
} from '../../simulator/index.ts'
import type { HostProgramSource } from '../../simulator/index.ts'
import type { SimTest } from '../sim-test.ts'

/** NATs from the most to the least open. */
const NATS: readonly (NatPresetName | 'none')[] = [
  'none',
  'full-cone',
  'restricted-cone',
  'home',
  'cgnat',
  'symmetric',
  'corporate',
  'cloud',
  'udp-blocked',
]
const LINES: readonly LinkPresetName[] = ['lan', 'fibre', 'cable', 'dsl', 'wifi', '5g', '4g', '3g', 'satellite-leo']

/** The name of a host: three to ten lower-case letters. */
export function hostName(): Arbitrary<string> {
  return stringMatching(/^[a-z]{3,10}$/)
}

/** A node's id; the same for the same name. */
export function nodeId(): Arbitrary<NodeId> {
  return hostName().map((name) => testNodeId(name))
}

/** A message of up to `maxBytes`. @default 1023 */
export function message(options: { readonly maxBytes?: number | undefined } = {}): Arbitrary<Uint8Array> {
  return uint8Array({ maxLength: options.maxBytes ?? 1023 })
}

/** The path of a request: a slash, and 1 to 20 letters and slashes. */
export function path(): Arbitrary<string> {
  return string({ unit: constantFrom(...'abcdefghijklmnopqrstuvwxyz/'.split('')), minLength: 1, maxLength: 20 }).map(
    (rest) => `/${rest}`,
  )
}

/** What is at the edge of a LAN. */
export function nat(): Arbitrary<NatPresetName | 'none'> {
  return constantFrom(...NATS)
}

/** What is at the edges of two LANs. */
export function natPair(): Arbitrary<[NatPresetName | 'none', NatPresetName | 'none']> {
  return tuple(nat(), nat())
}

/** A link: anything from perfect to bad, never one that nothing comes through. */
export function link(): Arbitrary<LinkOptions> {
  return record(
    {
      latencyMs: integer({ min: 0, max: 500 }),
      jitterMs: integer({ min: 0, max: 50 }),
      packetLoss: integer({ min: 0, max: 20 }).map((percent) => percent / 100),
      bandwidthLimitBitsPerSecond: integer({ min: 256_000, max: 1_000_000_000 }),
    },
    { requiredKeys: [] },
  )
}

/** A line with a name. */
export function linePreset(): Arbitrary<LinkPresetName> {
  return constantFrom(...LINES)
}

/** LANs and hosts, as plain data. */
export interface ArbitraryTopology {
  readonly lans: readonly {
    readonly name: string
    readonly nat: NatPresetName | 'none'
    readonly line: LinkPresetName
  }[]
  /** Each in one of the LANs, by index, or on the public internet. */
  readonly hosts: readonly { readonly name: string; readonly lan: number | undefined; readonly line: LinkPresetName }[]
}

/** Up to `maxLans` LANs, and `minHosts` to `maxHosts` hosts in them or outside. @default 3, 2 and 6 */
export function topology(
  options: {
    readonly maxLans?: number | undefined
    readonly minHosts?: number | undefined
    readonly maxHosts?: number | undefined
  } = {},
): Arbitrary<ArbitraryTopology> {
  const { maxLans = 3, minHosts = 2, maxHosts = 6 } = options
  return array(record({ nat: nat(), line: linePreset() }), { maxLength: maxLans }).chain((lans) => {
    const lan =
      lans.length === 0 ? constant(undefined) : option(integer({ min: 0, max: lans.length - 1 }), { nil: undefined })
    return array(record({ lan, line: linePreset() }), { minLength: minHosts, maxLength: maxHosts }).map((hosts) => ({
      lans: lans.map((one, i) => ({ ...one, name: `lan-${i}` })),
      hosts: hosts.map((one, i) => ({ ...one, name: `host-${i}` })),
    }))
  })
}

/**
 * Makes it so: LANs and hosts with their programs.
 *
 * @param program of each host, by its number
 */
export function buildTopology(
  sim: Simulation,
  shape: ArbitraryTopology,
  program: (index: number) => HostProgramSource,
): SimHost[] {
  const lans: Lan[] = shape.lans.map(({ name, nat, line }) => sim.lan({ name, nat, link: line }))
  return shape.hosts.map(({ name, lan, line }, i) =>
    lan === undefined
      ? sim.host(name, { link: line }, program(i))
      : sim.host(name, { lan: lans[lan] as Lan }, program(i)),
  )
}

/** Whom faults of a topology can happen to. */
export function targetsOf(shape: ArbitraryTopology): FaultTargets {
  return {
    hosts: shape.hosts.map(({ name }) => name),
    lans: shape.lans.filter(({ nat }) => nat !== 'none').map(({ name }) => name),
    relays: [],
  }
}

/** One fault that begins and ends within `untilMs`; no disk is lost. There must be two hosts at least. */
export function fault(targets: FaultTargets, untilMs: number): Arbitrary<Fault> {
  const atMs = integer({ min: 0, max: Math.max(0, untilMs - 1) })
  const host = constantFrom(...targets.hosts)
  const line = constantFrom(...targets.hosts, ...targets.lans)
  const timed = <T extends object>(fields: Arbitrary<T>): Arbitrary<T & { atMs: number; forMs: number }> =>
    tuple(fields, atMs, integer({ min: 1, max: Math.max(1, untilMs) })).map(([rest, at, forMs]) =>
      Object.assign(rest, { atMs: at, forMs: Math.min(forMs, Math.max(1, untilMs - at)) }),
    )
  const [first = '', ...others] = targets.hosts
  const groups = array(boolean(), { minLength: others.length, maxLength: others.length }).map((sides) => {
    const a = others.filter((_, i) => sides[i] === true)
    const b = others.filter((_, i) => sides[i] !== true)
    return b.length > 0 ? { a: [first, ...a], b } : { a: [first], b: others }
  })
  const kinds: Arbitrary<Fault>[] = [
    timed(record({ kind: constant('pause' as const), host })),
    timed(record({ kind: constant('crash' as const), host })),
    record({ kind: constant('restart' as const), host, atMs }),
    timed(record({ kind: constant('slow' as const), host, eventMs: constantFrom(0.1, 1, 5) })),
    timed(record({ kind: constant('link-degrade' as const), line, loss: constantFrom(0.05, 0.3) })),
    timed(record({ kind: constant('link-degrade' as const), line, addLatencyMs: constantFrom(20, 400) })),
    timed(record({ kind: constant('link-degrade' as const), line, duplicate: constantFrom(0.1, 0.5) })),
    timed(record({ kind: constant('link-degrade' as const), line, reorder: constantFrom(0.1, 0.5) })),
    timed(record({ kind: constant('link-degrade' as const), line, corrupt: constantFrom(0.01, 0.1) })),
    timed(record({ kind: constant('link-flap' as const), line, downMs: constantFrom(50, 1000), upMs: constant(300) })),
    record({ kind: constant('clock-jump' as const), host, byMs: constantFrom(1000, -1000, 3_600_000), atMs }),
    record({ kind: constant('address-change' as const), host, atMs }),
    timed(record({ kind: constant('name-outage' as const) })),
  ]
  if (others.length > 0) {
    kinds.push(
      timed(groups.map((group) => ({ kind: 'partition' as const, ...group }))),
      timed(groups.map(({ a, b }) => ({ kind: 'one-way-partition' as const, from: a, to: b }))),
    )
  }
  if (targets.lans.length > 0) {
    const lan = constantFrom(...targets.lans)
    kinds.push(
      record({ kind: constant('nat-rebind' as const), lan, address: boolean(), atMs }),
      record({ kind: constant('mapping-expiry' as const), lan, atMs }),
    )
  }
  return oneof(...kinds)
}

/** Up to `maxFaults` faults within `untilMs`, in the order of their times; it shrinks to none. @default 10 */
export function faultSchedule(
  targets: FaultTargets,
  untilMs: number,
  options: { readonly maxFaults?: number | undefined } = {},
): Arbitrary<Fault[]> {
  return array(fault(targets, untilMs), { maxLength: options.maxFaults ?? 10 }).map((faults) =>
    faults.sort((a, b) => a.atMs - b.atMs),
  )
}

/** What commands of a model-based test are run on. */
export interface ModelWorld<Real> {
  readonly sim: SimTest
  readonly real: Real
}

/**
 * Runs the commands of a model-based test (`fc.commands`) on a simulation: each is over before the next begins, and
 * virtual time passes as they need it, by `sim.act`, `sim.until` and `sim.run`.
 *
 * @example
 * ```ts
 * import { scenario } from '@moosicbox/p2p/simtest'
 * import { runCommands } from '@moosicbox/p2p/simtest/arbitraries'
 *
 * const wait = { check: () => true, run: async (_model: object, { sim }: { sim: { run(o: object): Promise<unknown> } }) => {
 *   await sim.run({ forMs: 10 })
 * } }
 * const what = scenario('commands', { seeds: 1 }, async (sim) => {
 *   sim.host('idle', ({ runtime }) => runtime.sleep(1000))
 *   await runCommands(sim, {}, {}, [wait, wait])
 * })
 * console.log(what.name) // commands
 * ```
 */
export async function runCommands<Model extends object, Real>(
  sim: SimTest,
  model: Model,
  real: Real,
  commands: Iterable<AsyncCommand<Model, ModelWorld<Real>>>,
): Promise<void> {
  await asyncModelRun(() => ({ model, real: { sim, real } }), commands)
}
