/**
 * What went wrong in a run, and whether two runs failed of the same thing.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'

/** Why a run failed. */
export interface Failure {
  /** The same for failures of the same kind: names and codes without numbers. */
  readonly key: string
  /** What happened. */
  readonly message: string
  /** The host whose code failed; undefined when it was the scenario, or an invariant. */
  readonly host?: string | undefined
  readonly virtualMs: number
}

/** The error that started it, without what the simulator says about it. */
export function rootOf(error: unknown): unknown {
  let root = error
  while (P2PError.is(root, 'program-failed') && root.cause !== undefined) root = root.cause
  return root
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
  const message = root instanceof Error ? root.message : String(root)
  const kind = P2PError.is(root) ? root.code : root instanceof Error ? root.name : typeof root
  return {
    key: `${kind}: ${blur(message)}`,
    message,
    virtualMs: P2PError.is(error, 'program-failed') ? error.virtualMs : virtualMs,
    ...(host !== undefined && { host }),
  }
}
