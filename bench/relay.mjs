// The relay: 1,000 clients, and what it carries between them. Where the real `iroh-relay` is on the PATH or in the folder
// `P2P_COUNTERPARTS` (`node scripts/counterparts.mjs` builds it) it is measured next to it, round by round. Clients and
// relay are two processes; the clients are JavaScript too and bound what is seen, so the relay's own CPU time is the
// figure to compare.
import { fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, pump } from './relay/clients.mjs'
import { figure, report, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const count = (n) => Math.max(1, Math.round(n * options.scale))
const CLIENTS = 1000
const ROUNDS = options.quick ? 3 : 5
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
  const folder = process.env.P2P_COUNTERPARTS
  const program = folder ? join(folder, 'iroh-relay') : 'iroh-relay'
  if (spawnSync(program, ['--version']).status !== 0) return undefined
  const child = spawn(program, ['--dev'], { stdio: 'ignore' })
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

/** All clients of a relay; what they cost is among the figures. */
async function connectAll(relay) {
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
  const single = (unit, value) => figures.push(figure(`${relay.name}: ${CLIENTS} clients`, unit, [value], (x) => x))
  single('clients/s', CLIENTS / (tookMs / 1000))
  single('CPU ms a client', (after.cpuMs - before.cpuMs) / CLIENTS)
  single('KiB a client', (after.memoryBytes - before.memoryBytes) / CLIENTS / 1024)
  return clients
}

const figures = []
const relays = [await ours()]
const other = await theirs()
if (other) relays.push(other)
else if (!options.json)
  console.log('\niroh-relay is neither on the PATH nor in $P2P_COUNTERPARTS: ours is measured alone')

const sides = []
for (const relay of relays) sides.push({ relay, clients: await connectAll(relay) })

const first = (clients) => [[clients[0], clients[1]]]
const ring = (clients) => clients.map((client, i) => [client, clients[(i + 1) % clients.length]])
for (const { work, pairsOf, bytes, each, ahead } of [
  { work: 'one pair, a packet at a time', pairsOf: first, bytes: 1200, each: count(2_000), ahead: 1 },
  { work: 'one pair, 1,200 B', pairsOf: first, bytes: 1200, each: count(50_000), ahead: 256 },
  { work: 'one pair, 32 KiB', pairsOf: first, bytes: 32_768, each: count(5_000), ahead: 32 },
  { work: `${CLIENTS} pairs, 1,200 B`, pairsOf: ring, bytes: 1200, each: count(50), ahead: 8 },
]) {
  const total = pairsOf(sides[0].clients).length * each
  const results = new Map(relays.map((relay) => [relay, []]))
  // The relays in turn; the first round of each is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { relay, clients } of sides) {
      const from = await relay.used()
      const begun = performance.now()
      await pump(pairsOf(clients), bytes, each, ahead)
      const ms = performance.now() - begun
      if (round > 0) results.get(relay).push({ ms, cpuMs: (await relay.used()).cpuMs - from.cpuMs })
    }
  }
  for (const relay of relays) {
    const add = (unit, value) => figures.push(figure(`${relay.name}: ${work}`, unit, results.get(relay), value))
    if (ahead === 1) add('us there', ({ ms }) => (ms * 1000) / total)
    else add('packets/s', ({ ms }) => total / (ms / 1000))
    if (bytes > 10_000) add('MB/s', ({ ms }) => (total * bytes) / 1000 / ms)
    add('CPU us a packet', ({ cpuMs }) => (cpuMs * 1000) / total)
  }
}
for (const { relay, clients } of sides) {
  for (const { socket } of clients) {
    socket.removeAllListeners('close')
    socket.terminate()
  }
  relay.end()
}
report('The relay', figures, { ...options, rounds: ROUNDS })
