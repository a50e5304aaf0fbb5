/**
 * Whose code is running, and the default world: the one state that all simulations of a process share. It lives on
 * `globalThis` under a registered symbol, so that two copies of this module see the same.
 *
 * @module
 */
import type { SimHost } from './host.ts'

/** What the process knows about its simulations. */
export interface Ambient<World = unknown> {
  /** Tells the host whose code runs, while a simulation runs events in this thread; undefined in between. */
  currentHost: (() => SimHost | undefined) | undefined
  /** Simulations whose `run` is under way. */
  running: number
  /** The default world, once somebody has joined it. */
  world: World | undefined
}

const AMBIENT = Symbol.for('@moosicbox/p2p/simulator/ambient/1')

/** The process's {@link Ambient}. */
export function ambient<World>(): Ambient<World> {
  const scope = globalThis as { [AMBIENT]?: Ambient<World> }
  return (scope[AMBIENT] ??= { currentHost: undefined, running: 0, world: undefined })
}
