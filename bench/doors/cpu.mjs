// Usage: node --conditions=iroh bench/doors/cpu.mjs [MB]
// What bulk costs: CPU seconds a gigabyte and how often it went to sleep, of every thread of both processes, from /proc,
// so on Linux alone. All ways in turn, medians of five rounds; other work on the machine makes every one of them dearer.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median } from '../lib/stats.mjs'
import { printTable, short } from '../lib/table.mjs'
import { makeSides } from './sides.mjs'

const ROUNDS = 5
const SIZE = 65_536
const megabytes = Number(process.argv[2] ?? 200)
const count = Math.round((megabytes * 1_000_000) / SIZE)

const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), {
  execArgv: ['--conditions=iroh'],
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
const [ready] = await once(child, 'message')
const sides = (await makeSides(ready)).filter(({ name }) => /pure Rust|native raw|library, native/.test(name))

/** Nanoseconds on a processor, and sleeps, by thread. */
function threadsOf(pid) {
  const threads = new Map()
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const read = (name) => readFileSync(`/proc/${pid}/task/${id}/${name}`, 'utf8')
    const ns = Number(read('schedstat').split(' ')[0])
    const slept = Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read('status'))[1])
    const others = read('comm').trim() === 'p2p-iroh' ? 'the door’s' : 'V8’s'
    threads.set(id, { name: id === String(pid) ? 'main' : others, ns, slept })
  }
  return threads
}

/** CPU seconds and sleeps a gigabyte of each kind of thread, and the speed. */
async function measure({ pids, work }) {
  const before = pids.map(threadsOf)
  const start = performance.now()
  await work()
  const result = new Map([['speed', megabytes / ((performance.now() - start) / 1000)]])
  for (const [i, pid] of pids.entries()) {
    for (const [id, { name, ns, slept }] of threadsOf(pid)) {
      const key = `${['sender', 'receiver'][i]}, ${name}`
      const sum = result.get(key) ?? { seconds: 0, slept: 0 }
      const was = before[i].get(id) ?? { ns: 0, slept: 0 }
      sum.seconds += (ns - was.ns) / 1e6 / megabytes
      sum.slept += ((slept - was.slept) * 1000) / megabytes
      result.set(key, sum)
    }
  }
  return result
}

const ways = []
for (const side of sides) {
  const link = await side.connect?.()
  const pids = side.pid ? [side.pid, ready.rust.pid] : [process.pid, child.pid]
  const stream = () => (link ? link.stream(SIZE, count) : side.measure('bulk', count, SIZE))
  ways.push({ name: `${side.name}: a stream`, pids, work: stream, rounds: [] })
  if (link) ways.push({ name: `${side.name}: messages`, pids, work: () => link.messages(SIZE, count), rounds: [] })
}
for (const way of ways) await way.work()
for (let round = 0; round < ROUNDS; round++) for (const way of ways) way.rounds.push(await measure(way))

const rows = []
for (const { name, rounds } of ways) {
  const threads = [...new Set(rounds.flatMap((round) => [...round.keys()]))].filter((key) => key !== 'speed')
  const of = (key, what) => median(rounds.map((round) => round.get(key)?.[what] ?? 0))
  const all = median(rounds.map((round) => threads.reduce((sum, key) => sum + (round.get(key)?.seconds ?? 0), 0)))
  rows.push([name, all.toFixed(2), '', short(median(rounds.map((round) => round.get('speed'))))])
  for (const key of threads) rows.push([`  ${key}`, of(key, 'seconds').toFixed(2), short(of(key, 'slept')), ''])
}
printTable('Bulk in writes of 64 KiB, a gigabyte', ['way, and threads', 'CPU s', 'sleeps', 'MB/s'], rows)
child.disconnect()
process.exit()
