/**
 * The scheduler's cost an event: plain callbacks, callbacks whose application code is settled, and awaits; with few and
 * many events pending.
 *
 * @module
 */
import { Driver } from '../src/simulator/driver.ts'
import { HashAudit, digestBytes } from '../src/simulator/audit.ts'
import { randomStream } from '../src/simulator/random.ts'
import { Scheduler } from '../src/simulator/scheduler.ts'

const ROUNDS = 5

interface Case {
  readonly name: string
  readonly events: number
  readonly run: (scheduler: Scheduler, events: number) => void
}

/** `chains` chains of events, each scheduling its successor after a varying delay. */
function chains(scheduler: Scheduler, events: number, count: number, each: (host: number) => void): void {
  const random = randomStream(1n, 'delays')
  const delays = Array.from({ length: 1024 }, () => 1 + random.nextBelow(1000))
  let left = events
  for (let host = 0; host < count; host++) {
    const next = (): void => {
      each(host)
      if (left-- > 0) scheduler.schedule(delays[left & 1023] ?? 1, next)
    }
    scheduler.schedule(host % 1000, next)
  }
}

function plain(pending: number): Case {
  return {
    name: `plain callback, ${pending} pending`,
    events: 2_000_000,
    run: (scheduler, events) => chains(scheduler, events, pending, () => {}),
  }
}

function settled(pending: number): Case {
  return {
    name: `callback and settle, ${pending} pending`,
    events: 1_000_000,
    run: (scheduler, events) => chains(scheduler, events, pending, (host) => scheduler.woke(host)),
  }
}

function awaited(pending: number): Case {
  return {
    name: `an await an event, ${pending} pending`,
    events: 1_000_000,
    run(scheduler, events) {
      let left = events
      const sleep = (host: number): Promise<void> =>
        new Promise((resolve) => {
          scheduler.schedule(1000, () => {
            scheduler.woke(host)
            resolve()
          })
        })
      const program = async (host: number): Promise<void> => {
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
}

async function measure({ name, events, run }: Case, settle: 'tick' | 'immediates'): Promise<void> {
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const scheduler = new Scheduler(1n)
    const driver = new Driver(scheduler, { settle })
    run(scheduler, events)
    const start = performance.now()
    await driver.run()
    rates.push(scheduler.eventsRun / (performance.now() - start) / 1000)
  }
  rates.sort((a, b) => a - b)
  const [slowest, median, fastest] = [rates[0], rates[ROUNDS >> 1], rates[ROUNDS - 1]].map((rate) => rate ?? 0)
  console.log(
    `${name.padEnd(40)} ${settle.padEnd(10)} ${(median as number).toFixed(2)} M events/s ` +
      `(${(slowest as number).toFixed(2)}..${(fastest as number).toFixed(2)})`,
  )
}

function nanoseconds(name: string, count: number, work: () => void): void {
  work()
  const start = performance.now()
  work()
  console.log(`${name.padEnd(51)} ${(((performance.now() - start) / count) * 1e6).toFixed(2)} ns`)
}

for (const pending of [10, 1000, 100_000]) {
  for (const make of [plain, settled, awaited]) await measure(make(pending), 'tick')
}
for (const make of [plain, settled, awaited]) await measure(make(1000), 'immediates')

const audit = new HashAudit()
nanoseconds('hash: a record of four numbers', 1e6, () => {
  for (let i = 0; i < 1e6; i++) audit.record(1, i & 7, i, 2, 3, 4)
})
const packet = new Uint8Array(1200)
nanoseconds('hash: a byte of a 1200-byte packet', 1200 * 1e5, () => {
  for (let i = 0; i < 1e5; i++) audit.record(1, 0, digestBytes(packet))
})
const stream = randomStream(1n, 'bench')
nanoseconds('random: a draw', 1e7, () => {
  for (let i = 0; i < 1e7; i++) stream.nextU32()
})
