/**
 * A simulated host as the patched globals see it: where third-party code of the host finds its clock, its timers and its
 * randomness, and where its use of anything real is told.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { callerOf, currentStack, isPrinting } from '../runtime/ambient/caller.ts'
import { ambientScope } from '../runtime/ambient/scope.ts'
import type { AmbientHost, AmbientTimer } from '../runtime/ambient/scope.ts'
import { drawBytes } from './random.ts'
import type { RandomStream } from './kernel.ts'
import type { SimRuntime } from './runtime.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * What happens when code of a host uses something real, which the seed does not decide: `error` fails the run and names
 * the host, the thing and the line; `warn` prints that once a line; `off` lets it pass.
 */
export type LeakPolicy = 'error' | 'warn' | 'off'

/** What all hosts of a world have in common here. */
export interface AmbientSettings {
  /** Whether hosts live on globals of their own. */
  readonly isVirtual: boolean
  /** Told of each leak; throws when it is an error. */
  readonly onLeak: (host: string, what: string, instead: string, line: string | undefined) => void
  /** Told of each line that a host prints; returns whether that was all that is to be done about it. */
  readonly onPrint?: ((host: string, text: string) => boolean) | undefined
}

function warn(message: string): void {
  process.emitWarning(message, 'P2PLeakWarning')
}

function checkLeaks(leaks: LeakPolicy): LeakPolicy {
  if (leaks === 'error' || leaks === 'warn' || leaks === 'off') return leaks
  throw invalidConfiguration('leaks', leaks, "must be 'error', 'warn' or 'off'")
}

/**
 * Whether hosts are to live on globals of their own.
 *
 * @throws P2PError `invalid-configuration` when they are, and none are installed
 */
export function checkAmbient(wanted: boolean | undefined): boolean {
  const { isInstalled } = ambientScope()
  if (wanted === true && !isInstalled) {
    const how =
      'needs globals that were installed before the application was loaded: start with ' +
      '`node --import @moosicbox/p2p/ambient`, or name @moosicbox/p2p/ambient first among the setupFiles of vitest'
    throw invalidConfiguration('ambient', wanted, how)
  }
  return wanted ?? isInstalled
}

/**
 * What becomes of what hosts print; `log` writes a line into the trace.
 *
 * @throws P2PError `invalid-configuration`
 */
export function printing(
  console: 'print' | 'trace' | 'both' = 'print',
  log: (host: string, text: string) => void,
): AmbientSettings['onPrint'] {
  if (console === 'print') return undefined
  if (console !== 'trace' && console !== 'both') {
    throw invalidConfiguration('console', console, "must be 'print', 'trace' or 'both'")
  }
  return (host, text) => {
    log(host, text)
    return console === 'trace'
  }
}

/** One host; see the module's comment. */
export class SimAmbientHost implements AmbientHost {
  readonly #settings: AmbientSettings
  readonly #runtime: SimRuntime
  readonly #scheduler: Scheduler
  readonly #name: string
  #stream: RandomStream | undefined

  constructor(settings: AmbientSettings, runtime: SimRuntime, scheduler: Scheduler, name: string) {
    this.#settings = settings
    this.#runtime = runtime
    this.#scheduler = scheduler
    this.#name = name
  }

  get isVirtual(): boolean {
    return this.#settings.isVirtual
  }

  monotonicMs(): number {
    return this.#runtime.now()
  }

  wallMs(): number {
    return this.#runtime.wallClockMs()
  }

  setTimer(delayMs: number, callback: () => void): AmbientTimer {
    return this.#runtime.setTimer(delayMs, callback)
  }

  random(): number {
    const stream = this.#random()
    return ((stream.nextU32() >>> 5) * 67_108_864 + (stream.nextU32() >>> 6)) / 9_007_199_254_740_992
  }

  randomBytes(length: number): Uint8Array {
    return drawBytes(this.#random(), length)
  }

  bridge<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#runtime.bridge(what, work)
  }

  prints(): ((text: string) => boolean) | undefined {
    const { isVirtual, onPrint } = this.#settings
    return isVirtual && onPrint ? (text) => onPrint(this.#name, text) : undefined
  }

  leak(what: string, instead: string): void {
    const stack = currentStack()
    if (!isPrinting(stack)) this.#settings.onLeak(this.#name, what, instead, callerOf(stack))
  }

  /** A stream of its own, so that what third-party code draws does not change what the application draws. */
  #random(): RandomStream {
    return (this.#stream ??= this.#scheduler.random(`host/${this.#name}/ambient`))
  }
}

/** Decides what a leak comes to. */
export class LeakReporter {
  readonly #policy: LeakPolicy
  readonly #fail: (error: P2PError) => void
  readonly #told = new Set<string>()

  constructor(policy: LeakPolicy, fail: (error: P2PError) => void) {
    this.#policy = checkLeaks(policy)
    this.#fail = fail
  }

  /** Whether anybody is to be told. */
  get isOff(): boolean {
    return this.#policy === 'off'
  }

  /** @throws P2PError `unsupported` when leaks are errors */
  tell(host: string, what: string, instead: string, line: string | undefined): void {
    if (this.#policy === 'off') return
    const message = `host ${host} used ${what}; ${instead}${line === undefined ? '' : ` (${line})`}`
    if (this.#policy === 'warn') {
      if (!this.#told.has(message)) warn(message)
      this.#told.add(message)
      return
    }
    const error = P2PError.of('unsupported', message, { what, backend: 'simulator' })
    // Code that catches it must not hide it.
    this.#fail(error)
    throw error
  }
}
