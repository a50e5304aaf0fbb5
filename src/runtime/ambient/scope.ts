/**
 * Whose code is running, as the patched globals see it. It lives on `globalThis` under a registered symbol, so that two
 * copies of this module, and a preload in another module graph, see the same.
 *
 * @module
 */

/** A timer of a host. */
export interface AmbientTimer {
  cancel(): void
  /** Whether its host counts as busy as long as it is set. */
  ref(keep: boolean): void
}

/** What the globals of this machine become while code of a host runs. */
export interface AmbientHost {
  /** Whether the host lives on globals of its own; if not, its uses of this machine's are told as leaks. */
  readonly isVirtual: boolean
  /** Monotonic milliseconds since virtual time 0. */
  monotonicMs(): number
  /** Unix milliseconds. */
  wallMs(): number
  setTimer(delayMs: number, callback: () => void): AmbientTimer
  /** A number in [0, 1) with 53 random bits. */
  random(): number
  randomBytes(length: number): Uint8Array
  /** Runs real work while virtual time stands still. */
  bridge<T>(what: string, work: () => Promise<T>): Promise<T>
  /**
   * Takes what the host prints, if anybody wants it, and says whether it is not to be printed besides; undefined when
   * nobody does.
   */
  prints(): ((text: string) => boolean) | undefined
  /** The host uses something real; throws when that is an error. */
  leak(what: string, instead: string): void
}

/** What is known about this thread. */
export interface AmbientScope {
  /** The host whose code is running; undefined outside of hosts' code. */
  host: () => AmbientHost | undefined
  /** Whether clocks, timers and randomness have been replaced, and so can be a host's. */
  isInstalled: boolean
  /** Takes everything back. */
  uninstall: (() => void) | undefined
  /** Whether timers and background work are guarded. */
  isGuarded: boolean
}

const SCOPE = Symbol.for('@moosicbox/p2p/ambient/1')

/** No host: the state outside of simulations. */
export function noHost(): undefined {
  return undefined
}

/** This thread's {@link AmbientScope}. */
export function ambientScope(): AmbientScope {
  const scope = globalThis as { [SCOPE]?: AmbientScope }
  return (scope[SCOPE] ??= {
    host: noHost,
    isInstalled: false,
    uninstall: undefined,
    isGuarded: false,
  })
}
