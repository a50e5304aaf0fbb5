/**
 * A host's disk: it survives a crash as a real one does. What was written and not synced may be lost, in part or
 * altogether, and the last write may be torn.
 *
 * The model is that of a journaling file system (ext4 with `data=ordered`, POSIX `fsync`): the writes of a file reach the
 * disk in their order; creating, renaming and removing go to a journal in their order; `fsync` of a file makes its
 * content and its name durable. A crash keeps of each file, and of the journal, some first part of what was not synced,
 * drawn from the seed.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { RuntimeFile } from '../core/runtime.ts'
import { digestBytes, digestText, EventKind } from './audit.ts'
import type { Kernel, RandomStream } from './kernel.ts'
import type { SimRuntime } from './runtime.ts'

/** Options of a {@link SimDisk}. */
export interface SimDiskOptions {
  /** What fits on it; past it writes fail. @default 67108864 */
  readonly maxBytes?: number | undefined
}

/** A write that has not been synced. */
interface Write {
  readonly position: number
  readonly bytes: Uint8Array
  /** The file was cut to nothing first. */
  readonly truncates: boolean
}

interface Inode {
  durable: Uint8Array
  current: Uint8Array
  readonly pending: Write[]
}

/** A change of names that has not been synced. */
type NameChange =
  | { readonly type: 'link'; readonly path: string; readonly inode: Inode }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly path: string }

const DEFAULT_MAX_BYTES = 67_108_864
/** What a disk writes at once. */
const SECTOR_BYTES = 512
const NOTHING: Uint8Array = new Uint8Array(0)

/** @internal What is on a disk; see the module's comment. Nothing here takes time. */
export class DiskState {
  readonly #kernel: Kernel
  readonly #host: number
  readonly #name: string
  readonly #maxBytes: number
  #random: RandomStream | undefined
  #durableNames = new Map<string, Inode>()
  #names = new Map<string, Inode>()
  #journal: NameChange[] = []

  constructor(kernel: Kernel, host: number, name: string, options: SimDiskOptions = {}) {
    this.#kernel = kernel
    this.#host = host
    this.#name = name
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
  }

  /** What all files hold. */
  get usedBytes(): number {
    let sum = 0
    for (const inode of this.#names.values()) sum += inode.current.length
    return sum
  }

  /** Whether there is a file of that name. */
  exists(path: string): boolean {
    return this.#names.has(path)
  }

  /**
   * A copy of a file's bytes, from `position` on.
   *
   * @throws P2PError `io` when there is no such file
   */
  read(path: string, position: number = 0, maxBytes: number = Number.POSITIVE_INFINITY): Uint8Array {
    const { current } = this.#inode(path, 'read')
    return current.slice(position, Math.min(current.length, position + maxBytes))
  }

  /** The size of a file. Throws as {@link read}. */
  sizeBytes(path: string): number {
    return this.#inode(path, 'looked at').current.length
  }

  /**
   * Replaces a file's content, or makes the file. Not atomic: a crash may leave it empty or cut short; for that write
   * another, sync it and rename it.
   *
   * @throws P2PError `io` when the disk is full
   */
  write(path: string, bytes: Uint8Array): void {
    this.#write(path, { position: 0, bytes: bytes.slice(), truncates: true })
  }

  /** Adds to the end of a file, or makes the file. Throws as {@link write}. */
  append(path: string, bytes: Uint8Array): void {
    const position = this.#names.get(path)?.current.length ?? 0
    this.#write(path, { position, bytes: bytes.slice(), truncates: false })
  }

  /** Writes into a file from `position` on; a gap is filled with zeros. Throws as {@link write}. */
  writeAt(path: string, position: number, bytes: Uint8Array): void {
    if (!Number.isSafeInteger(position) || position < 0) throw this.#error(path, `cannot be written at ${position}`)
    this.#write(path, { position, bytes: bytes.slice(), truncates: false })
  }

  /** From here on a crash loses nothing of this file's content, nor its name. Throws as {@link read}. */
  fsync(path: string): void {
    const inode = this.#inode(path, 'synced')
    inode.durable = inode.current
    inode.pending.length = 0
    this.#commit(this.#journal.length)
  }

  /** From here on a crash undoes no `rename` and no `remove`: what `fsync` of a directory does. */
  syncNames(): void {
    this.#commit(this.#journal.length)
  }

  /** The names that begin with `prefix`, sorted. */
  list(prefix: string = ''): string[] {
    return [...this.#names.keys()].filter((path) => path.startsWith(prefix)).sort()
  }

  /** Gives a file another name, in place of a file that had it: a crash leaves the one or the other. */
  rename(from: string, to: string): void {
    const inode = this.#inode(from, 'renamed')
    if (from === to) return
    this.#names.delete(from)
    this.#names.set(to, inode)
    this.#journal.push({ type: 'rename', from, to })
    this.#record(2, from, digestText(to))
  }

  /** Removes a file. Throws as {@link read}. */
  remove(path: string): void {
    this.#inode(path, 'removed')
    this.#names.delete(path)
    this.#journal.push({ type: 'remove', path })
    this.#record(3, path, 0)
  }

  /** The host loses its power. */
  crash(): void {
    if (this.#journal.length > 0) this.#commit(this.#draw(this.#journal.length + 1))
    for (const inode of this.#durableNames.values()) {
      const { pending } = inode
      if (pending.length > 0) {
        const kept = this.#draw(pending.length + 1)
        for (const write of pending.slice(0, kept)) inode.durable = applied(inode.durable, write)
        const torn = pending[kept]
        if (torn) inode.durable = this.#tear(inode.durable, torn)
        pending.length = 0
      }
      inode.current = inode.durable
    }
    this.#journal = []
    this.#names = new Map(this.#durableNames)
  }

  /** The disk is lost, and replaced by an empty one. */
  wipe(): void {
    this.#names = new Map()
    this.#durableNames = new Map()
    this.#journal = []
    this.#record(4, '', 0)
  }

  #write(path: string, write: Write): void {
    let inode = this.#names.get(path)
    const before = inode?.current.length ?? 0
    const after = Math.max(write.truncates ? 0 : before, write.position + write.bytes.length)
    if (this.usedBytes - before + after > this.#maxBytes) {
      throw this.#error(path, `cannot be written: the disk of ${this.#maxBytes} bytes is full`)
    }
    if (!inode) {
      if (path === '') throw this.#error(path, 'has no name')
      inode = { durable: NOTHING, current: NOTHING, pending: [] }
      this.#names.set(path, inode)
      this.#journal.push({ type: 'link', path, inode })
    }
    inode.current = applied(inode.current, write)
    inode.pending.push(write)
    this.#record(1, path, digestBytes(write.bytes))
  }

  /** Half of what the last write had to do: a cut without its bytes, or some of its sectors. */
  #tear(content: Uint8Array, write: Write): Uint8Array {
    const sectors = Math.ceil(write.bytes.length / SECTOR_BYTES)
    const survivors = this.#draw(Math.max(sectors, 1))
    if (survivors === 0) return this.#draw(2) === 1 && write.truncates ? NOTHING : content
    return applied(content, { ...write, bytes: write.bytes.subarray(0, survivors * SECTOR_BYTES) })
  }

  #commit(changes: number): void {
    for (const change of this.#journal.slice(0, changes)) {
      const names = this.#durableNames
      if (change.type === 'link') {
        names.set(change.path, change.inode)
      } else if (change.type === 'remove') {
        names.delete(change.path)
      } else {
        const inode = names.get(change.from)
        names.delete(change.from)
        if (inode) names.set(change.to, inode)
      }
    }
    this.#journal = this.#journal.slice(changes)
  }

  #inode(path: string, what: string): Inode {
    const inode = this.#names.get(path)
    if (!inode) throw this.#error(path, `cannot be ${what}: there is no such file`)
    return inode
  }

  #error(path: string, what: string): P2PError {
    return P2PError.of('io', `${JSON.stringify(path)} on the disk of ${this.#name} ${what}`, { path })
  }

  #draw(bound: number): number {
    this.#random ??= this.#kernel.random(`host/${this.#name}/disk`)
    return this.#random.nextBelow(bound)
  }

  #record(change: number, path: string, digest: number): void {
    this.#kernel.audit.record(EventKind.disk, this.#host, change, digestText(path), digest)
  }
}

function applied(content: Uint8Array, { position, bytes, truncates }: Write): Uint8Array {
  const base = truncates ? NOTHING : content
  const grown = new Uint8Array(Math.max(base.length, position + bytes.length))
  grown.set(base)
  grown.set(bytes, position)
  return grown
}

/** A write goes to the page cache. */
const WRITE_MS = 0.02
/** Nothing is quick on the way to the medium: a flash drive's flush. */
const SYNC_MS = 2

/**
 * The disk of a host, for its program: all of it takes virtual time, and what is under way when the power fails never
 * ends.
 *
 * @example
 * ```ts
 * import { Simulation } from '@moosicbox/p2p/simulator'
 *
 * const sim = new Simulation({ seed: 7 })
 * sim.host('server', async ({ disk }) => {
 *   if (disk.exists('count')) return console.log('after the crash:', (await disk.read('count')).length) // after the crash: 1
 *   await disk.write('count', new Uint8Array(1))
 *   await disk.fsync('count')
 *   await disk.append('count', new Uint8Array(1)) // not synced: lost, this time
 *   await new Promise(() => {})
 * })
 * sim.at('1s', () => sim.crash('server'))
 * sim.at('2s', () => sim.restart('server'))
 * await sim.run()
 * ```
 */
export class SimDisk {
  readonly #state: DiskState
  readonly #runtime: SimRuntime

  /** @internal */
  constructor(state: DiskState, runtime: SimRuntime) {
    this.#state = state
    this.#runtime = runtime
  }

  /** What all files hold. */
  get usedBytes(): number {
    return this.#state.usedBytes
  }

  /** Whether there is a file of that name. */
  exists(path: string): boolean {
    return this.#state.exists(path)
  }

  /** The names that begin with `prefix`, sorted. */
  list(prefix?: string): readonly string[] {
    return this.#state.list(prefix)
  }

  /**
   * The size of a file.
   *
   * @throws P2PError `io` when there is no such file
   */
  sizeBytes(path: string): number {
    return this.#state.sizeBytes(path)
  }

  /**
   * A copy of a file's bytes, from `position` on.
   *
   * @throws P2PError `io` when there is no such file
   */
  async read(path: string, position?: number, maxBytes?: number): Promise<Uint8Array> {
    await this.#runtime.sleep(WRITE_MS)
    return this.#state.read(path, position, maxBytes)
  }

  /**
   * Replaces a file's content, or makes the file. Not atomic: a crash may leave it empty or cut short. For that write
   * another file, sync it, and rename it.
   *
   * @throws P2PError `io` when the disk is full
   */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.#state.write(path, bytes)
    await this.#runtime.sleep(WRITE_MS)
  }

  /** Adds to the end of a file, or makes the file. Throws as {@link write}. */
  async append(path: string, bytes: Uint8Array): Promise<void> {
    this.#state.append(path, bytes)
    await this.#runtime.sleep(WRITE_MS)
  }

  /** Writes into a file from `position` on; a gap is filled with zeros. Throws as {@link write}. */
  async writeAt(path: string, position: number, bytes: Uint8Array): Promise<void> {
    this.#state.writeAt(path, position, bytes)
    await this.#runtime.sleep(WRITE_MS)
  }

  /** When it resolves a crash loses nothing of this file's content, nor its name. Throws as {@link read}. */
  async fsync(path: string): Promise<void> {
    this.#state.sizeBytes(path)
    await this.#runtime.sleep(SYNC_MS)
    if (this.#state.exists(path)) this.#state.fsync(path)
  }

  /** When it resolves a crash undoes no `rename` and no `remove`: what `fsync` of a directory does. */
  async syncNames(): Promise<void> {
    await this.#runtime.sleep(SYNC_MS)
    this.#state.syncNames()
  }

  /** Gives a file another name, in place of a file that had it: a crash leaves the one or the other. */
  async rename(from: string, to: string): Promise<void> {
    this.#state.rename(from, to)
    await this.#runtime.sleep(WRITE_MS)
  }

  /** Removes a file. Throws as {@link read}. */
  async remove(path: string): Promise<void> {
    this.#state.remove(path)
    await this.#runtime.sleep(WRITE_MS)
  }

  /** @internal A file as `runtime.files` opens it: as it is now, whatever is written later. */
  open(path: string, modifiedMs: number): RuntimeFile {
    const bytes = this.#state.read(path)
    const runtime = this.#runtime
    const close = (): Promise<void> => Promise.resolve()
    return {
      sizeBytes: bytes.length,
      modifiedMs,
      read: async (position, maxBytes) => {
        await runtime.sleep(WRITE_MS)
        return bytes.slice(position, position + maxBytes)
      },
      close,
      [Symbol.asyncDispose]: close,
    }
  }
}
