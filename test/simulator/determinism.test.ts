/**
 * The promise of the simulator: one seed, one history, whatever the machine is doing meanwhile. Real files are read
 * over the bridge here while other threads and processes keep both the processor and the disk busy.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Simulation } from '../../src/simulator/simulation.ts'
import type { SimulationOptions } from '../../src/simulator/simulation-options.ts'

const FILE_BYTES = 300_000
/** The load ends by itself, should the test not end it. */
const BUSY_MS = 25_000
const BUSY = `
  const end = Date.now() + ${BUSY_MS}
  const fs = require('node:fs')
  while (Date.now() < end) { for (let i = 0; i < 1e5; i++) Math.sqrt(i); fs.readFileSync(process.execPath, { flag: 'r' }).length }
`

let directory = ''
let file = ''

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'p2p-determinism-'))
  file = join(directory, 'track.bin')
  writeFileSync(file, Buffer.from(Array.from({ length: FILE_BYTES }, (_, i) => (i * 2_654_435_761) >>> 24)))
})

afterAll(() => {
  rmSync(directory, { recursive: true })
})

/** Four hosts read the file in ranges of random size, several at a time, sleep, draw and race in between. */
async function history(
  options: SimulationOptions,
  path = file,
): Promise<{ hash: string; digests: string[]; ms: number }> {
  await using sim = new Simulation(options)
  const digests: string[] = []
  for (let i = 0; i < 4; i++) {
    sim.host(`reader ${i}`, async ({ runtime, name }) => {
      await runtime.sleep(runtime.random() * 20)
      await using source = await runtime.files.open(path)
      const digest = createHash('sha256')
      let position = 0
      while (position < source.sizeBytes) {
        const lengths = [1, 2, 3].map(() => 1 + Math.floor(runtime.random() * 30_000))
        const reads = lengths.map((length) => {
          const from = position
          position += length
          return source.read(from, length)
        })
        // Whichever is first, it is the first that was asked for: the disk has no say.
        const first = await Promise.race(reads.map((read, index) => read.then(() => index)))
        if (first !== 0) throw new Error(`read ${first} came first`)
        for (const read of reads) digest.update(await read)
        if (runtime.random() < 0.5) await runtime.sleep(runtime.random() * 5)
      }
      digests.push(`${name} ${digest.digest('hex')} at ${runtime.now()}`)
    })
  }
  const { hash, ended, virtualMs } = await sim.run()
  expect(ended).toBe('programs')
  return { hash, digests, ms: virtualMs }
}

describe('a history with real file reads', () => {
  test('is the same a hundred times over on a busy machine', async () => {
    const busy = spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' })
    try {
      const first = await history({ seed: 1 })
      const whole = createHash('sha256')
        .update(Buffer.from(Array.from({ length: FILE_BYTES }, (_, i) => (i * 2_654_435_761) >>> 24)))
        .digest('hex')
      expect(first.digests.every((line) => line.includes(whole))).toBe(true)
      // Other simulations run in between, and some at the same time.
      for (let round = 0; round < 33; round++) {
        const runs = await Promise.all([history({ seed: 1 }), history({ seed: 1 }), history({ seed: 1 })])
        expect(runs).toEqual([first, first, first])
      }
    } finally {
      busy.kill('SIGKILL')
      await once(busy, 'close')
    }
  })

  test('is another with another seed, and with another byte in the file', async () => {
    const first = await history({ seed: 1 })
    expect((await history({ seed: 2 })).hash).not.toBe(first.hash)
    const other = join(directory, 'other.bin')
    const bytes = Buffer.from(Array.from({ length: FILE_BYTES }, (_, i) => (i * 2_654_435_761) >>> 24))
    writeFileSync(other, bytes)
    expect((await history({ seed: 1 }, other)).hash).toBe(first.hash)
    bytes[FILE_BYTES - 1] = 255 - (bytes[FILE_BYTES - 1] as number)
    writeFileSync(other, bytes)
    expect((await history({ seed: 1 }, other)).hash).not.toBe(first.hash)
  })

  test('is the same whichever way microtasks are run', async () => {
    expect(await history({ seed: 5, settle: 'immediates' })).toEqual(await history({ seed: 5, settle: 'tick' }))
  })
})
