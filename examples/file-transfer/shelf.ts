/**
 * The files that somebody has: whole ones, and those that are still on their way.
 *
 * @module
 */
import type { Store } from '../stage/actor.ts'
import { BLOCK_BYTES, blockLength, fileId, manifestOf, readManifest, sha256 } from './manifest.ts'
import type { Manifest } from './manifest.ts'

/** Blocks that are on the disk for sure before more are asked for. */
const SYNC_EVERY_BLOCKS = 8

/** A file, as far as it is there. */
export class ShelvedFile {
  readonly id: string
  readonly manifest: Manifest
  readonly #store: Store
  readonly #have: boolean[]
  #missing: number
  #unsynced = 0

  constructor(store: Store, id: string, manifest: Manifest, have: boolean[]) {
    this.#store = store
    this.id = id
    this.manifest = manifest
    this.#have = have
    this.#missing = have.filter((has) => !has).length
  }

  get isWhole(): boolean {
    return this.#missing === 0
  }

  /** How many blocks are there. */
  get blocks(): number {
    return this.#have.length - this.#missing
  }

  has(index: number): boolean {
    return this.#have[index] === true
  }

  /** A block; undefined when it is not there. */
  async block(index: number): Promise<Uint8Array | undefined> {
    if (!this.has(index)) return undefined
    return this.#store.read(contentName(this.id), index * BLOCK_BYTES, blockLength(this.manifest, index))
  }

  /** Takes a block; false when it is not this file's. */
  async put(index: number, bytes: Uint8Array): Promise<boolean> {
    if (sha256(bytes) !== this.manifest.blocks[index]) return false
    if (this.has(index)) return true
    await this.#store.writeAt(contentName(this.id), index * BLOCK_BYTES, bytes)
    if (this.has(index)) return true
    this.#have[index] = true
    this.#missing--
    if (++this.#unsynced >= SYNC_EVERY_BLOCKS || this.isWhole) {
      this.#unsynced = 0
      await this.#store.sync(contentName(this.id))
    }
    return true
  }

  /** The whole file. */
  async bytes(): Promise<Uint8Array> {
    return (await this.#store.read(contentName(this.id), 0, this.manifest.sizeBytes)) ?? new Uint8Array(0)
  }
}

/** All files of somebody. */
export class Shelf {
  readonly #store: Store
  readonly #files = new Map<string, ShelvedFile>()

  constructor(store: Store) {
    this.#store = store
  }

  /** A file that is there, in whole or in part, and was added or opened since the program started. */
  file(id: string): ShelvedFile | undefined {
    return this.#files.get(id)
  }

  /** Puts a whole file there. */
  async add(name: string, bytes: Uint8Array): Promise<ShelvedFile> {
    const manifest = manifestOf(name, bytes)
    const file = await this.open(fileId(manifest), () => Promise.resolve(manifest))
    for (let index = 0; index < manifest.blocks.length; index++) {
      await file.put(index, bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES))
    }
    return file
  }

  /**
   * Opens a file with whatever of it is on the disk. Every block is hashed: after a crash nothing else tells which of
   * them were written.
   *
   * @param fetch asks others for the manifest, when it is not on the disk
   */
  async open(id: string, fetch: () => Promise<Manifest>): Promise<ShelvedFile> {
    const known = this.#files.get(id)
    if (known) return known
    let manifest = await this.#manifest(id)
    if (!manifest) {
      manifest = await fetch()
      await this.#store.replace(manifestName(id), new TextEncoder().encode(JSON.stringify(manifest)))
    }
    const have: boolean[] = []
    for (const [index, hash] of manifest.blocks.entries()) {
      const bytes = await this.#store.read(contentName(id), index * BLOCK_BYTES, blockLength(manifest, index))
      have.push(bytes !== undefined && sha256(bytes) === hash)
    }
    const file = new ShelvedFile(this.#store, id, manifest, have)
    this.#files.set(id, file)
    return file
  }

  async #manifest(id: string): Promise<Manifest | undefined> {
    const bytes = await this.#store.read(manifestName(id))
    if (!bytes) return undefined
    try {
      return readManifest(JSON.parse(new TextDecoder().decode(bytes)), id)
    } catch {
      return undefined
    }
  }
}

function contentName(id: string): string {
  return `${id}.blocks`
}

function manifestName(id: string): string {
  return `${id}.json`
}
