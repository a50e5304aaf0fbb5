/**
 * The home server of `examples/deploy`, as its unit starts it, on the simulated network.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SERVER = join(import.meta.dirname, '../../examples/deploy/home-server.mjs')

test('the home server makes its key, tells its health, and ends at the first signal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'p2p-deploy-'))
  await writeFile(join(folder, 'friends'), '')
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, STATE_DIRECTORY: folder, SHARED: folder, HEALTH_PORT: '0', NODE_ENV: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    let said = ''
    while (!said.includes('/health\n')) said += String((await once(child.stdout, 'data'))[0])
    const url = /http:\S+/.exec(said)?.[0] ?? ''
    const id = /: ([a-z0-9]{52}),/.exec(said)?.[1]
    expect(id).toBeDefined()
    const answer = await fetch(url)
    expect(await answer.json()).toEqual({
      active_connections: 0,
      node_id: expect.stringMatching(/^[0-9a-f]{10}$/) as string,
      network_type: 'direct',
      uptime: expect.any(Number) as number,
    })
    expect((await fetch(new URL('/', url))).status).toBe(404)
    expect((await readFile(join(folder, 'key'), 'utf8')).length).toBe(65)
    expect((await stat(join(folder, 'key'))).mode & 0o077).toBe(0)
    child.kill('SIGINT')
    expect((await once(child, 'exit'))[0]).toBe(0)
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true })
  }
})
