/**
 * A small world for the examples: five devices on all sorts of lines and NATs, to which things happen for a while.
 *
 * @module
 */
import { parseSimulatorConfig } from '@moosicbox/p2p'
import { drawFaults, Scheduler, Simulation } from '@moosicbox/p2p/simulator'
import type { Fault, FaultProfileName, HostOptions, HostProgram } from '@moosicbox/p2p/simulator'

export const NAMES = ['ada', 'bert', 'cleo', 'dora', 'emil'] as const
export type Name = (typeof NAMES)[number]

export interface FaultyWorld {
  readonly seed: number
  readonly profile: FaultProfileName
  /** Virtual time at which everything is healed. */
  readonly healMs: number
  /** Virtual time by which all must be well. */
  readonly limitMs: number
  /** Run on each host, and again after each of its crashes. */
  readonly program: (name: Name) => HostProgram
  /** Whether all is well; asked once everything is healed. */
  readonly isWell: () => boolean
}

/** What came of it. */
export interface FaultyRun {
  readonly faults: readonly Fault[]
  readonly hash: string
  /** Whether all was well in the end. */
  readonly isWell: boolean
}

/** Runs the world until all is well after the healing, or the time is over. */
export async function runFaultyWorld(world: FaultyWorld): Promise<FaultyRun> {
  const { seed, profile, healMs, limitMs, program, isWell } = world
  await using sim = new Simulation({ seed, config: parseSimulatorConfig({}) })
  const home = sim.lan({ name: 'home', nat: 'home', link: 'cable' })
  const places: Readonly<Record<Name, HostOptions>> = {
    ada: { link: 'fibre' },
    bert: { lan: home },
    cleo: { lan: home },
    dora: { lan: sim.lan({ name: 'provider', nat: 'cgnat', link: '4g' }) },
    emil: { lan: sim.lan({ name: 'office', nat: 'symmetric', link: 'dsl' }) },
  }
  for (const name of NAMES) sim.host(name, places[name], program(name))
  const random = new Scheduler(BigInt(seed)).random('test/faults')
  const targets = { hosts: NAMES, lans: ['home', 'provider', 'office'], relays: [] }
  const drawn = drawFaults(random, profile, targets, healMs - 1_000)
  // Whoever loses a disk has lost what only they had: no promise is about that.
  const faults = drawn.filter((fault) => !('disk' in fault) || fault.disk !== 'lost')
  for (const fault of faults) sim.faults.inject(fault)
  let healed = false
  sim.at(healMs, () => {
    sim.faults.healAll()
    healed = true
  })
  const { ended, hash } = await sim.run({ forMs: limitMs, until: () => healed && isWell() })
  return { faults, hash, isWell: ended === 'until' }
}
