// Scenarios that use every part of the simulator; prints a line with the hash of each. Asked for `twice` it runs them
// all, in another order, a second time in the same process, and in a worker.
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'
import { parseSimulatorConfig, P2PRouter, P2PResponse, DefaultP2P } from '@moosicbox/p2p'
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'

const config = parseSimulatorConfig({})
const text = (value) => new TextEncoder().encode(value)

/** Everybody asks everybody over one default link with loss. */
function requests(sim) {
  const hosts = Array.from({ length: 5 }, (_, i) =>
    sim.host(`host-${i}`, async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      await p2p.serve(new P2PRouter().route('GET', '/:n', (request) => P2PResponse.json({ n: request.params.n })))
      await runtime.sleep(500)
      for (let n = 0; n < 6; n++) {
        const other = hosts[(i + 1 + Math.floor(runtime.random() * 4)) % 5]
        await p2p.request(other.id, { method: 'GET', path: `/${n}` })
        await runtime.sleep(runtime.random() * 50)
      }
      await runtime.sleep(2000)
    }),
  )
}

/** Two homes behind NATs meet through the relay, punch holes, and one of them moves. */
function homes(sim) {
  const bob = sim.host('bob', { lan: sim.lan({ nat: 'home', link: 'cable' }) }, async () => {
    const p2p = await SimulatorP2P.create()
    const listener = await p2p.listen()
    for await (const connection of listener) {
      const echo = async () => {
        for await (const message of connection) await connection.send(message)
      }
      echo().catch(() => {})
    }
  })
  const alice = sim.host('alice', { lan: sim.lan({ nat: 'symmetric', link: '4g' }) }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create()
    await runtime.sleep(1000)
    const connection = await p2p.connect(bob.id)
    for (let i = 0; i < 20; i++) {
      await connection.send(runtime.randomBytes(1 + Math.floor(runtime.random() * 5000)))
      await connection.recv()
      await runtime.sleep(200)
    }
  })
  sim.at('3s', () => alice.clock.jump(60_000))
  sim.at('40s', () => sim.crash('bob'))
}

/** Crashes, restarts, clocks that drift, real files, and races of timers. */
function machines(sim) {
  for (let i = 0; i < 4; i++) {
    sim.host(`machine-${i}`, { clock: { driftPpm: 100 * i, offsetMs: -i } }, async ({ runtime, name }) => {
      const file = await runtime.files.open(fileURLToPath(import.meta.url))
      for (let n = 0; n < 10; n++) {
        await Promise.race([runtime.sleep(10), runtime.sleep(10)])
        await file.read(Math.floor(runtime.random() * 1000), 100)
        await runtime.bridge(`hashing on ${name}`, () => crypto.subtle.digest('SHA-256', text(name)))
      }
      await file.close()
    })
  }
  sim.at(35, () => sim.crash('machine-2'))
  sim.at(50, () => sim.restart('machine-2'))
}

/** One transfer over a bottleneck with bursts of loss. */
function bulk(sim) {
  const link = { latencyMs: 10, bandwidthLimitBitsPerSecond: 20_000_000, packetLoss: 0.01 }
  const receiver = sim.host('receiver', { link }, async () => {
    const p2p = await SimulatorP2P.create()
    const connection = await (await p2p.listen()).accept()
    const stream = await connection.acceptReceiveStream()
    await stream.readToEnd(10_000_000)
  })
  sim.host('sender', { link }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create()
    await runtime.sleep(10)
    const connection = await p2p.connect(receiver.id)
    const stream = await connection.openSendStream()
    for (let i = 0; i < 30; i++) await stream.write(runtime.randomBytes(32_768))
    await stream.finish()
    await connection.end()
  })
}

const scenarios = { requests, homes, machines, bulk }

async function run(name, options) {
  const sim = new Simulation({ seed: 11, config, ...options })
  scenarios[name](sim)
  const { hash, ended, events } = await sim.run({ forMs: 60_000 })
  await sim.close()
  return `${name} ${JSON.stringify(options)} ${hash} ${ended} ${events}`
}

const variants = [{}, { schedule: 'fifo' }, { schedule: 'pct' }]
const all = Object.keys(scenarios).flatMap((name) => variants.map((options) => [name, options]))

async function runAll(list) {
  const lines = []
  for (const [name, options] of list) lines.push(await run(name, options))
  return [...lines].sort((a, b) => (a < b ? -1 : 1)).join('\n')
}

const first = await runAll(all)
if (isMainThread && process.argv[2] === 'twice') {
  const again = await runAll(all.map((_, i) => all[all.length - 1 - i]))
  if (again !== first) throw new Error(`after other simulations it is another history:\n${first}\n${again}`)
  const inWorker = await new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { stdout: true })
    let output = ''
    worker.stdout.setEncoding('utf8').on('data', (chunk) => (output += chunk))
    worker.on('error', reject).on('exit', () => resolve(output.trim()))
  })
  if (inWorker !== first) throw new Error(`in a worker it is another history:\n${first}\n${inWorker}`)
  const immediates = await run('homes', { settle: 'immediates' })
  const ticks = await run('homes', {})
  const hash = (line) => line.split(' ')[2]
  if (hash(immediates) !== hash(ticks)) throw new Error(`by immediates it is another history: ${immediates}, ${ticks}`)
}
console.log(first)
