/**
 * What has changed about the paths of a connection, found by comparing them with what they were.
 *
 * @module
 */
import type { P2PPath, P2PPathChange } from '../connection.ts'

/** Two paths to one remote address count as one. */
function keyOf(path: P2PPath): string {
  return `${path.kind} ${path.remote}`
}

function kindOf(from: P2PPath | undefined, to: P2PPath | undefined): P2PPathChange['kind'] {
  if (!to || (from && keyOf(from) === keyOf(to))) return 'candidates'
  if (from?.kind === 'relay' && to.kind === 'direct') return 'upgraded'
  return from?.kind === 'direct' && to.kind === 'relay' ? 'fell-back' : 'switched'
}

/** Compares the paths of one connection with what they were when it was last asked. */
export class PathChanges {
  #before: readonly P2PPath[]

  constructor(paths: readonly P2PPath[]) {
    this.#before = paths
  }

  /** How `paths` differ from those before; undefined when it is in their round-trip times alone. */
  next(paths: readonly P2PPath[], atMs: number): P2PPathChange | undefined {
    const before = this.#before
    this.#before = paths
    const [keysBefore, keys] = [new Set(before.map(keyOf)), new Set(paths.map(keyOf))]
    const opened = paths.filter((path) => !keysBefore.has(keyOf(path)))
    const closed = before.filter((path) => !keys.has(keyOf(path)))
    const from = before.find(({ selected }) => selected)
    const to = paths.find(({ selected }) => selected)
    const isSame = from && to ? keyOf(from) === keyOf(to) : from === to
    if (isSame && opened.length === 0 && closed.length === 0) return undefined
    return { kind: kindOf(from, to), atMs, from, to, opened, closed }
  }
}
