/**
 * What the lab runs: each suite is a network, a relay, a door and a scenario, which also runs in the simulator.
 *
 * @module
 */
import { lifeScenario, lifeSites, STORIES } from './life.ts'
import type { StoryReport } from './life.ts'
import type { Lab, LineSettings, Place, Site } from './model.ts'
import { PLACES } from './model.ts'
import { outageScenario, outageSites } from './outages.ts'
import type { Outage } from './outages.ts'
import { pairScenario, pairSites } from './pairs.ts'
import type { PairReport } from './pairs.ts'
import type { RelayKind } from './relays.ts'

/** Home lines of 20 ms one way, as those that the simulator was compared with before. */
const LINE: LineSettings = { delayMs: 20, loss: 0 }

/** The kinds of NAT that decide: who lets everybody in, who lets in answers alone, and who takes a port for each. */
const ESSENTIAL: readonly Place[] = ['full-cone', 'home', 'symmetric']

/** What a suite comes to. */
export type Outcome =
  | { readonly kind: 'pairs'; readonly pairs: readonly PairReport[] }
  | { readonly kind: 'stories'; readonly stories: readonly StoryReport[] }

/** A suite. */
export interface Suite {
  readonly name: string
  /** For the heading of its table. */
  readonly title: string
  readonly relay: RelayKind
  readonly binding: 'native' | 'official'
  readonly line: LineSettings
  readonly sites: readonly Site[]
  readonly scenario: (lab: Lab) => Promise<Outcome>
}

/** Settings of the command. */
export interface SuiteOptions {
  /** How often the relay is killed in each of the outages. */
  readonly times: number
}

function pairs(name: string, title: string, about: Pick<Suite, 'relay' | 'binding'>, places: readonly Place[]): Suite {
  const scenario = pairScenario(places)
  return {
    name,
    title,
    ...about,
    line: LINE,
    sites: pairSites(places),
    scenario: async (lab) => ({ kind: 'pairs', pairs: await scenario(lab) }),
  }
}

function outage(name: string, title: string, options: Outage): Suite {
  const scenario = outageScenario(options)
  return {
    name,
    title,
    relay: 'iroh',
    binding: 'native',
    line: LINE,
    sites: outageSites(options),
    scenario: async (lab) => ({ kind: 'stories', stories: await scenario(lab) }),
  }
}

/** All suites. */
export function suites({ times }: SuiteOptions): readonly Suite[] {
  const life = lifeScenario(STORIES)
  return [
    pairs('pairs', 'Every pair, iroh-relay, native door', { relay: 'iroh', binding: 'native' }, PLACES),
    pairs('pairs-ours', 'Every pair, p2p-relay, native door', { relay: 'ours', binding: 'native' }, PLACES),
    pairs('pairs-official', 'p2p-relay, official binding', { relay: 'ours', binding: 'official' }, ESSENTIAL),
    {
      name: 'life',
      title: 'Life, iroh-relay, native door',
      relay: 'iroh',
      binding: 'native',
      line: LINE,
      sites: lifeSites(STORIES),
      scenario: async (lab) => ({ kind: 'stories', stories: await life(lab) }),
    },
    outage('outage-3', 'iroh-relay is killed for 3 s', { forMs: 3000, pairs: 5, times }),
    outage('outage-12', 'iroh-relay is killed for 12 s', { forMs: 12_000, pairs: 5, times }),
  ]
}
