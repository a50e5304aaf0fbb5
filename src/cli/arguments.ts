/**
 * What arguments of commands are made of.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { P2PError } from '../core/errors.ts'

/** The command was called in a way that makes no sense. */
export class UsageError extends Error {}

/** A whole number. @throws UsageError */
export function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${text}`)
  return Number(text)
}

/** The file that the option `name` names. @throws P2PError `io` */
export async function readText(name: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw P2PError.of('io', `--${name}: ${path} cannot be read: ${why}`, { path }, { cause })
  }
}
