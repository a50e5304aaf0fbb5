/** Any fault. */
import { constantFrom } from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { drawFaults, faultProfiles } from '../../src/simulator/index.ts'
import type { Fault } from '../../src/simulator/index.ts'
import { randomStream } from '../../src/simulator/random.ts'

const targets = { hosts: ['a', 'b', 'c', 'd'], lans: ['home', 'office'], relays: ['relay:default'] }
const profile = { ...faultProfiles.hostile, swarm: false, everyMs: 500, diskLoss: 0.5 }
const faults = drawFaults(randomStream(1n, 'any'), profile, targets, 300_000)

export function arbitraryFault(): Arbitrary<Fault> {
  return constantFrom(...faults)
}
