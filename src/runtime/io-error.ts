/**
 * Failures of the file system as `P2PError`s of code `io`, told in words.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'the operation is not permitted'],
  ['ENOENT', 'there is no such file or directory'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['EMFILE', 'this process has too many open files'],
  ['ENFILE', 'the system has too many open files'],
  ['ENOSPC', 'the disk is full'],
  ['EROFS', 'the file system is read-only'],
  ['ELOOP', 'too many symbolic links'],
  ['ENAMETOOLONG', 'the name is too long'],
  ['EIO', 'the disk reports an input/output error'],
])

/** The system's code of a failure (`ENOENT`), or an empty text. */
export function systemCode(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : ''
}

/** `cannot <what>: <why>`, with the failure as cause; a `P2PError` stays what it is. */
export function ioError(error: unknown, what: string, path: string): P2PError {
  const code = systemCode(error)
  const why = REASONS.get(code) ?? (code || 'the system gives no reason')
  return P2PError.from(error, 'io', `cannot ${what}: ${why}`, { path })
}
