/**
 * What this program tells its user when something does not work: one sentence, no stack trace.
 *
 * @module
 */
import { P2PError } from '@moosicbox/p2p'

/** A failure that this program explains itself. */
export class MusicError extends Error {
  override readonly name = 'MusicError'
}

/** An argument that makes no sense: the program ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** `error` as one line for people; an unforeseen error keeps its stack, as it is a defect of this program. */
export function explain(error: unknown): string {
  if (P2PError.is(error) || error instanceof MusicError || error instanceof UsageError) return oneLine(error.message)
  // Node's own errors about files and sockets say what happened: `ENOSPC: no space left on device, write`.
  if (error instanceof Error && 'syscall' in error) return oneLine(error.message)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}
