/**
 * Handles that a program loses instead of closing. Whether one was lost is known when it is collected as garbage, which
 * happens at any time or never: so it is worth a warning where somebody asks for it, and never a reason to do anything.
 * What sockets keep alive, nodes and their listeners, is never collected: of it the end of the process tells.
 *
 * @module
 */

/** Watches handles; only real runtimes have one, and only when it was asked for. */
export interface LeakWatch {
  /**
   * Warns when `handle` is collected while `isOpen()` says so, with the place that this was called from.
   *
   * @param what what it is, as in "a connection to 0123456789"
   * @param isOpen must not refer to `handle`
   */
  watch(handle: object, what: string, isOpen: () => boolean): void
  /**
   * Tells at the end of the process if `handle` is open then, with the place that this was called from.
   *
   * @param what as in `watch`
   */
  hold(handle: object, what: string, isOpen: () => boolean): void
  /** `handle` was given up as it should be. */
  forget(handle: object): void
}
