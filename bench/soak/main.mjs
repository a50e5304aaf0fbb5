// A soak: a server that lives throughout, peers that come and go, and a relay, as processes of their own on real iroh.
// `npm run soak -- --minutes 60 [--seed 1] [--pause-ms 20] [--out build/soak]`. It fails when a byte is lost or changed, when something
// fails in a way that no fault explains, when nothing moves any more, and when the server's memory, descriptors or handles
// grow. Curves go to soak.json and soak.svg. P2P_IROH_BINDING chooses the door.
import { fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { P2PAddress } from '@moosicbox/p2p'
import { randomFrom } from './content.mjs'
import { plot } from './plot.mjs'
import { judge } from './judge.mjs'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    'pause-ms': { type: 'string', default: '20' },
    out: { type: 'string', default: 'build/soak' },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
/** How long a peer rests between two things, at most twice as long. */
const pauseMs = Number(values['pause-ms'])
if (!(minutes >= 0.5 && minutes <= 1440) || !Number.isSafeInteger(seed) || !(pauseMs >= 0 && pauseMs <= 10_000)) {
  console.error('usage: soak [--minutes 0.5..1440] [--seed N] [--pause-ms 0..10000] [--out DIRECTORY]')
  process.exit(2)
}

const PEERS = 3
const LOOK_EVERY_MS = 2_000
/** How often it says that it is still there. */
const TELL_EVERY_MS = 60_000
/** Nobody has got anything done for so long: that is no fault's doing. */
const STALL_MS = 120_000
const random = randomFrom(seed)
const endMs = performance.now() + minutes * 60_000
const soon = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref())
const problems = []
const faults = []
const samples = []
const totals = { done: 0, failed: 0, bytes: 0, codes: {} }
let backend = ''

const startedMs = performance.now()
const minute = () => (performance.now() - startedMs) / 60_000
const note = (what) => faults.push({ minute: minute(), what })
const keyOf = (i) => Buffer.alloc(32, i + 1).toString('hex')

/** A program of this folder, in a process of its own. */
function start(name, argument, flags = []) {
  const file = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))
  const child = fork(file, [argument], {
    execArgv: ['--conditions=iroh', ...flags],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.on('error', (error) => problems.push(`${name}: ${error.message}`))
  return child
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

const port = await freePort()
let relay = start('relay', String(port))
const [{ url }] = await once(relay, 'message')

const home = start('home', JSON.stringify({ key: keyOf(0), relay: url }), ['--expose-gc'])
const [ready] = await once(home, 'message')
backend = ready.backend
home.on('exit', (code, signal) => {
  if (!home.isEnding) problems.push(`the server ended by itself (${signal ?? code})`)
})
const homePort = Number(P2PAddress.parse(ready.ticket).direct[0].split(':').at(-1))

/** The peers that live now. */
const peers = new Map()
let generation = 0

function startPeer(i) {
  generation++
  const peer = start(
    'peer',
    JSON.stringify({
      key: keyOf(i + 1),
      relay: url,
      ticket: ready.ticket,
      seed: seed * 1_000_003 + generation,
      pauseMs,
      first: i * 1_000_000_000 + generation * 100_000,
    }),
  )
  const state = { peer, counts: undefined, doneMs: performance.now(), isKilled: false }
  peers.set(i, state)
  peer.on('message', (message) => {
    if (message.lost) problems.push(message.lost)
    if (message.unexpected) problems.push(message.unexpected)
    if (message.counts) {
      if (message.counts.done !== state.counts?.done) state.doneMs = performance.now()
      state.counts = message.counts
    }
  })
  peer.on('exit', (code, signal) => {
    add(state.counts)
    if (peers.get(i) === state) peers.delete(i)
    if (!state.isKilled && code !== 0) problems.push(`a peer ended by itself (${signal ?? code})`)
  })
}

function add(counts) {
  if (!counts) return
  for (const name of ['done', 'failed', 'bytes']) totals[name] += counts[name]
  for (const [code, n] of Object.entries(counts.codes)) totals.codes[code] = (totals.codes[code] ?? 0) + n
}

/** What has been done so far, by those who live as well. */
function soFar() {
  const live = [...peers.values()].map(({ counts }) => counts).filter(Boolean)
  const sum = (name) => live.reduce((total, counts) => total + counts[name], totals[name])
  return { done: sum('done'), failed: sum('failed'), bytes: sum('bytes') }
}

const attacker = createSocket('udp4')
const mischief = {
  async 'a peer is killed'() {
    const [i, state] = random.pick([...peers])
    state.isKilled = true
    state.peer.kill('SIGKILL')
    await soon(random.between(200, 6000))
    startPeer(i)
  },
  async 'a peer ends and another takes its place'() {
    const [i, { peer }] = random.pick([...peers])
    peer.send('end')
    if (!(await Promise.race([once(peer, 'exit'), soon(60_000)]))) {
      problems.push('a peer did not end within 60 s')
      return
    }
    startPeer(i)
  },
  async 'a peer stands still'() {
    const [, { peer }] = random.pick([...peers])
    peer.kill('SIGSTOP')
    await soon(random.between(500, 14_000))
    peer.kill('SIGCONT')
  },
  async 'the relay is killed and comes back'() {
    relay.kill('SIGKILL')
    await soon(random.between(200, 5000))
    relay = start('relay', String(port))
  },
  async 'garbage on the socket'() {
    for (let i = 0; i < 200; i++) {
      const packet = Buffer.from(Array.from({ length: random.between(1, 1400) }, () => random.between(0, 256)))
      // Half of it looks like the first packet of a connection.
      if (i % 2 === 0 && packet.length > 5) packet.writeUInt32BE(1, 1)
      packet[0] |= 0xc0
      attacker.send(packet, homePort, '127.0.0.1')
    }
    await soon(100)
  },
}

async function beMischievous() {
  while (performance.now() < endMs - 15_000) {
    await soon(random.between(2_000, 12_000))
    if (peers.size < PEERS) continue
    const what = random.pick(Object.keys(mischief))
    note(what)
    await mischief[what]()
  }
}

/** Asks the server what it holds. */
async function look() {
  home.send('look')
  const answer = once(home, 'message')
  const late = soon(30_000).then(() => undefined)
  const got = await Promise.race([answer, late])
  if (!got) {
    problems.push('the server did not answer within 30 s')
    return undefined
  }
  return { minute: minute(), ...got[0], ...soFar() }
}

/** A line for those who wait. */
function tell({ about, handles }) {
  const { done, failed } = soFar()
  const memory = `memory ${(about.rss / 1_048_576).toFixed(0)} MiB`
  const what = `${done} done, ${failed} hit by ${faults.length} faults`
  console.error(`soak: minute ${Math.round(minute())} of ${minutes}: ${what}, ${memory}, ${handles} handles`)
}

async function watch() {
  let toldMs = startedMs
  while (performance.now() < endMs) {
    const sample = await look()
    if (sample) samples.push(sample)
    if (sample && performance.now() - toldMs > TELL_EVERY_MS) {
      toldMs += TELL_EVERY_MS
      tell(sample)
    }
    for (const { doneMs, peer } of peers.values()) {
      if (performance.now() - doneMs > STALL_MS) problems.push(`peer ${peer.pid} got nothing done for ${STALL_MS} ms`)
    }
    if (problems.length > 0) return
    await soon(Math.min(LOOK_EVERY_MS, Math.max(0, endMs - performance.now())))
  }
}

for (let i = 0; i < PEERS; i++) startPeer(i)
const mischievous = beMischievous()
await watch()
if (problems.length === 0) await mischievous

// Everybody goes; then the server must hold nothing more.
for (const { peer } of peers.values()) peer.send('end')
await Promise.race([
  Promise.all([...peers.values()].map(async ({ peer }) => once(peer, 'exit'))),
  soon(60_000).then(() => {
    if (peers.size > 0) problems.push(`${peers.size} peers did not end`)
  }),
])
for (const { peer } of peers.values()) peer.kill('SIGKILL')
let rest = await look()
// Connections of those who were killed end with the idle time-out.
for (let i = 0; i < 30 && rest && (rest.about.connections > 0 || rest.handles > 1); i++) {
  await soon(1000)
  rest = await look()
}
home.isEnding = true
home.send('end')
if (!(await Promise.race([once(home, 'exit'), soon(15_000)]))) {
  problems.push('the server did not end within 15 s')
  home.kill('SIGKILL')
}
relay.disconnect()
attacker.close()

problems.push(...judge(samples, rest, minutes))
const { done, failed, bytes } = soFar()
const last = samples.at(-1)
const result = {
  backend,
  node: process.version,
  minutes,
  seed,
  done,
  failed,
  bytes,
  codes: totals.codes,
  faults,
  rest,
  problems,
  samples,
}
mkdirSync(values.out, { recursive: true })
writeFileSync(join(values.out, 'soak.json'), JSON.stringify(result))
writeFileSync(join(values.out, 'soak.svg'), plot(result))
console.log(
  `soak: ${backend}, ${minutes} min, seed ${seed}: ${done} done, ${failed} hit by ${faults.length} faults, ` +
    `${(bytes / 1e6).toFixed(0)} MB; the server's memory ${(last?.about.rss / 1_048_576).toFixed(0)} MiB, heap ` +
    `${(last?.about.heapUsed / 1_048_576).toFixed(1)} MiB, ${last?.descriptors} descriptors, at the end ` +
    `${rest?.handles} handle(s), ${rest?.about.connections} connections`,
)
console.log(`soak: ${JSON.stringify(totals.codes)}`)
for (const problem of problems.slice(0, 20)) console.error(`soak: ${problem}`)
process.exit(problems.length > 0 ? 1 : 0)
