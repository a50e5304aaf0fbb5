/** A failure is seen again from its file, and a program that has changed is told so. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, array, nat, property } from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addToCorpus, corpusSeeds, readReplay, replay, resolveOptions, scenario } from '../../src/simtest/index.ts'
import type { ReplayFile, Scenario } from '../../src/simtest/index.ts'
import { Trail, TrailFollower } from '../../src/simtest/trail.ts'
import { checkOf } from './support.ts'

let folder = ''
const before = process.env['SIMULATOR_ARTIFACTS'] ?? ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'p2p-simtest-'))
  process.env['SIMULATOR_ARTIFACTS'] = folder
})
afterAll(() => {
  process.env['SIMULATOR_ARTIFACTS'] = before
  rmSync(folder, { recursive: true })
})

/** Two hosts that sleep for random times; it fails when both have, and `extra` changes what happens after 5 s. */
function sleepers(extra: number, name = 'sleepers'): Scenario {
  return scenario(name, { seeds: 1, seed: 11, faults: 'hostile' }, async (sim) => {
    let done = 0
    for (const host of ['a', 'b']) {
      sim.host(host, async ({ runtime }) => {
        for (let i = 0; i < 10; i++) await runtime.sleep(500 + runtime.random() * 500 + (i > 8 ? extra : 0))
        done++
      })
    }
    sim.always('not both', () => done < 2)
    await sim.run({ forMs: 100_000 })
  })
}

async function fail(what = sleepers(0)): Promise<{ path: string; file: ReplayFile }> {
  const { examined } = await checkOf(what)
  const path = examined[0]?.replayPath ?? ''
  return { path, file: readReplay(path) }
}

describe('a replay', () => {
  test('has the same history', async () => {
    const what = sleepers(0)
    const { file } = await fail(what)
    const replayed = await replay(what, resolveOptions(what.options, {}), file)
    expect(replayed.isSame).toBe(true)
    expect(replayed.outcome.hash).toBe(file.hash)
    expect(replayed.outcome.failure?.key).toBe(file.failure.key)
    expect(replayed.outcome.story.length).toBeGreaterThan(0)
  })

  test('of a changed program says so, and at which event', async () => {
    const { file } = await fail()
    const changed = sleepers(1)
    const { isSame, difference, outcome } = await replay(changed, resolveOptions(changed.options, {}), file)
    expect(isSame).toBe(false)
    expect(outcome.failure).toBeDefined()
    const event = Number(/the histories part at event (\d+) of/.exec(difference ?? '')?.[1])
    expect(event).toBeGreaterThan(5)
    expect(event).toBeLessThan(file.events)
  })

  test('of a program that was repaired says so', async () => {
    const { file } = await fail()
    const repaired = scenario('sleepers', { faults: 'hostile' }, async (sim) => {
      for (const host of ['a', 'b']) sim.host(host, ({ runtime }) => runtime.sleep(500))
      await sim.run()
    })
    const { difference } = await replay(repaired, resolveOptions(repaired.options, {}), file)
    expect(difference).toContain('It does not fail any more')
    expect(difference).toContain('It failed of: always "not both" does not hold')
  })

  test.each<[string, (file: ReplayFile) => unknown, string]>([
    ['another version', (file) => ({ ...file, version: 2 }), 'is of version 2 and this library reads version 1'],
    ['no replay', () => ({ seed: 1 }), 'is no replay file'],
    ['null', () => null, 'is no replay file'],
    ['half a file', ({ hash: _hash, ...file }) => file, 'lacks some of what'],
    ['a bad seed', (file) => ({ ...file, seed: '-1' }), 'must be a whole number from 0 to 2^64 - 1'],
    [
      'an unknown fault',
      (file) => ({ ...file, plan: { ...file.plan, faults: [{ kind: 'x', atMs: 0 }] } }),
      'no such fault',
    ],
    ['bad choices', (file) => ({ ...file, plan: { ...file.plan, picks: [-1] } }), 'picks'],
    ['no plan', (file) => ({ ...file, plan: 3 }), 'plan of'],
  ])('from %s is refused', async (_name, change, message) => {
    const { file } = await fail()
    const path = join(folder, 'changed.json')
    writeFileSync(path, JSON.stringify(change(file)))
    expect(() => readReplay(path)).toThrow(message)
  })

  test('from no file, or no JSON, is refused', () => {
    expect(() => readReplay(join(folder, 'nowhere.json'))).toThrow('cannot be read as a replay file: ENOENT')
    writeFileSync(join(folder, 'text.json'), 'hello')
    expect(() => readReplay(join(folder, 'text.json'))).toThrow('cannot be read as a replay file')
  })

  test('with a fault on a host that is no more is told so', async () => {
    const { file } = await fail()
    const fault = { kind: 'crash', atMs: 100, host: 'a' } as const
    const other = scenario('sleepers', {}, async (sim) => {
      sim.host('c', ({ runtime }) => runtime.sleep(500))
      await sim.run()
    })
    const changed = { ...file, plan: { ...file.plan, faults: [fault] } }
    const { outcome } = await replay(other, resolveOptions(other.options, {}), changed)
    expect(outcome.failure?.message).toContain('there is no host or LAN of this name')
  })

  test('of what is not deterministic is not trusted', async () => {
    let calls = 0
    const { examined } = await checkOf(
      scenario('flaky', { seeds: 1 }, async (sim) => {
        const ms = 100 + calls++
        sim.host('a', ({ runtime }) => runtime.sleep(ms))
        await sim.run()
        throw new Error('always')
      }),
    )
    expect(examined[0]?.isRepeatable).toBe(false)
    expect(examined[0]?.text).toContain('did not give the same history twice')
  })
})

describe('a trail', () => {
  test('is followed to the event where another history leaves it', () => {
    assert(
      property(array(nat(255), { minLength: 1, maxLength: 300 }), nat(), (marks, choice) => {
        const trail = new Trail()
        for (const mark of marks) trail.add(mark)
        const same = new TrailFollower(trail.data())
        for (const mark of marks) same.add(mark)
        expect(same.partedAt).toBeUndefined()
        const at = choice % marks.length
        const other = new TrailFollower(trail.data())
        for (const [i, mark] of marks.entries()) other.add(i < at ? mark : mark ^ 1)
        expect(other.partedAt).toBe(at)
      }),
    )
  })

  test('of a long history is thinned out, and still leads there', () => {
    const mark = (i: number): number => Math.imul(i, 2_654_435_761) >>> 24
    const trail = new Trail()
    for (let i = 0; i < 300_000; i++) trail.add(mark(i))
    const data = trail.data()
    expect(data.stride).toBe(8)
    expect(data.marks.length).toBeLessThan(100_000)
    const same = new TrailFollower(data)
    const other = new TrailFollower(data)
    for (let i = 0; i < 300_000; i++) {
      same.add(mark(i))
      other.add(i < 200_001 ? mark(i) : mark(i) ^ 1)
    }
    expect(same.partedAt).toBeUndefined()
    expect(other.partedAt).toBe(200_008)
  })
})

describe('a corpus', () => {
  test('keeps seeds in order, each once, by test', () => {
    const path = join(folder, 'seeds.json')
    expect(corpusSeeds(path, 'one')).toEqual([])
    addToCorpus(path, 'one', [7n, 3n])
    addToCorpus(path, 'two', [18_446_744_073_709_551_615n])
    addToCorpus(path, 'one', [3n, 9n])
    expect(corpusSeeds(path, 'one')).toEqual([7n, 3n, 9n])
    expect(corpusSeeds(path, 'two')).toEqual([18_446_744_073_709_551_615n])
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ format: 'moosicbox-p2p-seeds', version: 1 })
  })

  test('comes before all other seeds', async () => {
    const path = join(folder, 'first.json')
    addToCorpus(path, 'in order', [77n])
    const seen: bigint[] = []
    await checkOf(
      scenario('in order', { seeds: 3, corpus: path, checkIsolation: false }, (sim) => void seen.push(sim.seed)),
    )
    expect(seen).toEqual([77n, 1n, 2n, 3n])
  })

  test('that is none is refused', () => {
    const path = join(folder, 'bad.json')
    writeFileSync(path, '[]')
    expect(() => corpusSeeds(path, 'x')).toThrow('is no corpus')
  })
})
