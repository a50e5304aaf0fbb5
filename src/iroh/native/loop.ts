/**
 * Whether the native door takes turns in the event loop of this thread.
 *
 * @module
 */
import { isMainThread } from 'node:worker_threads'
import { invalidConfiguration } from '../../core/config.ts'

/**
 * Whether the event loop of this thread may run the door's work while it would only wait: by default that of a process's
 * main thread, unless it is one that another program's loop drives, as in Electron. `P2P_NATIVE_LOOP` decides otherwise
 * with `own`, a thread of the door's own that does all of it.
 *
 * @throws P2PError `invalid-configuration`
 */
export function sharesLoop(
  env: Readonly<Record<string, string | undefined>> = process.env,
  isMain: boolean = isMainThread && process.versions['electron'] === undefined,
): boolean {
  const mode = env['P2P_NATIVE_LOOP'] || 'shared'
  if (mode !== 'shared' && mode !== 'own') {
    throw invalidConfiguration('P2P_NATIVE_LOOP', mode, "must be 'shared' or 'own'")
  }
  return isMain && mode === 'shared'
}
