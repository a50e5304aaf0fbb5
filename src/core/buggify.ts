/**
 * Points at which an application lets a simulation make something unlikely happen: a cache that is empty, a batch of
 * one, a wait that is over at once. After FoundationDB's `BUGGIFY` (Zhou et al., "FoundationDB: A Distributed Unbundled
 * Transactional Key Value Store", SIGMOD 2021, 4.2).
 *
 * @module
 */

/** Decides for the simulation that is running. */
export type BuggifyHook = (name: string) => boolean

const HOOK = Symbol.for('@moosicbox/p2p/buggify/1')
const scope = globalThis as { [HOOK]?: BuggifyHook | undefined }

/**
 * Whether to do the unlikely thing here. Always false outside of a simulation that asks for it; in one, a point is
 * active in a quarter of all seeds, and says yes in a quarter of its calls there.
 *
 * @param name tells this point from others, in stories and when a failure is made smaller
 * @example
 * ```ts
 * import { buggify } from '@moosicbox/p2p'
 *
 * const batchSize = buggify('a batch of one') ? 1 : 100
 * console.log(batchSize) // 100
 * ```
 */
export function buggify(name: string): boolean {
  const hook = scope[HOOK]
  return hook !== undefined && hook(name)
}

/** Has `hook` decide from now on; a simulation sets it while it runs events. */
export function setBuggifyHook(hook: BuggifyHook | undefined): void {
  scope[HOOK] = hook
}
