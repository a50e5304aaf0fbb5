/**
 * Makes a failing run smaller: fewer faults, fewer hosts, simpler choices, earlier, shorter and milder faults, as long as
 * it still fails of the same thing.
 *
 * Lists are cut by delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
 * Transactions on Software Engineering 28(2), 2002); what is left is minimal in one element: without any single fault,
 * host or step it would not fail.
 *
 * @module
 */
import { realNowMs } from '../runtime/settle.ts'
import type { Fault } from '../simulator/index.ts'
import type { Plan } from './plan.ts'
import type { Outcome } from './run.ts'

/** What shrinking came to. */
export interface ShrinkResult {
  /** The smallest run that fails. */
  readonly outcome: Outcome
  /** How many runs it took. */
  readonly runs: number
  readonly tookMs: number
  /** Whether nothing more can be taken away; false when the time was over before. */
  readonly isMinimal: boolean
}

/** How {@link shrink} works. */
export interface ShrinkOptions {
  /** Runs a plan. */
  readonly run: (plan: Plan) => Promise<Outcome>
  /** Real milliseconds it may take. */
  readonly budgetMs: number
}

/** Of more there are too many pairs. */
const MAX_FAULTS_FOR_PAIRS = 12

class OutOfTime extends Error {}

class Shrinker {
  readonly #options: ShrinkOptions
  readonly #key: string
  readonly #startMs = realNowMs()
  readonly #tried = new Set<string>()
  #best: Outcome
  runs = 0

  constructor(first: Outcome, options: ShrinkOptions) {
    this.#options = options
    this.#best = first
    this.#key = first.failure?.key ?? ''
  }

  get best(): Outcome {
    return this.#best
  }

  get tookMs(): number {
    return realNowMs() - this.#startMs
  }

  /** Shrinks until nothing helps; false when the time was over. */
  async work(): Promise<boolean> {
    try {
      for (let before = ''; before !== JSON.stringify(this.#best.plan);) {
        before = JSON.stringify(this.#best.plan)
        await this.#cutFaults()
        await this.#calm()
        await this.#leaveOutHosts()
        await this.#simplifyPicks()
        await this.#soften()
      }
      return true
    } catch (error) {
      if (error instanceof OutOfTime) return false
      throw error
    }
  }

  async #cutFaults(): Promise<void> {
    if (this.#best.plan.faults.length === 0 || (await this.#try({ faults: [] }))) return
    // In halves, quarters and so on; single ones again and again, until none can go.
    let size = Math.ceil(this.#best.plan.faults.length / 2)
    for (;;) {
      let isSmaller = false
      for (let from = 0; from < this.#best.plan.faults.length;) {
        const now = this.#best.plan.faults
        if (await this.#try({ faults: [...now.slice(0, from), ...now.slice(from + size)] })) isSmaller = true
        else from += size
      }
      if (size === 1 && !isSmaller && !(await this.#cutPair())) return
      size = Math.ceil(size / 2)
    }
  }

  /** Two that only matter together: one alone moves the rest to where it does not fail. */
  async #cutPair(): Promise<boolean> {
    const { faults } = this.#best.plan
    if (faults.length < 3 || faults.length > MAX_FAULTS_FOR_PAIRS) return false
    for (const [i, one] of faults.entries()) {
      for (const other of faults.slice(i + 1)) {
        if (await this.#try({ faults: faults.filter((fault) => fault !== one && fault !== other) })) return true
      }
    }
    return false
  }

  async #calm(): Promise<void> {
    const { packetLoss, calm } = this.#best.plan
    if (packetLoss !== 0) await this.#try({ packetLoss: 0 })
    if (calm === 'all') return
    if (await this.#try({ calm: 'all' })) return
    for (const name of this.#best.buggified) {
      const quiet = this.#best.plan.calm
      if (quiet !== 'all' && !quiet.includes(name)) await this.#try({ calm: [...quiet, name] })
    }
  }

  async #leaveOutHosts(): Promise<void> {
    for (const name of this.#best.hosts) {
      const { without } = this.#best.plan
      if (name.startsWith('relay:') || without.includes(name)) continue
      const left = [...without, name]
      if (!(await this.#failsAnyway(left))) await this.#try({ without: left })
    }
  }

  /**
   * Whether it fails without these hosts even when nothing goes wrong: then what fails is that somebody is missing, who
   * never answers, and not what is to be made smaller.
   */
  async #failsAnyway(without: readonly string[]): Promise<boolean> {
    const { plan } = this.#best
    if (plan.faults.length === 0) return false
    if (this.tookMs > this.#options.budgetMs) throw new OutOfTime()
    this.runs++
    const outcome = await this.#options.run({ ...plan, faults: [], without })
    return outcome.failure !== undefined
  }

  async #simplifyPicks(): Promise<void> {
    for (let i = 0; i < this.#best.plan.picks.length; i++) {
      const set = (value: number): Promise<boolean> => {
        const picks = [...this.#best.plan.picks]
        picks[i] = value
        return this.#try({ picks })
      }
      const pick = (): number => this.#best.plan.picks[i] ?? 0
      if (pick() === 0 || (await set(0))) continue
      // The least that fails, if failing is a matter of being large; and any smaller one if it is not.
      for (let low = 0; pick() - low > 1;) {
        const middle = Math.floor((low + pick()) / 2)
        if (!(await set(middle))) low = middle
      }
      for (let smaller = 1; smaller < Math.min(pick(), 16); smaller++) if (await set(smaller)) break
    }
  }

  async #soften(): Promise<void> {
    for (let i = 0; i < this.#best.plan.faults.length; i++) {
      for (let wasSofter = true; wasSofter;) {
        wasSofter = false
        const fault = this.#best.plan.faults[i]
        if (!fault) return
        for (const softer of softerFaults(fault)) {
          const faults = [...this.#best.plan.faults]
          faults[i] = softer
          wasSofter = await this.#try({ faults })
          if (wasSofter) break
        }
      }
    }
  }

  /** Whether the run still fails with these changes; if so it is the best from now on. */
  async #try(changes: Partial<Plan>): Promise<boolean> {
    const plan: Plan = { ...this.#best.plan, ...changes }
    const text = JSON.stringify(plan)
    if (this.#tried.has(text)) return false
    if (this.tookMs > this.#options.budgetMs) throw new OutOfTime()
    this.#tried.add(text)
    this.runs++
    const outcome = await this.#options.run(plan)
    if (outcome.failure?.key !== this.#key) return false
    // Choices that were not made are no part of it.
    this.#best = outcome
    this.#tried.add(JSON.stringify(outcome.plan))
    return true
  }
}

/** Makes a failing run smaller. */
export async function shrink(first: Outcome, options: ShrinkOptions): Promise<ShrinkResult> {
  const shrinker = new Shrinker(first, options)
  const isMinimal = await shrinker.work()
  return { outcome: shrinker.best, runs: shrinker.runs, tookMs: shrinker.tookMs, isMinimal }
}

/** Times are worth less the less round they are. */
const ROUND_MS: readonly number[] = [60_000, 10_000, 1000, 100, 10]

/** Smaller numbers, the boldest first; none below `least`. Each is smaller by a tenth at least, so that it ends. */
function smaller(value: number, least: number): number[] {
  const all = [least, value / 4, value / 2, (value * 3) / 4, value * 0.9]
    .map((next) => (next >= 10 ? Math.round(next) : Math.round(next * 1000) / 1000))
    .filter((next) => next >= least && next <= value * 0.9)
  return [...new Set(all)]
}

/** An earlier time that is rounder, or a tenth earlier. */
function earlier(atMs: number): number[] {
  const round = ROUND_MS.map((step) => Math.floor(atMs / step) * step).filter((next) => next < atMs)
  return [...new Set([0, Math.round(atMs / 2), ...round])].filter((next) => next < atMs && next >= 0)
}

/** Faults that are a little less than this one, the boldest first. Every chain of them ends. */
export function softerFaults(fault: Fault): Fault[] {
  const softer: Fault[] = []
  const add = (changes: object): void => {
    softer.push({ ...fault, ...changes })
  }
  const less = (name: string, value: number | undefined, least: number): void => {
    if (value !== undefined && value > least) for (const next of smaller(value, least)) add({ [name]: next })
  }
  const fewer = (name: string, list: readonly string[] | undefined): void => {
    if (!list || list.length < 2) return
    for (const left of list) add({ [name]: list.filter((item) => item !== left) })
  }
  switch (fault.kind) {
    case 'partition':
      fewer('a', fault.a)
      fewer('b', fault.b)
      break
    case 'one-way-partition':
      fewer('from', fault.from)
      fewer('to', fault.to)
      break
    case 'crash':
    case 'restart':
      if (fault.disk === 'lost') add({ disk: 'kept' })
      break
    case 'slow':
      less('eventMs', fault.eventMs, 0.1)
      break
    case 'link-flap':
      less('downMs', fault.downMs, 1)
      break
    case 'link-degrade': {
      const knobs = ['addLatencyMs', 'loss', 'duplicate', 'reorder', 'corrupt', 'rateBitsPerSecond'] as const
      const used = knobs.filter((knob) => fault[knob] !== undefined)
      for (const knob of used) if (used.length > 1) add({ [knob]: undefined })
      less('addLatencyMs', fault.addLatencyMs, 1)
      for (const knob of ['loss', 'duplicate', 'reorder', 'corrupt'] as const) less(knob, fault[knob], 0.01)
      if (fault.rateBitsPerSecond !== undefined && fault.rateBitsPerSecond < 100_000_000) {
        add({ rateBitsPerSecond: fault.rateBitsPerSecond * 2 })
      }
      break
    }
    case 'nat-rebind':
      if (fault.address === true) add({ address: false })
      break
    case 'clock-jump':
      if (Math.abs(fault.byMs) > 1)
        for (const next of smaller(Math.abs(fault.byMs), 1)) add({ byMs: Math.sign(fault.byMs) * next })
      break
    case 'pause':
    case 'mapping-expiry':
    case 'relay-crash':
    case 'name-outage':
    case 'address-change':
      break
  }
  if ('forMs' in fault && fault.forMs !== undefined) less('forMs', fault.forMs, 1)
  for (const atMs of earlier(fault.atMs)) add({ atMs })
  return softer
}
