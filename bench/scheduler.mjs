// The scheduler's cost an event: plain callbacks, callbacks whose application code is settled, and awaits; with few and
// many events pending. Then what a record of the audit, a byte of a packet and a random draw cost.
import { HashAudit, digestBytes } from '../dist/simulator/audit.js'
import { Driver } from '../dist/simulator/driver.js'
import { randomStream } from '../dist/simulator/random.js'
import { Scheduler } from '../dist/simulator/scheduler.js'
import { figure, report, rounds, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const scaled = (count) => Math.round(count * options.scale)

/** `count` chains of events, each scheduling its successor after a varying delay. */
function chains(scheduler, events, count, each) {
  const random = randomStream(1n, 'delays')
  const delays = Array.from({ length: 1024 }, () => 1 + random.nextBelow(1000))
  let left = events
  for (let host = 0; host < count; host++) {
    const next = () => {
      each(host)
      if (left-- > 0) scheduler.schedule(delays[left & 1023], next)
    }
    scheduler.schedule(host % 1000, next)
  }
}

const plain = {
  name: 'plain callback',
  events: scaled(2_000_000),
  run: (scheduler, events, pending) => chains(scheduler, events, pending, () => {}),
}

const settled = {
  name: 'callback and settle',
  events: scaled(1_000_000),
  run: (scheduler, events, pending) => chains(scheduler, events, pending, (host) => scheduler.woke(host)),
}

const awaited = {
  name: 'an await an event',
  events: scaled(1_000_000),
  run(scheduler, events, pending) {
    let left = events
    const sleep = (host) =>
      new Promise((resolve) => {
        scheduler.schedule(1000, () => {
          scheduler.woke(host)
          resolve()
        })
      })
    const program = async (host) => {
      while (left-- > 0) await sleep(host)
    }
    for (let host = 0; host < pending; host++) {
      scheduler.schedule(host % 1000, () => {
        scheduler.woke(host)
        void program(host)
      })
    }
  },
}

/** Events a second of one kind, with `pending` of them waiting at any time. */
async function eventRate({ name, events, run }, pending, settle) {
  const results = await rounds(options.rounds, async () => {
    const scheduler = new Scheduler(1n)
    const driver = new Driver(scheduler, { settle })
    run(scheduler, events, pending)
    const start = performance.now()
    await driver.run()
    const ms = performance.now() - start
    if (scheduler.eventsRun < events) throw new Error(`${name}: only ${scheduler.eventsRun} of ${events} events ran`)
    return { ms, events: scheduler.eventsRun }
  })
  const how = settle === 'tick' ? '' : `, settled by ${settle}`
  return figure(`${name}, ${pending} pending${how}`, 'events/s', results, ({ ms, events }) => (1000 * events) / ms)
}

/** Nanoseconds of each of the `count` operations that `work` is. */
async function nanoseconds(name, count, work) {
  const results = await rounds(options.rounds, () => work())
  return figure(name, 'ns', results, ({ ms }) => (ms / count) * 1e6)
}

const figures = []
for (const pending of [10, 1000, 100_000]) {
  for (const kind of [plain, settled, awaited]) figures.push(await eventRate(kind, pending, 'tick'))
}
for (const kind of [plain, settled, awaited]) figures.push(await eventRate(kind, 1000, 'immediates'))

const audit = new HashAudit()
const records = scaled(1e6)
figures.push(
  await nanoseconds('hash: a record of four numbers', records, () => {
    for (let i = 0; i < records; i++) audit.record(1, i & 7, i, 2, 3, 4)
  }),
)
const packet = new Uint8Array(1200)
const packets = scaled(1e5)
figures.push(
  await nanoseconds('hash: a byte of a 1200-byte packet', 1200 * packets, () => {
    for (let i = 0; i < packets; i++) audit.record(1, 0, digestBytes(packet))
  }),
)
const stream = randomStream(1n, 'bench')
const draws = scaled(1e7)
figures.push(
  await nanoseconds('random: a draw', draws, () => {
    for (let i = 0; i < draws; i++) stream.nextU32()
  }),
)
report('scheduler: one event after the other', figures, options)
