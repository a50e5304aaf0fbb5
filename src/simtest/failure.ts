/**
 * What went wrong in a run, and whether two runs failed of the same thing.
 *
 * @module
 */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { P2PError } from '../core/errors.ts'
import { inFewWords } from '../core/in-few-words.ts'

/** Why a run failed. */
export interface Failure {
  /** The same for failures of the same kind: names and codes without numbers. */
  readonly key: string
  /** What happened. */
  readonly message: string
  /** The host whose code failed; undefined when it was the scenario, or an invariant. */
  readonly host?: string | undefined
  readonly virtualMs: number
  /** Where in the application or the test it was thrown, as `file:line:column`; undefined when it cannot be told. */
  readonly place?: string | undefined
}

/** The error that started it, without what the simulator says about it. */
export function rootOf(error: unknown): unknown {
  let root = error
  while (P2PError.is(root, 'program-failed') && root.cause !== undefined) root = root.cause
  return root
}

/** The folder of this library, as it is in stacks. */
const LIBRARY = fileURLToPath(new URL('..', import.meta.url))

/** The first line of a stack that is neither of this library nor of Node, and of no package if there is another. */
function placeIn(stack: string): string | undefined {
  let ofPackage: string | undefined
  for (const line of stack.split('\n')) {
    const match = /[\s(]((?:file:\/\/)?\/[^\s()]+):(\d+):(\d+)\)?$/.exec(line)
    if (!match) continue
    const [, found = '', row, column] = match
    const [url = ''] = found.split('?')
    const file = url.startsWith('file:') ? fileURLToPath(url) : url
    if (file.startsWith(LIBRARY)) continue
    const place = `${relative(process.cwd(), file) || file}:${row}:${column}`
    if (!file.includes('/node_modules/')) return place
    ofPackage ??= place
  }
  return ofPackage
}

/** Where an error comes from: the innermost cause that tells. */
function placeOf(error: unknown): string | undefined {
  let place: string | undefined
  // An error may be its own cause.
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    place = placeIn(at.stack ?? '') ?? place
  }
  return place
}

/** Numbers, ids and hashes are different each time. */
function blur(text: string): string {
  const [line = ''] = text.split('\n')
  return line.replaceAll(/\b[a-z0-9]*\d[a-z0-9]{9,}\b/g, '@').replaceAll(/\d+(?:\.\d+)?/g, '#')
}

/** The failure that an error thrown by a run stands for. */
export function failureOf(error: unknown, virtualMs: number): Failure {
  const root = rootOf(error)
  const host = P2PError.is(error, 'program-failed') ? error.host : undefined
  const message = root instanceof Error ? root.message : inFewWords(root)
  const place = placeOf(root)
  const kind = P2PError.is(root) ? root.code : root instanceof Error ? root.name : typeof root
  return {
    key: `${kind}: ${blur(message)}`,
    message,
    virtualMs: P2PError.is(error, 'program-failed') ? error.virtualMs : virtualMs,
    ...(host !== undefined && { host }),
    ...(place !== undefined && { place }),
  }
}
