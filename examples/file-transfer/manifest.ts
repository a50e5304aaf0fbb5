/**
 * What a file is, told in hashes: whoever has the id of a file can tell whether a manifest is that file's, and with the
 * manifest whether a block is, whoever they come from.
 *
 * @module
 */
import { createHash } from 'node:crypto'

/** A block, but for the last one. */
export const BLOCK_BYTES = 65_536
/** 8 GiB. */
const MAX_BLOCKS = 131_072

/** See the module's comment. */
export interface Manifest {
  readonly name: string
  readonly sizeBytes: number
  /** SHA-256 of each block, in hex. */
  readonly blocks: readonly string[]
}

/** SHA-256, in hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Describes a file. */
export function manifestOf(name: string, bytes: Uint8Array): Manifest {
  const blocks: string[] = []
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) blocks.push(sha256(bytes.subarray(at, at + BLOCK_BYTES)))
  return { name, sizeBytes: bytes.length, blocks }
}

/** The id of a file: the hash of its manifest, written in one way only. */
export function fileId({ name, sizeBytes, blocks }: Manifest): string {
  return sha256(JSON.stringify(['file 1', name, sizeBytes, blocks]))
}

/** The manifest in something that came from a peer or a disk; undefined when it is not that of the file `id`. */
export function readManifest(value: unknown, id: string): Manifest | undefined {
  const { name, sizeBytes, blocks } = Object(value) as Partial<Manifest>
  const isShaped =
    typeof name === 'string' &&
    typeof sizeBytes === 'number' &&
    Array.isArray(blocks) &&
    blocks.length <= MAX_BLOCKS &&
    blocks.length === Math.ceil(sizeBytes / BLOCK_BYTES) &&
    blocks.every((block) => typeof block === 'string')
  if (!isShaped) return undefined
  const manifest = { name, sizeBytes, blocks }
  return fileId(manifest) === id ? manifest : undefined
}

/** How long a block is. */
export function blockLength({ sizeBytes }: Manifest, index: number): number {
  return Math.min(BLOCK_BYTES, sizeBytes - index * BLOCK_BYTES)
}
