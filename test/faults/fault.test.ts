/** Faults as data: what is none is refused with the reason, and drawing them depends on the seed alone. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  checkFault,
  drawFaults,
  FAULT_KINDS,
  faultProfile,
  faultProfiles,
  Simulation,
} from '../../src/simulator/index.ts'
import type { Fault, FaultProfileName } from '../../src/simulator/index.ts'
import { randomStream } from '../../src/simulator/random.ts'

const crash = { kind: 'crash', atMs: 1000, host: 'alice' } as const
const targets = { hosts: ['a', 'b', 'c'], lans: ['home'], relays: ['relay:default'] }

function draw(seed: number, profile: FaultProfileName, untilMs = 600_000): Fault[] {
  return drawFaults(randomStream(BigInt(seed), 'faults'), profile, targets, untilMs)
}

describe('what is no fault', () => {
  test.each<[unknown, string]>([
    [undefined, 'must be an object'],
    [{ ...crash, kind: 'meteor' }, 'there is no such fault; known are partition'],
    [{ ...crash, kind: 'toString' }, 'there is no such fault'],
    [{ ...crash, atMs: -1 }, 'fault.atMs = -1'],
    [{ ...crash, atMs: Number.NaN }, 'fault.atMs'],
    [{ ...crash, host: '' }, 'must be a name'],
    [{ kind: 'crash', atMs: 0 }, 'fault.host = undefined: is missing'],
    [{ ...crash, disk: 'burnt' }, "must be 'kept' or 'lost'"],
    [{ ...crash, forms: 3 }, 'crash has no such field; known are kind, atMs, forMs, host, disk'],
    [{ kind: 'link-degrade', atMs: 0, line: 'a', loss: 1.5 }, 'must be a probability'],
    [{ kind: 'partition', atMs: 0, a: [] }, 'a list of at least one name'],
    [{ kind: 'slow', atMs: 0, host: 'a', eventMs: 0 }, 'must be a number from 0.001'],
  ])('%j is told so', (value, message) => {
    expect(() => checkFault(value)).toThrow(message)
  })

  test('a fault that is one is given back', () => {
    expect(checkFault(crash)).toBe(crash)
  })
})

describe('injecting', () => {
  test.each<[Fault, string]>([
    [{ kind: 'crash', atMs: 0, host: 'bob' }, 'there is no host or LAN of this name; there are alice, server, home'],
    [{ kind: 'crash', atMs: 0, host: 'home' }, 'there is no host of this name'],
    [{ kind: 'partition', atMs: 0, a: ['alice'], b: ['bob'] }, '"bob"'],
    [{ kind: 'link-flap', atMs: 0, forMs: 1, line: 'alice>bob', downMs: 1, upMs: 1 }, '"bob"'],
    [{ kind: 'link-degrade', atMs: 0, line: 'alice>server' }, 'there is no such link'],
    [{ kind: 'nat-rebind', atMs: 0, lan: 'office' }, 'there is no LAN of this name; there are home, flat'],
    [{ kind: 'nat-rebind', atMs: 0, lan: 'flat' }, 'has no NAT'],
    [{ kind: 'relay-crash', atMs: 0, relay: 'eu' }, '"eu"'],
  ])('%j on what there is not is told so', async (fault, message) => {
    await using sim = new Simulation({ seed: 1 })
    const home = sim.lan({ name: 'home' })
    sim.lan({ name: 'flat', nat: 'none' })
    sim.host('alice', { lan: home })
    sim.host('server')
    expect(() => sim.faults.inject(fault)).toThrow(message)
  })

  test('in the past is told so', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice')
    await sim.run({ forMs: 2000 })
    expect(() => sim.faults.inject(crash)).toThrow('it is 2000 ms already')
  })
})

describe('drawing', () => {
  test('every fault is one, in order, and over in time, whatever the seed', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom<FaultProfileName>('calm', 'mobile', 'hostile'), (seed, profile) => {
        const faults = draw(seed, profile)
        for (const fault of faults) {
          checkFault(fault)
          expect(fault.atMs + ('forMs' in fault ? (fault.forMs ?? 0) : 0)).toBeLessThanOrEqual(600_000)
        }
        expect(faults.map(({ atMs }) => atMs)).toEqual(faults.map(({ atMs }) => atMs).sort((a, b) => a - b))
      }),
      { numRuns: 200 },
    )
  })

  test('depends on the seed', () => {
    expect(draw(7, 'hostile')).toEqual(draw(7, 'hostile'))
    expect(draw(7, 'hostile')).not.toEqual(draw(8, 'hostile'))
  })

  test('each seed uses some kinds and not others, and all come up over many', () => {
    const all = new Set<string>()
    let smallest = FAULT_KINDS.length
    for (let seed = 0; seed < 200; seed++) {
      const kinds = new Set(draw(seed, 'hostile').map(({ kind }) => kind))
      for (const kind of kinds) all.add(kind)
      if (kinds.size > 0) smallest = Math.min(smallest, kinds.size)
    }
    expect(FAULT_KINDS.filter((kind) => !all.has(kind))).toEqual([])
    expect(smallest).toBeLessThan(FAULT_KINDS.length / 2)
  })

  test('without anybody that it could happen to nothing happens', () => {
    const nobody = { hosts: [], lans: [], relays: [] }
    const profile = { everyMs: 10, weights: { crash: 1, 'nat-rebind': 1, 'relay-crash': 1, partition: 1 } }
    expect(drawFaults(randomStream(1n, 'x'), profile, nobody, 10_000)).toEqual([])
  })

  test.each<[unknown, string]>([
    ['sunny', 'there is no such profile of faults; known are calm, mobile, hostile'],
    [{ everyMs: 0, weights: {} }, 'faults.everyMs'],
    [{ everyMs: 10, weights: { meteor: 1 } }, 'no such fault'],
    [{ everyMs: 10, weights: { crash: -1 } }, 'at least 0'],
    [{ everyMs: 10, weights: {}, often: true }, 'no option "often"'],
    [3, 'must be the name of a profile'],
  ])('the profile %j is refused', (profile, message) => {
    expect(() => faultProfile(profile as FaultProfileName)).toThrow(message)
  })

  test('the profiles are ones', () => {
    for (const profile of Object.values(faultProfiles)) expect(faultProfile(profile)).toBe(profile)
  })
})
