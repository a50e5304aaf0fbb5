/**
 * What code waits for at the moment: a list that costs two pointers a wait, kept by simulated runtimes so that a run in
 * which nothing happens any more can tell who waits for what, and since when.
 *
 * @module
 */

/** One wait that is under way. */
export interface WaitEntry {
  /** The call: `accept`, `recv`, `read`, `connect`, `sleep`… */
  readonly what: string
  /** Who it depends on, as the text of a node id; undefined when that is nobody in particular. */
  readonly peer: string | undefined
  /** When it began, in the log's milliseconds. */
  readonly sinceMs: number
}

/** A wait in the list. Ending it twice does nothing. */
export class Wait {
  readonly what: string
  readonly peer: { toString(): string } | undefined
  readonly sinceMs: number
  /** @internal */
  log: WaitLog | undefined
  /** @internal */
  before: Wait | undefined
  /** @internal */
  after: Wait | undefined

  constructor(log: WaitLog, what: string, peer: { toString(): string } | undefined, sinceMs: number) {
    this.log = log
    this.what = what
    this.peer = peer
    this.sinceMs = sinceMs
  }

  /** It is over. */
  end(): void {
    this.log?.remove(this)
  }
}

/** Where waits on one peer are noted. */
export interface WaitScope {
  begin(what: string): Wait
}

/** All waits of one host. */
export class WaitLog implements WaitScope {
  readonly #now: () => number
  #first: Wait | undefined
  #last: Wait | undefined

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Notes a wait until its `end` is called. */
  begin(what: string, peer?: { toString(): string }): Wait {
    const wait = new Wait(this, what, peer, this.#now())
    wait.before = this.#last
    if (this.#last) this.#last.after = wait
    else this.#first = wait
    this.#last = wait
    return wait
  }

  /** The log for waits that depend on `peer`. */
  of(peer: { toString(): string }): WaitScope {
    return { begin: (what) => this.begin(what, peer) }
  }

  /** The waits under way, oldest first. */
  entries(): WaitEntry[] {
    const entries: WaitEntry[] = []
    for (let wait = this.#first; wait; wait = wait.after) {
      entries.push({ what: wait.what, peer: wait.peer?.toString(), sinceMs: wait.sinceMs })
    }
    return entries
  }

  /** @internal */
  remove(wait: Wait): void {
    if (wait.log !== this) return
    wait.log = undefined
    if (wait.before) wait.before.after = wait.after
    else this.#first = wait.after
    if (wait.after) wait.after.before = wait.before
    else this.#last = wait.before
    wait.before = undefined
    wait.after = undefined
  }
}
