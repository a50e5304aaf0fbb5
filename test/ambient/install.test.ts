/** When the globals are installed: first, or not at all. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT, runNode } from './support/run-node.ts'

const EVAL = ['--input-type=module', '-e']
const PRELOAD = ['--import', '@moosicbox/p2p/ambient']

/** A host that looks at its clock. */
const LOOK = `
  import { Simulation } from '@moosicbox/p2p/simulator'
  const sim = new Simulation({ seed: 1, ambient: true })
  sim.host('alice', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    console.log(Date.now(), performance.now())
  })
  await sim.run()
`

describe.concurrent('a preload', { timeout: 120_000 }, () => {
  test('gives hosts a clock of their own, and the process keeps the real one', async () => {
    const program = `${LOOK}\n console.log(Date.now() > 1.7e12 + 1e9, setTimeout(() => {}, 1) instanceof Object)`
    const { stdout, stderr } = await runNode([...PRELOAD, ...EVAL, program])
    expect({ stdout, stderr }).toEqual({ stdout: '1700000001000 1000\ntrue true\n', stderr: '' })
  })

  test('works in a worker thread too, with the same history', async () => {
    const { stdout, stderr } = await runNode([...PRELOAD, join(import.meta.dirname, 'programs/worker.mjs')])
    const hashes = stdout.trim().split(' ')
    expect(stderr).toBe('')
    expect([hashes.length, new Set(hashes).size]).toEqual([3, 1])
  })

  test('after another of the application is too late, and says whose', async () => {
    const early = join(import.meta.dirname, 'programs/early.mjs')
    const { code, stderr } = await runNode(['--import', early, ...PRELOAD, ...EVAL, '1'])
    expect(code).not.toBe(0)
    expect(stderr).toContain(`were loaded before and may have captured the real ones: ${early}`)
    expect((await runNode([...PRELOAD, '--import', early, ...EVAL, '1'])).code).toBe(0)
  })
})

describe.concurrent('without a preload', { timeout: 120_000 }, () => {
  test('a simulation that wants them is refused', async () => {
    const { code, stderr } = await runNode([...EVAL, LOOK])
    expect(code).toBe(1)
    expect(stderr).toContain('node --import @moosicbox/p2p/ambient')
  })

  test('importing it from the application is too late', async () => {
    const program = join(import.meta.dirname, 'programs/late.mjs')
    const { code, stderr } = await runNode([program])
    expect(code).toBe(1)
    expect(stderr).toContain(`may have captured the real ones: ${program}`)
  })
})

describe.concurrent('the guards of hosts without globals of their own', { timeout: 120_000 }, () => {
  const told = async (use: string): Promise<string> => {
    const program = `
      import { Simulation } from '@moosicbox/p2p/simulator'
      const sim = new Simulation({ seed: 1 })
      ${use}
      await sim.run().catch(({ message }) => console.log(message))
    `
    return (await runNode([...EVAL, program])).stdout
  }

  test('are there before the first scenario takes functions out of modules', async () => {
    const use = `
      const { writeFile } = await import('node:fs/promises')
      sim.host('alice', () => writeFile('/nowhere/x', ''))
    `
    expect(await told(use)).toContain('host alice used a real file (fs.promises.writeFile)')
    const timer = `
      const { setTimeout: later } = globalThis
      sim.host('alice', () => void later(() => {}, 1))
    `
    expect(await told(timer)).toContain('host alice used a real timer, setTimeout')
  })

  test('know modules that a host is the first to import', async () => {
    const use = `sim.host('alice', async () => (await import('node:child_process')).execSync('true'))`
    expect(await told(use)).toContain('host alice used a real process (child_process.execSync)')
  })
})

describe.concurrent('a set-up file of vitest', { timeout: 120_000 }, () => {
  const vitest = async (setupFiles: string, pool: string): Promise<string> => {
    const project = join(import.meta.dirname, 'vitest-project')
    const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', project, '--reporter=verbose']
    const { stdout, stderr } = await runNode(args, { env: { SETUP_FILES: setupFiles, POOL: pool, NO_COLOR: '1' } })
    return stdout + stderr
  }

  test.each(['forks', 'threads'])('gives hosts a clock of their own (%s)', async (pool) => {
    const output = await vitest('@moosicbox/p2p/ambient', pool)
    expect(output).toMatch(/seen 1700000000000 0\.\d+ 1700000001000 0\.\d+ 1700000002000 0\.\d+/)
    expect(output).toMatch(/Tests\s+1 passed/)
  })

  test('after another one of the application is too late', async () => {
    expect(await vitest('./early.ts,@moosicbox/p2p/ambient', 'forks')).toMatch(/installed too late.*early\.ts/)
  })
})
