/**
 * SHA-256 of a file as a whole and of each block of it: whoever plays from the middle can check what it has, block by
 * block, without the rest.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { P2PRequest, Runtime } from '@moosicbox/p2p'
import { MusicError } from './errors.ts'

/** The size of a block, and of the windows in which players ask for a track. */
export const BLOCK_BYTES = 65_536

/** What `GET /files/track/digest` answers. */
export interface TrackDigest {
  readonly sizeBytes: number
  readonly blockBytes: number
  /** Of the whole file, in hex. */
  readonly sha256: string
  /** Of each block, in order; the last one may be shorter. */
  readonly blocks: readonly string[]
}

/** The SHA-256 of `bytes`, in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * Digests a file, a block in memory at a time.
 *
 * @throws P2PError `io`
 */
async function digestFile(path: string, runtime: Runtime, signal: AbortSignal): Promise<TrackDigest> {
  await using file = await runtime.files.open(path)
  const whole = createHash('sha256')
  const blocks: string[] = []
  for (let position = 0; position < file.sizeBytes; position += BLOCK_BYTES) {
    signal.throwIfAborted()
    const block = await file.read(position, Math.min(BLOCK_BYTES, file.sizeBytes - position))
    whole.update(block)
    blocks.push(sha256(block))
  }
  return { sizeBytes: file.sizeBytes, blockBytes: BLOCK_BYTES, sha256: whole.digest('hex'), blocks }
}

/** Digests kept: about 130 bytes a block, so some 500 kB for a track of 250 MB. */
const MAX_CACHED = 64

interface Cached {
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly digest: TrackDigest
}

/** Digests that were asked for lately, as long as their files do not change. */
export class DigestCache {
  readonly #cached = new Map<string, Cached>()

  /** The digest of the file at `path`, for whoever sent `request`. */
  async digest(path: string, { runtime, signal }: P2PRequest): Promise<TrackDigest> {
    if (!runtime) throw new MusicError('digests need the runtime of a serving node')
    const { sizeBytes, modifiedMs } = await stateOf(path, runtime)
    const known = this.#cached.get(path)
    if (known?.sizeBytes === sizeBytes && known.modifiedMs === modifiedMs) return known.digest
    const digest = await digestFile(path, runtime, signal)
    this.#cached.delete(path)
    this.#cached.set(path, { sizeBytes, modifiedMs, digest })
    for (const oldest of this.#cached.keys()) {
      if (this.#cached.size <= MAX_CACHED) break
      this.#cached.delete(oldest)
    }
    return digest
  }
}

async function stateOf(path: string, runtime: Runtime): Promise<{ sizeBytes: number; modifiedMs: number }> {
  const file = await runtime.files.open(path)
  const { sizeBytes, modifiedMs } = file
  await file.close()
  return { sizeBytes, modifiedMs }
}
