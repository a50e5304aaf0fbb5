/** What a simulation does to the process it runs in, and in a worker thread. Runs on the built package. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

interface Exit {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

async function node(program: string, env: Record<string, string> = {}): Promise<Exit> {
  const source = `import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'\n${program}`
  const options = { cwd: ROOT, timeout: 25_000, env: { ...process.env, ...env } }
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, signal, stdout, stderr }) => ({ code: code ?? signal, stdout, stderr }),
  )
}

const EXCHANGE = `
const server = await SimulatorP2P.create()
const listener = await server.listen()
const echo = async () => {
  for await (const connection of listener) for await (const message of connection) await connection.send(message)
}
void echo()
const client = await SimulatorP2P.create()
const connection = await client.connect(server.localNodeId())
await connection.send(new Uint8Array(5))
console.log((await connection.recv()).length)
`

describe.concurrent('a process in the default world', () => {
  test('ends by itself when its nodes are closed', async () => {
    const { code, stdout, stderr } = await node(`${EXCHANGE}\nawait client.close()\nawait server.close()`)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '5\n', stderr: '' })
  })

  test('ends by itself when a node was created and nothing done with it', async () => {
    expect(await node('await SimulatorP2P.create()')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  // A timer that keeps nothing alive fires only if something else does.
  const later = `setTimeout(() => { console.log('still here'); process.exit(0) }, 300).unref()`

  test('lives as long as a node listens', async () => {
    const { code, stdout } = await node(`${EXCHANGE}\nawait client.close()\n${later}`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '5\nstill here\n' })
  })

  test('lives as long as a connection is open, and no longer', async () => {
    const { stdout } = await node(`${EXCHANGE}\nlistener.close()\n${later}`)
    expect(stdout).toBe('5\nstill here\n')
    const closed = await node(`${EXCHANGE}\nlistener.close()\nconnection.close()\n${later}`)
    expect(closed).toEqual({ code: 0, stdout: '5\n', stderr: '' })
  })

  test('waits for timers, at the pace that is asked for', async () => {
    const program = `
      const { runtime } = await SimulatorP2P.create()
      const start = runtime.now()
      await runtime.sleep(600_000)
      runtime.setTimer(600_000, () => console.log(Math.round((runtime.now() - start) / 60_000)))
    `
    const env = { SIMULATOR_TIME_MULTIPLIER: '10000' }
    expect(await node(program, env)).toEqual({ code: 0, stdout: '20\n', stderr: '' })
  })

  test('does not wait for timers that were cancelled', async () => {
    const program = `
      const { runtime } = await SimulatorP2P.create()
      runtime.setTimer(600_000, () => console.log('fired')).cancel()
      await runtime.sleep(1)
      const timer = runtime.setTimer(600_000, () => console.log('fired'))
      setTimeout(() => timer.cancel(), 20)
    `
    expect(await node(program)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('ends with the error that a timer throws, as for any timer', async () => {
    const program = `
      const { runtime } = await SimulatorP2P.create()
      runtime.setTimer(1, () => { throw new RangeError('broken timer') })
    `
    const { code, stderr } = await node(program)
    expect(code).toBe(1)
    expect(stderr).toContain('RangeError: broken timer')
  })
})

const SEEDED = `
const program = async ({ runtime, name }) => {
  const file = await runtime.files.open('package.json')
  for (let i = 0; i < 20; i++) {
    await runtime.sleep(runtime.random() * 10)
    await file.read(Math.floor(runtime.random() * 500), 100)
  }
  await file.close()
}
const sim = new Simulation({ seed: 5 })
for (const name of ['a', 'b', 'c']) sim.host(name, program)
const { hash } = await sim.run()
`

describe.concurrent('a simulation', () => {
  test('has the same history in the main thread and in a worker', async () => {
    const worker = `
      import { isMainThread, parentPort, Worker } from 'node:worker_threads'
      const source = ${JSON.stringify(`import { Simulation } from '@moosicbox/p2p/simulator'`)}
        + ${JSON.stringify(SEEDED)}
        + ";(await import('node:worker_threads')).parentPort.postMessage(hash)"
      const run = () => new Promise((resolve, reject) => {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(
          source.replaceAll("'@moosicbox/p2p/simulator'", JSON.stringify(import.meta.resolve('@moosicbox/p2p/simulator'))))))
        worker.on('message', resolve)
        worker.on('error', reject)
      })
      ${SEEDED}
      console.log(hash, ...(await Promise.all([run(), run()])))
    `
    const { code, stdout, stderr } = await node(worker)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const hashes = stdout.trim().split(' ')
    expect(hashes.length).toBe(3)
    expect(new Set(hashes).size).toBe(1)
  })

  test('leaves nothing behind that keeps the process alive', async () => {
    const program = `
      const sim = new Simulation({ seed: 1 })
      sim.host('server', async () => { await (await SimulatorP2P.create()).listen() })
      sim.host('forever', () => new Promise(() => {}))
      console.log((await sim.run({ forMs: 1000 })).ended)
    `
    expect(await node(program)).toEqual({ code: 0, stdout: 'time\n', stderr: '' })
  })

  test('that fails ends the process with the host, the seed and the cause', async () => {
    const program = `
      const sim = new Simulation({ seed: 3 })
      sim.host('player', async ({ runtime }) => { await runtime.sleep(5); void Promise.reject(new Error('nobody cares')) })
      sim.host('other', ({ runtime }) => runtime.sleep(100))
      await sim.run()
    `
    const { code, stderr } = await node(program)
    expect(code).toBe(1)
    expect(stderr).toContain('host player failed at 5 ms of virtual time with seed 3: nobody cares')
  })
})
