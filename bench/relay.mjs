// The relay: 1,000 clients, and what it carries between them. Where the real `iroh-relay` is installed it is measured
// next to it, in turn. Clients and relay are two processes; the clients are JavaScript too and bound what is seen, so
// the relay's own CPU time is the figure to compare.
import { fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { connect, pump } from './relay/clients.mjs'
import { figure, report, rounds, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const count = (n) => Math.max(1, Math.round(n * options.scale))
const CLIENTS = 1000
/** `iroh-relay --dev` listens here and nowhere else. */
const DEV_URL = 'http://127.0.0.1:3340'
const TICKS_PER_SECOND = 100

async function ours() {
  const file = fileURLToPath(new URL('./relay/server.mjs', import.meta.url))
  const child = fork(file, { execArgv: ['--expose-gc'] })
  const [{ url }] = await once(child, 'message')
  const used = async () => {
    child.send('used')
    return (await once(child, 'message'))[0]
  }
  return { name: 'p2p-relay', url, used, end: () => child.disconnect() }
}

async function theirs() {
  if (spawnSync('iroh-relay', ['--version']).status !== 0) return undefined
  const child = spawn('iroh-relay', ['--dev'], { stdio: 'ignore' })
  for (let i = 0; ; i++) {
    const isUp = await fetch(`${DEV_URL}/ping`).then(
      (response) => response.ok,
      () => false,
    )
    if (isUp) break
    if (i > 100) throw new Error('iroh-relay --dev does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const used = async () => {
    const stat = readFileSync(`/proc/${String(child.pid)}/stat`, 'utf8')
      .split(') ')[1]
      .split(' ')
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1]
    return { cpuMs: ((Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND) * 1000, memoryBytes: Number(kib) * 1024 }
  }
  return { name: 'iroh-relay', url: DEV_URL, used, end: () => child.kill() }
}

const figures = []
const own = await ours()
const other = await theirs()
const relays = other ? [own, other] : [own]
if (relays.length === 1 && !options.json) console.log('\niroh-relay is not installed: ours is measured alone')

for (const relay of relays) {
  const clients = []
  const before = await relay.used()
  const start = performance.now()
  // Not all at once, as the backlog of a listening socket is shorter.
  while (clients.length < CLIENTS) {
    const batch = Array.from({ length: 50 }, () => connect(relay.url))
    clients.push(...(await Promise.all(batch)))
  }
  const tookMs = performance.now() - start
  const after = await relay.used()
  const single = (work, unit, value) => figures.push(figure(`${relay.name}: ${work}`, unit, [value], (x) => x))
  single(`${CLIENTS} clients`, 'clients/s', CLIENTS / (tookMs / 1000))
  single(`${CLIENTS} clients`, 'CPU ms a client', (after.cpuMs - before.cpuMs) / CLIENTS)
  single(`${CLIENTS} clients`, 'KiB a client', (after.memoryBytes - before.memoryBytes) / CLIENTS / 1024)

  const [a, b] = clients
  const ring = clients.map((client, i) => [client, clients[(i + 1) % clients.length]])
  for (const { work, pairs, bytes, each, ahead } of [
    { work: 'one pair, a packet at a time', pairs: [[a, b]], bytes: 1200, each: count(2_000), ahead: 1 },
    { work: 'one pair, 1,200 B', pairs: [[a, b]], bytes: 1200, each: count(50_000), ahead: 256 },
    { work: 'one pair, 32 KiB', pairs: [[a, b]], bytes: 32_768, each: count(5_000), ahead: 32 },
    { work: `${CLIENTS} pairs, 1,200 B`, pairs: ring, bytes: 1200, each: count(50), ahead: 8 },
  ]) {
    const total = pairs.length * each
    const results = await rounds(options.quick ? 3 : 5, async () => {
      const from = await relay.used()
      const begun = performance.now()
      await pump(pairs, bytes, each, ahead)
      const ms = performance.now() - begun
      return { ms, cpuMs: (await relay.used()).cpuMs - from.cpuMs }
    })
    const add = (unit, value) => figures.push(figure(`${relay.name}: ${work}`, unit, results, value))
    if (ahead === 1) add('us there', ({ ms }) => (ms * 1000) / total)
    else add('packets/s', ({ ms }) => total / (ms / 1000))
    if (bytes > 10_000) add('MB/s', ({ ms }) => (total * bytes) / 1000 / ms)
    add('CPU us a packet', ({ cpuMs }) => (cpuMs * 1000) / total)
  }
  for (const { socket } of clients) {
    socket.removeAllListeners('close')
    socket.terminate()
  }
  relay.end()
}
report('The relay', figures, options)
