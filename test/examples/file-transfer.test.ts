/** The file transfer example: the right bytes in the end, from whoever has them, whatever happens on the way. */
import { P2PResponse, P2PRouter } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { beforeAll, describe, expect, test } from 'vitest'
import { download } from '../../examples/file-transfer/download.ts'
import { BLOCK_BYTES, fileId, manifestOf, readManifest, sha256 } from '../../examples/file-transfer/manifest.ts'
import { share } from '../../examples/file-transfer/share.ts'
import { Shelf } from '../../examples/file-transfer/shelf.ts'
import { CAST, PARTS } from '../../examples/file-transfer/story.ts'
import type { Actor } from '../../examples/stage/actor.ts'
import { simulatedActor } from '../../examples/stage/simulated.ts'
import { build, runExample } from './built.ts'
import { NAMES, runFaultyWorld } from './faulty-world.ts'
import type { FaultyRun } from './faulty-world.ts'
import { MemoryStore } from './memory-store.ts'

/** `sizeBytes` bytes that are nowhere the same. */
function content(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  let state = 42
  for (let i = 0; i < sizeBytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const FILE = content(20 * BLOCK_BYTES + 777)
const MANIFEST = manifestOf('film', FILE)
const ID = fileId(MANIFEST)

interface TransferRun extends FaultyRun {
  readonly wrong: readonly string[]
  /** Blocks that came over the network, by who took them. */
  readonly blocks: Readonly<Record<string, number>>
  /** Who has given blocks to whom. */
  readonly givers: ReadonlySet<string>
}

/** Ada and emil have the file, the others download it from everybody; each of them may crash, and begins again. */
async function transferThrough(seed: number, profile: 'mobile' | 'hostile'): Promise<TransferRun> {
  const wrong: string[] = []
  const blocks: Record<string, number> = {}
  const givers = new Set<string>()
  const done = new Set<string>()
  const run = await runFaultyWorld({
    seed,
    profile,
    healMs: 60_000,
    limitMs: 400_000,
    program: (name) => async (host) => {
      const { p2p, shelf } = await share(simulatedActor(host))
      if (name === 'ada' || name === 'emil') {
        await shelf.add('film', FILE)
        return
      }
      const onBlock = (_index: number, source: string): void => {
        blocks[name] = (blocks[name] ?? 0) + 1
        givers.add(source)
      }
      const onLiar = (source: string): void => void wrong.push(`${name} takes ${source} for a liar`)
      const sources = NAMES.filter((other) => other !== name)
      const file = await download(p2p, shelf, ID, { sources, onBlock, onLiar })
      if (sha256(await file.bytes()) !== sha256(FILE)) wrong.push(`${name} has another file`)
      done.add(name)
    },
    isWell: () => done.size === 3,
  })
  return { ...run, wrong, blocks, givers }
}

describe('a file in the end', () => {
  test.each([1, 2])('is the right one, whatever happens to phones (seed %i)', async (seed) => {
    const { isWell, wrong, blocks } = await transferThrough(seed, 'mobile')
    expect([isWell, wrong]).toEqual([true, []])
    for (const name of ['bert', 'cleo', 'dora']) expect(blocks[name]).toBeGreaterThanOrEqual(21)
  })

  test.each([1, 2, 3, 4])('is the right one, after crashes and partitions (seed %i)', async (seed) => {
    const { isWell, wrong } = await transferThrough(seed, 'hostile')
    expect([isWell, wrong]).toEqual([true, []])
  })

  test('is the same with the same seed, and comes from several sources', async () => {
    const [one, again, other] = [
      await transferThrough(2, 'hostile'),
      await transferThrough(2, 'hostile'),
      await transferThrough(3, 'hostile'),
    ]
    expect(again).toEqual(one)
    expect(other.hash).not.toBe(one.hash)
    expect(one.givers.size).toBeGreaterThan(1)
  })
})

interface Downloaded {
  readonly blocks: readonly (readonly [number, string])[]
  readonly liars: readonly string[]
  readonly hash: string | undefined
  readonly error: unknown
}

/** A downloader, and sources that serve what they are told to; `crashAtMs` switches the downloader off for a second. */
async function downloadFrom(
  sources: Readonly<Record<string, (actor: Actor) => Promise<void>>>,
  crashAtMs?: number,
): Promise<Downloaded> {
  await using sim = new Simulation({ seed: 5 })
  for (const [name, source] of Object.entries(sources)) {
    sim.host(name, { link: 'cable' }, async (host) => {
      await source(simulatedActor(host))
      await new Promise(() => {})
    })
  }
  const blocks: (readonly [number, string])[] = []
  const liars: string[] = []
  let hash: string | undefined
  let error: unknown
  const end = { done: false }
  sim.host('taker', { link: 'cable' }, async (host) => {
    const { p2p, shelf } = await share(simulatedActor(host))
    try {
      const file = await download(p2p, shelf, ID, {
        sources: Object.keys(sources),
        onBlock: (index, source) => blocks.push([index, source]),
        onLiar: (source) => liars.push(source),
      })
      hash = sha256(await file.bytes())
    } catch (caught) {
      error = caught
    }
    end.done = true
  })
  if (crashAtMs !== undefined) {
    sim.at(crashAtMs, () => sim.crash('taker'))
    sim.at(crashAtMs + 1000, () => sim.restart('taker'))
  }
  await sim.run({ forMs: 300_000, until: () => end.done })
  return { blocks, liars, hash, error }
}

const honest = async (actor: Actor): Promise<void> => {
  const { shelf } = await share(actor)
  await shelf.add('film', FILE)
}

/** Serves `bytes` for each block, and `manifest`. */
const dishonest =
  (manifest: unknown, bytes: Uint8Array) =>
  async (actor: Actor): Promise<void> => {
    const p2p = await actor.create()
    const router = new P2PRouter()
      .route('GET', '/files/:id', () => P2PResponse.json(manifest))
      .route('GET', '/files/:id/have', () => P2PResponse.text('1'.repeat(21)))
      .route('GET', '/files/:id/blocks/:index', () => P2PResponse.bytes(bytes))
    await p2p.serve(router)
    await p2p.register(actor.name)
  }

describe('a download', () => {
  test('takes each block once from one of several sources', async () => {
    const { blocks, hash, liars } = await downloadFrom({ one: honest, two: honest })
    expect(hash).toBe(sha256(FILE))
    expect(liars).toEqual([])
    expect(new Set(blocks.map(([index]) => index)).size).toBe(21)
    for (const name of ['one', 'two']) expect(blocks.filter(([, source]) => source === name).length).toBeGreaterThan(5)
  })

  test('goes on after a crash from what is on the disk', async () => {
    const { blocks, hash } = await downloadFrom({ one: honest }, 2_000)
    expect(hash).toBe(sha256(FILE))
    const again = blocks.length - 21
    // Some had come before, and nearly all of them were still there.
    const before = blocks.findIndex(([index], i) => blocks.slice(0, i).some(([earlier]) => earlier === index))
    expect(again).toBeLessThanOrEqual(8)
    expect(before === -1 || before > 0).toBe(true)
    expect(blocks.length).toBeGreaterThanOrEqual(21)
  })

  test('does not believe a source that sends something else', async () => {
    const zeros = new Uint8Array(BLOCK_BYTES)
    const { hash, liars, blocks } = await downloadFrom({ liar: dishonest(MANIFEST, zeros), one: honest })
    expect([hash, liars]).toEqual([sha256(FILE), ['liar']])
    expect(blocks.every(([, source]) => source === 'one')).toBe(true)
  })

  test('fails when nobody can be trusted', async () => {
    const other = manifestOf('film', FILE.subarray(1))
    const first = await downloadFrom({ liar: dishonest(other, FILE.subarray(0, BLOCK_BYTES)) })
    expect([first.hash, String(first.error), first.liars]).toEqual([
      undefined,
      expect.stringContaining('right manifest'),
      ['liar'],
    ])
    const second = await downloadFrom({ liar: dishonest(MANIFEST, FILE.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES)) })
    expect([second.hash, String(second.error)]).toEqual([undefined, expect.stringContaining('can be trusted')])
  })
})

describe('the parts', () => {
  test('a manifest is that of its id alone', () => {
    expect(readManifest({ ...MANIFEST }, ID)).toEqual(MANIFEST)
    expect(MANIFEST.blocks).toHaveLength(21)
    const [first, ...others] = MANIFEST.blocks
    for (const change of [
      { name: 'x' },
      { sizeBytes: 1 },
      { blocks: others },
      { blocks: [...others, first] },
      { blocks: 'x' },
    ]) {
      expect(readManifest({ ...MANIFEST, ...change }, ID)).toBeUndefined()
    }
    for (const value of [undefined, null, 1, [], {}]) expect(readManifest(value, ID)).toBeUndefined()
  })

  test('a shelf knows after a restart which blocks are right', async () => {
    const store = new MemoryStore()
    const file = await new Shelf(store).add('film', FILE)
    expect([file.id, file.isWhole]).toEqual([ID, true])
    const bytes = store.files.get(`${ID}.blocks`) as Uint8Array
    bytes[3 * BLOCK_BYTES + 5] = (bytes[3 * BLOCK_BYTES + 5] as number) ^ 1
    const never = (): Promise<never> => Promise.reject(new Error('nobody needs to be asked'))
    const again = await new Shelf(store).open(ID, never)
    expect([again.isWhole, again.blocks, again.has(3), again.has(4)]).toEqual([false, 20, false, true])
    expect(await again.block(3)).toBeUndefined()
    expect(await again.put(3, FILE.subarray(0, BLOCK_BYTES))).toBe(false)
    expect(await again.put(3, FILE.subarray(3 * BLOCK_BYTES, 4 * BLOCK_BYTES))).toBe(true)
    expect([again.isWhole, sha256(await again.bytes())]).toEqual([true, sha256(FILE)])
    await expect(new Shelf(new MemoryStore()).open(ID, never)).rejects.toThrow('nobody')
  })
})

describe('the story, as a program', () => {
  beforeAll(() => build(), 120_000)

  test.each(['simulator', 'iroh'])('comes to its end on %s', async (backend) => {
    const { code, stdout, stderr } = await runExample('file-transfer', '--backend', backend)
    // A binding may warn of itself.
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('error:')])
    const text = stdout.toString()
    expect(text).toMatch(/phone +is interrupted after \d+ from/)
    for (const name of ['phone', 'tablet'])
      expect(text).toMatch(new RegExp(`${name} +has 39 blocks: .*every byte is right`))
    expect(CAST.every((name) => name in PARTS)).toBe(true)
  })
})
