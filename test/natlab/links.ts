/**
 * Real iroh over links that the lab emulates: the samples that `bench/fidelity` compares the simulator with. Two machines
 * without NATs, and the pure Rust program `native/examples/link.rs` on both.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Emulator } from './emulator.ts'
import { median } from './median.ts'
import { inNamespace, Network } from './network.ts'
import type { Machine } from './network.ts'

/** A link: each way, from client to server and back, in the words of `way.rs`. */
interface EmulatedLink {
  readonly up: string
  readonly down: string
}

const same = (way: string): EmulatedLink => ({ up: way, down: way })

/** The links that the model of the simulator was made with, whose samples were measured with another emulator. */
const KNOWN: Readonly<Record<string, EmulatedLink>> = {
  d0: same('delay=0'),
  d25: same('delay=25'),
  d150: same('delay=150'),
  'd25-loss0.5': same('delay=25,loss=0.5'),
  'd25-loss1': same('delay=25,loss=1'),
  'd25-loss5': same('delay=25,loss=5'),
  'd25-ge1b5': same('delay=25,ge=1:5'),
  'd25-jit5-inorder': same('delay=25,jit=5'),
  'd25-jit5-reorder': same('delay=25,jit=5,reorder=1'),
  'd25-rate20': same('delay=25,rate=20,queue=125000'),
  'd25-rate1': same('delay=25,rate=1,queue=44400'),
  'asymdelay-up10-down60': { up: 'delay=10', down: 'delay=60' },
}

/** Links that the model had not seen when it was made. */
const HELD_OUT: Readonly<Record<string, EmulatedLink>> = {
  d5: same('delay=5'),
  d75: same('delay=75'),
  'd10-rate100': same('delay=10,rate=100,queue=625000'),
  'd25-rate5': same('delay=25,rate=5,queue=44400'),
  'd100-rate10': same('delay=100,rate=10,queue=62500'),
  'd25-rate20-shallow': same('delay=25,rate=20,queue=20000'),
  'asymrate-up2-down20': { up: 'delay=25,rate=2,queue=44400', down: 'delay=25,rate=20,queue=125000' },
  'd50-jit20-inorder': same('delay=50,jit=20'),
  'd50-jit10-reorder': same('delay=50,jit=10,reorder=1'),
  'd10-jit1-reorder': same('delay=10,jit=1,reorder=1'),
  'd25-loss2': same('delay=25,loss=2'),
  'd75-loss1': same('delay=75,loss=1'),
  'd25-ge2b8': same('delay=25,ge=2:8'),
  'd25-rate20-loss1': same('delay=25,rate=20,queue=125000,loss=1'),
  'asymloss-up0-down2': { up: 'delay=25', down: 'delay=25,loss=2' },
}

/** Links that were thought of after the model was compared with those above. */
const INVENTED: Readonly<Record<string, EmulatedLink>> = {
  'd1-rate1000': same('delay=1,rate=1000'),
  d200: same('delay=200'),
  'd20-asymrate-up10-down100': { up: 'delay=20,rate=10', down: 'delay=20,rate=100' },
  'd20-asymrate-up100-down10': { up: 'delay=20,rate=100', down: 'delay=20,rate=10' },
  'd20-rate2-bloat': same('delay=20,rate=2,queue=1000000'),
  'd25-rate50-shallow': same('delay=25,rate=50,queue=20000'),
  'd60-rate50': same('delay=60,rate=50'),
  'd40-jit1-reorder': same('delay=40,jit=1,reorder=1'),
  'd100-jit30-inorder': same('delay=100,jit=30'),
  'd30-mtu1280': same('delay=30,mtu=1280'),
  'd30-mtu1400-loss1': same('delay=30,mtu=1400,loss=1'),
  'd50-ge5b3': same('delay=50,ge=5:3'),
  'd10-loss1': same('delay=10,loss=1'),
  'd25-loss0.2': same('delay=25,loss=0.2'),
  'd100-loss3': same('delay=100,loss=3'),
  'd25-jit2-reorder-loss1': same('delay=25,jit=2,reorder=1,loss=1'),
  'd25-rate8-jit5-loss0.5': same('delay=25,rate=8,jit=5,loss=0.5'),
  'd40-asymloss-up1-down0': { up: 'delay=40,loss=1', down: 'delay=40' },
  'd5-loss5': same('delay=5,loss=5'),
  'd200-loss10': same('delay=200,loss=10'),
  'd25-normal3-inorder': same('delay=25,normal=3'),
  'd40-normal2-reorder': same('delay=40,normal=2,reorder=1'),
  'd30-tail4-inorder': same('delay=30,tail=4'),
  'd20-tail1-reorder': same('delay=20,tail=1,reorder=1'),
}

const LINKS: Readonly<Record<string, EmulatedLink>> = { ...KNOWN, ...HELD_OUT, ...INVENTED }
/** What is measured when nothing is said: not what it is like, but that it can be measured. */
export const SHORT_LINKS = ['d5', 'd25']

/** One repetition; times in milliseconds. The program adds iroh's statistics. */
interface Sample {
  readonly rtt?: readonly number[]
  readonly connect?: number
  readonly first?: number
  readonly cold?: number
  readonly warm?: number
  readonly down100k?: number
  /** Why the repetition came to an end before its time. */
  readonly failed?: string
  /** What the emulator added to a packet's time, on average: it is woken a little late. */
  readonly emulatorMs?: number
  /** What a peer that is awake takes for a packet on this machine at this time. */
  readonly processingMs?: number
}

/** What was measured over a link: medians in milliseconds. */
export interface LinkReport {
  readonly name: string
  readonly repetitions: number
  /** How many did not come to their end, and why the last of them did not. */
  readonly failed: number
  readonly why: string | undefined
  /** How many were measured again because the emulator was late. */
  readonly late: number
  readonly medians: Readonly<Record<(typeof FIGURES)[number], number>>
  /** Shares of the packets up and down that chance or a full queue took. */
  readonly lost: readonly [number, number]
  readonly dropped: readonly [number, number]
}

export const FIGURES = ['connect', 'first', 'rtt', 'cold', 'warm', 'down100k'] as const

/** What to measure. */
export interface Measurement {
  readonly links: readonly string[]
  readonly repetitions: number
  /** The program of `native/examples/link.rs`. */
  readonly program: string
  /** A line of JSON a repetition is added to it. */
  readonly samples: string | undefined
}

/**
 * A repetition in which the emulator handed on a packet later than this is measured again: the machine had other things to
 * do. Nothing is known then of what was measured, and nothing is decided by it.
 */
const MOST_LATE_MS = 1.5
/** So many of them for each that is wanted; then the machine is too busy. */
const TRIES = 4
/** Over a link without delay, before any other: what there is of a round trip then is the emulator and the peers. */
const PACE_REPETITIONS = 10
/** Of a repetition; the slowest that was seen took a minute. */
const LIMIT_MS = 180_000

/** Measures all of them, one after the other. */
export async function measureLinks(emulator: Emulator, measurement: Measurement): Promise<LinkReport[]> {
  const network = new Network(emulator, { delayMs: 0, loss: 0 })
  const [client, server] = [await network.addServer('client'), await network.addServer('server')]
  const reports: LinkReport[] = []
  for (const name of measurement.links) {
    const link = linkOf(name)
    const processingMs = await paceOf(emulator, measurement, client, server)
    await emulator.setWays('client', link.up, link.down)
    const before = await emulator.counts()
    const samples: Sample[] = []
    let late = 0
    for await (const { sample, lateBefore } of repeat(emulator, measurement, client, server)) {
      late = lateBefore
      const rep = samples.push(sample) - 1
      if (measurement.samples === undefined) continue
      appendFileSync(measurement.samples, `${JSON.stringify({ link: name, ...link, rep, ...sample, processingMs })}\n`)
    }
    reports.push(reportOf(name, samples, late, before, await emulator.counts()))
  }
  return reports
}

/**
 * What a peer takes from a packet's arrival to its answer when nothing else makes it wait: what the emulator took the least
 * time for, and the peers, of several repetitions, as other labs may be at the same.
 */
async function paceOf(emulator: Emulator, measurement: Measurement, client: Machine, server: Machine): Promise<number> {
  await emulator.setWays('client', 'delay=0', 'delay=0')
  let [wayMs, tripMs] = [Infinity, Infinity]
  for await (const { sample } of repeat(emulator, { ...measurement, repetitions: PACE_REPETITIONS }, client, server)) {
    wayMs = Math.min(wayMs, sample.emulatorMs ?? 0)
    tripMs = Math.min(tripMs, median(sample.rtt ?? []))
  }
  return Number(Math.max(tripMs / 2 - wayMs, 0).toFixed(4))
}

export function linkOf(name: string): EmulatedLink {
  const link = LINKS[name]
  if (link) return link
  throw new Error(`there is no link ${name}; known are ${Object.keys(LINKS).join(', ')}`)
}

/** A process at a machine, and the lines that it prints. */
class LineProgram {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  constructor(machine: Machine, command: readonly string[]) {
    const [program = '', ...args] = inNamespace(machine.namespace, command)
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** The next line; rejects when there is none any more, or none for so long that something must be wrong. */
  async next(): Promise<string> {
    const limit = setTimeout(() => this.kill(), LIMIT_MS)
    const { value, done } = await this.#lines.next()
    clearTimeout(limit)
    if (done) throw new Error(`${this.#child.spawnargs.slice(-2).join(' ')} has ended (${this.#child.signalCode})`)
    return value
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

async function* repeat(
  emulator: Emulator,
  { program, repetitions }: Measurement,
  client: Machine,
  server: Machine,
): AsyncGenerator<{ readonly sample: Sample; readonly lateBefore: number }> {
  const serve = (): LineProgram => new LineProgram(server, [program, 'serve'])
  let serving = serve()
  const measuring = new LineProgram(client, [program, 'measure'])
  try {
    let taken = 0
    for (let i = 0; taken < repetitions; i++) {
      if (i >= TRIES * repetitions) throw new Error(`this machine is too busy: only ${taken} of ${i} were in time`)
      const [id = '', port = ''] = (await serving.next()).split(' ')
      await emulator.lateMs()
      measuring.tell(`${id} ${server.address}:${port}${taken === 0 ? ' timeline' : ''}`)
      const sample = JSON.parse(await measuring.next()) as Sample
      const { worst, mean } = await emulator.lateMs()
      if (sample.failed?.startsWith('connect')) {
        // The server may not have noticed that there was a client, and would go on waiting for it.
        serving.kill()
        serving = serve()
      }
      if (worst > MOST_LATE_MS) continue
      taken++
      yield { sample: { ...sample, emulatorMs: mean }, lateBefore: i + 1 - taken }
    }
  } finally {
    serving.kill()
    measuring.kill()
  }
}

type Counts = Awaited<ReturnType<Emulator['counts']>>

function reportOf(name: string, samples: readonly Sample[], late: number, before: Counts, after: Counts): LinkReport {
  const medians = FIGURES.map((figure) => [figure, median(samples.flatMap((sample) => sample[figure] ?? []))] as const)
  const failures = samples.flatMap(({ failed }) => failed ?? [])
  const share = (machine: string, figure: 'lost' | 'dropped'): number => {
    const of = (counts: Counts, what: 'sent' | 'lost' | 'dropped'): number => counts.get(machine)?.[what] ?? 0
    return (of(after, figure) - of(before, figure)) / (of(after, 'sent') - of(before, 'sent'))
  }
  return {
    name,
    repetitions: samples.length,
    failed: failures.length,
    why: failures.at(-1),
    late,
    medians: Object.fromEntries(medians) as LinkReport['medians'],
    lost: [share('client', 'lost'), share('server', 'lost')],
    dropped: [share('client', 'dropped'), share('server', 'dropped')],
  }
}
