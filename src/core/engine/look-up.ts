/**
 * Asks several sources of addresses at once, each for a bounded time, and tells who knew what.
 *
 * @module
 */
import type { P2PAddress } from '../address.ts'
import { P2PError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { LookUpReport, P2PDiscovery, SourceReport } from '../system.ts'
import { throwIfAborted } from './waiting.ts'

/** What a look-up needs. */
export interface LookUpOptions {
  readonly sources: readonly P2PDiscovery[]
  readonly runtime: Runtime
  /** Longest wait for one source. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** What is looked for, for messages. */
  readonly query: string
}

/** Asks one source; it should give up when `signal` fires. */
export type Question = (source: P2PDiscovery, signal: AbortSignal) => Promise<P2PAddress | undefined>

/**
 * The answer of the first source, in their order, that has one; later sources are asked at the same time, so that one
 * that is slow or broken costs no more than its own time limit.
 *
 * @throws P2PError `aborted`
 */
export async function firstAnswer(options: LookUpOptions, question: Question): Promise<LookUpReport> {
  const giveUp = new AbortController()
  const asked = options.sources.map((source) => askOne(options, source, question, giveUp.signal))
  const reports: SourceReport[] = []
  try {
    for (const answer of asked) {
      const report = await answer
      throwIfAborted(options.signal, 'the look-up')
      reports.push(report)
      if (report.address) return { query: options.query, address: report.address, sources: reports }
    }
    return { query: options.query, address: undefined, sources: reports }
  } finally {
    // An abort costs an exception with its stack; mostly there is nobody left to hear it.
    if (reports.length < asked.length) giveUp.abort()
  }
}

/**
 * What every source says.
 *
 * @throws P2PError `aborted`
 */
export async function allAnswers(options: LookUpOptions, question: Question): Promise<LookUpReport> {
  const giveUp = new AbortController()
  const asked = options.sources.map((source) => askOne(options, source, question, giveUp.signal))
  const sources = await Promise.all(asked)
  giveUp.abort()
  throwIfAborted(options.signal, 'the look-up')
  return { query: options.query, address: sources.find(({ address }) => address)?.address, sources }
}

/** The first failure in a report. */
export function failureOf(report: LookUpReport): P2PError | undefined {
  return report.sources.find(({ error }) => error)?.error
}

async function askOne(
  options: LookUpOptions,
  source: P2PDiscovery,
  question: Question,
  notWanted: AbortSignal,
): Promise<SourceReport> {
  const { runtime, signal, timeoutMs, query } = options
  const startMs = runtime.now()
  const own = new AbortController()
  const stop = (): void => own.abort()
  const timer = runtime.setTimer(timeoutMs, stop)
  for (const outer of [signal, notWanted]) outer?.addEventListener('abort', stop, { once: true })
  const stopped = new Promise<undefined>((resolve) => {
    own.signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  if (signal?.aborted === true) stop()
  let address: P2PAddress | undefined
  let error: P2PError | undefined
  try {
    // A source that does not care for signals must not hold the others up.
    address = own.signal.aborted ? undefined : await Promise.race([question(source, own.signal), stopped])
    if (address === undefined && own.signal.aborted) {
      const why = `the source ${source.name} did not answer within ${timeoutMs} ms`
      error = P2PError.of('timeout', why, { afterMs: timeoutMs })
    }
  } catch (reason) {
    const message = `the source ${source.name} failed: ${reason instanceof Error ? reason.message : String(reason)}`
    error = P2PError.is(reason) ? reason : P2PError.of('discovery-failed', message, { query }, { cause: reason })
  } finally {
    timer.cancel()
    for (const outer of [signal, notWanted]) outer?.removeEventListener('abort', stop)
  }
  return { source: source.name, tookMs: runtime.now() - startMs, address, error }
}
