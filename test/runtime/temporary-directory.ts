/**
 * A directory that lives as long as a test.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryDirectory extends AsyncDisposable {
  /** A path inside. */
  path(...parts: string[]): string
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const root = await mkdtemp(join(tmpdir(), 'p2p-test-'))
  return {
    path: (...parts) => join(root, ...parts),
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  }
}
