/** The export condition selects the backend, and nothing of the other one is loaded. Runs on the built package. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'

const ROOT = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'p2p-backend-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Prints every module that is resolved, in the loader's thread, so that the program itself stays as it is. */
const HOOKS = `
import { writeSync } from 'node:fs'
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context)
  writeSync(2, 'resolved ' + found.url + '\\n')
  return found
}
`

/** Hides the binding, as where optional dependencies were left out. */
const HIDE_BINDING = `
export async function resolve(specifier, context, next) {
  if (specifier === '@number0/iroh') throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
  return next(specifier, context)
}
`

async function run(
  condition: string,
  program: string,
  options: { hooks?: string; env?: Record<string, string> } = {},
): Promise<{ stdout: string; stderr: string; modules: string[] }> {
  const hooks = join(scratch, `hooks-${Math.random()}.mjs`)
  writeFileSync(hooks, options.hooks ?? HOOKS)
  const register = `data:text/javascript,import{register}from'node:module';register('${pathToFileURL(hooks).href}')`
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [`--conditions=${condition}`, '--import', register, '--input-type=module', '-e', program],
    { cwd: ROOT, timeout: 20_000, env: { ...process.env, ...options.env } },
  )
  const modules = [...stderr.matchAll(/^resolved (.*)$/gm)].map((match) => match[1] ?? '')
  return { stdout, stderr, modules }
}

const CREATE = `
import { DefaultP2P } from '@moosicbox/p2p'
const p2p = await DefaultP2P.create({ relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] })
console.log(p2p.backend)
await p2p.close()
`

describe('the backend behind #backend', () => {
  test('is the simulator by default, and nothing of iroh is loaded', async () => {
    const { stdout, modules } = await run('default', CREATE)
    expect(stdout.trim()).toBe('simulator')
    expect(modules.some((url) => url.includes('/dist/simulator/'))).toBe(true)
    expect(modules.filter((url) => url.includes('iroh'))).toEqual([])
  })

  test('has the sources that the environment names on iroh, and loads no others', async () => {
    const program = `
      import { DefaultP2P, testNodeId } from '@moosicbox/p2p'
      const options = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] }
      const p2p = await DefaultP2P.create(options)
      console.log(await p2p.discover('home').then((id) => id.equals(testNodeId('home')), (error) => error.code))
      await p2p.close()
      const own = await DefaultP2P.create({ ...options, discovery: [] })
      console.log(await own.discover('home').catch((error) => error.code))
      await own.close()
    `
    const home = testNodeId('home').toString()
    const env = { P2P_DISCOVERY_MODE: 'static', P2P_STATIC_PEERS: `home=${home}` }
    const real = await run('iroh', program, { env })
    expect(real.stdout.trim().split('\n')).toEqual(['true', 'node-not-found'])
    expect(real.modules.filter((url) => /\/dist\/discovery\/(?:dht|mdns|pkarr|dns-)/.test(url))).toEqual([])
    const none = await run('iroh', program, { env: { ...env, P2P_DISCOVERY_MODE: '' } })
    expect(none.stdout.trim().split('\n')).toEqual(['node-not-found', 'node-not-found'])
    expect(none.modules.filter((url) => url.includes('/dist/discovery/'))).toEqual([])
    await expect(run('iroh', program, { env: { P2P_DISCOVERY_MODE: 'nonsense' } })).rejects.toThrow(
      /"nonsense" is no source/,
    )
    // What a simulation does depends on no deployment.
    const simulated = await run('default', program, { env: { P2P_DISCOVERY_MODE: 'nonsense' } })
    expect(simulated.stdout.trim().split('\n')).toEqual(['node-not-found', 'node-not-found'])
  }, 120_000)

  test('is iroh under its condition, and nothing of the simulator is loaded', async () => {
    const { stdout, modules } = await run('iroh', CREATE)
    expect(stdout.trim()).toMatch(/^iroh \((official|native)\)$/)
    expect(modules.some((url) => url.includes('/dist/iroh/'))).toBe(true)
    expect(modules.filter((url) => url.includes('/dist/simulator/'))).toEqual([])
  })

  test('without the binding, iroh says so in one error', async () => {
    const program = `
      process.env.P2P_NATIVE_ADDON = '/nowhere/p2p.node'
      import { DefaultP2P, P2PError } from '@moosicbox/p2p'
      const error = await DefaultP2P.create().catch((error) => error)
      console.log(P2PError.is(error, 'unsupported'), error.message)
    `
    const { stdout } = await run('iroh', program, { hooks: HIDE_BINDING })
    expect(stdout).toContain('true ')
    expect(stdout).toContain('npm install @number0/iroh')
  })

  test('warns once when production is simulated', async () => {
    const twice = `${CREATE}\nawait (await DefaultP2P.create()).close()`
    const production = await run('default', twice, { env: { NODE_ENV: 'production' } })
    expect(production.stderr.match(/Warning: .*simulat/g)).toHaveLength(1)
    expect(production.stderr).toContain('--conditions=iroh')
    const development = await run('default', twice, { env: { NODE_ENV: 'development' } })
    expect(development.stderr).not.toContain('Warning')
  })
})
