/**
 * What the lab runs: networks, relays, doors and scenarios, each of which also runs in the simulator.
 *
 * @module
 */
import type { Emulator } from './emulator.ts'
import { lifeScenario, lifeSites, STORIES } from './life.ts'
import type { StoryReport } from './life.ts'
import { measureLinks } from './links.ts'
import type { LinkReport } from './links.ts'
import { lossyScenario, lossySites } from './lossy.ts'
import type { LossyReport } from './lossy.ts'
import type { Lab, LineSettings, Place, Site } from './model.ts'
import { PLACES } from './model.ts'
import { checkNetwork } from './nats.ts'
import { outageScenario, outageSites } from './outages.ts'
import type { Outage } from './outages.ts'
import { pairScenario, pairSites } from './pairs.ts'
import type { PairReport } from './pairs.ts'
import { RealLab } from './real-lab.ts'
import type { RelayKind, RelayPrograms } from './relays.ts'
import { simulate } from './simulated-lab.ts'
import type { Finding } from './udp.ts'

/** Home lines of 20 ms one way, as those that the simulator was compared with before. */
const LINE: LineSettings = { delayMs: 20, loss: 0 }
/** As where the stalls were measured that `bench/fidelity` compares with. */
const SLOWER: LineSettings = { delayMs: 25, loss: 0 }
/** Every packet that crosses a line is lost with this probability, on the way to a relay and from it, too. */
const LOSSY: LineSettings = { delayMs: 20, loss: 0.01 }
/** The kinds of NAT that decide: who lets everybody in, who lets in answers alone, and who takes a port for each. */
const ESSENTIAL: readonly Place[] = ['full-cone', 'home', 'symmetric']

/** What a suite comes to. */
export type Outcome =
  | { readonly kind: 'network'; readonly findings: readonly Finding[] }
  | { readonly kind: 'pairs'; readonly pairs: readonly PairReport[] }
  | { readonly kind: 'stories'; readonly stories: readonly StoryReport[] }
  | { readonly kind: 'loads'; readonly loads: readonly LossyReport[] }
  | { readonly kind: 'links'; readonly links: readonly LinkReport[] }

/** What a suite finds in the namespaces. */
interface Tools {
  readonly emulator: Emulator
  readonly programs: RelayPrograms
  /** iroh alone, see `links.ts`; built when a suite `needsPureIroh`. */
  readonly pureIroh: string
  /** Where files go. */
  readonly folder: string
}

/** A suite. */
export interface Suite {
  readonly name: string
  /** For the heading of its table. */
  readonly title: string
  /** Whether it is run when nobody asks for it by name. */
  readonly isUsual: boolean
  readonly needsIrohRelay: boolean
  readonly needsNativeDoor: boolean
  readonly needsPureIroh: boolean
  real(tools: Tools): Promise<Outcome>
  simulated(seed: number): Promise<Outcome>
}

/** Settings of the command. */
export interface SuiteOptions {
  /** How often the relay is killed in each of the outages. */
  readonly times: number
  /** Which links are measured. */
  readonly links: readonly string[]
  /** Where their samples go: a file, if at all. */
  readonly samples: string | undefined
}

/** What happens in a lab, and where. */
interface Story {
  readonly sites: readonly Site[]
  readonly scenario: (lab: Lab) => Promise<Outcome>
}

/** What a lab is like. */
interface LabSettings {
  /** @default true */
  readonly isUsual?: boolean
  /** @default 'iroh' */
  readonly relay?: RelayKind
  /** @default 'native' */
  readonly binding?: 'native' | 'official'
  readonly line?: LineSettings
}

function inLab(name: string, title: string, { sites, scenario }: Story, settings: LabSettings = {}): Suite {
  const { isUsual = true, relay = 'iroh', binding = 'native', line = LINE } = settings
  return {
    name,
    title,
    isUsual,
    needsIrohRelay: relay === 'iroh',
    needsNativeDoor: true,
    needsPureIroh: false,
    real: async (tools) => scenario(await RealLab.open({ sites, line, relay, binding, ...tools })),
    simulated: (seed) => simulate({ seed, sites, line }, scenario),
  }
}

const NETWORK: Suite = {
  name: 'network',
  title: 'The network: NATs as plain datagrams meet them, and lines',
  isUsual: true,
  needsIrohRelay: false,
  needsNativeDoor: false,
  needsPureIroh: false,
  real: async ({ emulator }) => ({ kind: 'network', findings: await checkNetwork(emulator) }),
  // Its findings are compared with the simulator's presets one by one.
  simulated: () => Promise.resolve({ kind: 'network', findings: [] }),
}

function pairs(places: readonly Place[] = PLACES): Story {
  const scenario = pairScenario(places)
  return { sites: pairSites(places), scenario: async (lab) => ({ kind: 'pairs', pairs: await scenario(lab) }) }
}

function outage(options: Outage): Story {
  const scenario = outageScenario(options)
  return { sites: outageSites(options), scenario: async (lab) => ({ kind: 'stories', stories: await scenario(lab) }) }
}

function life(): Story {
  const scenario = lifeScenario(STORIES)
  return { sites: lifeSites(STORIES), scenario: async (lab) => ({ kind: 'stories', stories: await scenario(lab) }) }
}

function lossy(times: number): Story {
  const load = { pairs: 4, requests: 400 * times, transfers: 4 * times }
  const scenario = lossyScenario(load)
  return { sites: lossySites(load), scenario: async (lab) => ({ kind: 'loads', loads: await scenario(lab) }) }
}

/** What the simulator makes of these links, and how far it is from the samples, `npm run fidelity` tells. */
function links({ links, times, samples }: SuiteOptions): Suite {
  return {
    name: 'links',
    title: `Links, with iroh alone: medians of ${times}, ms`,
    isUsual: false,
    needsIrohRelay: false,
    needsNativeDoor: false,
    needsPureIroh: true,
    real: async ({ emulator, pureIroh }) => ({
      kind: 'links',
      links: await measureLinks(emulator, { links, repetitions: times, program: pureIroh, samples }),
    }),
    simulated: () => Promise.resolve({ kind: 'links', links: [] }),
  }
}

/** All suites. */
export function suites(options: SuiteOptions): readonly Suite[] {
  const { times } = options
  const busy = { pairs: 5, streams: true, times }
  const quiet = { pairs: 8, streams: false, times }
  const alone = { isUsual: false, line: SLOWER }
  const ours = { relay: 'ours' } as const
  const official = { relay: 'ours', binding: 'official' } as const
  return [
    NETWORK,
    inLab('pairs', 'Every pair: iroh-relay, native door', pairs()),
    inLab('pairs-ours', 'Every pair: p2p-relay, native door', pairs(), ours),
    inLab('pairs-official', 'The essential pairs: p2p-relay, official binding', pairs(ESSENTIAL), official),
    inLab('life', 'Life: iroh-relay, native door', life()),
    inLab('life-official', 'Life: p2p-relay, official binding', life(), official),
    inLab('outage-3', 'iroh-relay is killed for 3 s', outage({ forMs: 3000, ...busy })),
    inLab('outage-12', 'iroh-relay is killed for 12 s', outage({ forMs: 12_000, ...busy })),
    inLab(
      'outage-3-official',
      'p2p-relay is killed for 3 s, official binding',
      outage({ forMs: 3000, ...busy, pairs: 3 }),
      official,
    ),
    inLab('quiet-3', 'The same with requests alone and lines of 25 ms, 3 s', outage({ forMs: 3000, ...quiet }), alone),
    inLab(
      'quiet-12',
      'The same with requests alone and lines of 25 ms, 12 s',
      outage({ forMs: 12_000, ...quiet }),
      alone,
    ),
    inLab('lossy', 'Lines of 20 ms that lose 1 %, with a relay between and without', lossy(times), {
      isUsual: false,
      line: LOSSY,
    }),
    links(options),
  ]
}
