/**
 * Lists whose members hold their own places, for what comes and goes all the time: nothing is made to enter or to leave,
 * and, as in a `NumberMap`, what has left is referred to by nothing.
 *
 * @module
 */

/** What a member of a list holds for it. */
export interface Linked<T> {
  /** For the list alone. */
  older: T | undefined
  newer: T | undefined
}

/** A list; what is in it is in no other with the same places. */
export class LinkedList<T extends Linked<T>> {
  #oldest: T | undefined
  #newest: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The member that has been in it for longest. */
  get oldest(): T | undefined {
    return this.#oldest
  }

  push(member: T): void {
    const older = this.#newest
    member.older = older
    if (older) older.newer = member
    else this.#oldest = member
    this.#newest = member
    this.#size++
  }

  /** Does nothing when it is not there. */
  delete(member: T): void {
    const { older, newer } = member
    if (older) older.newer = newer
    else if (this.#oldest === member) this.#oldest = newer
    else return
    if (newer) newer.older = older
    else this.#newest = older
    this.#size--
    member.older = undefined
    member.newer = undefined
  }

  /** The members, oldest first, as a list of its own. */
  members(): T[] {
    const members: T[] = []
    for (let member = this.#oldest; member; member = member.newer) members.push(member)
    return members
  }
}
