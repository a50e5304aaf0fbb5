/**
 * Files in memory, for tests of parts.
 *
 * @module
 */
import type { Store } from '../../examples/stage/actor.ts'

export class MemoryStore implements Store {
  readonly files = new Map<string, Uint8Array>()

  async read(name: string, position = 0, maxBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    return this.files.get(name)?.slice(position, position + maxBytes)
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    this.files.set(name, bytes.slice())
  }

  append(name: string, bytes: Uint8Array): Promise<void> {
    return this.writeAt(name, this.files.get(name)?.length ?? 0, bytes)
  }

  async writeAt(name: string, position: number, bytes: Uint8Array): Promise<void> {
    const before = this.files.get(name) ?? new Uint8Array(0)
    const after = new Uint8Array(Math.max(before.length, position + bytes.length))
    after.set(before)
    after.set(bytes, position)
    this.files.set(name, after)
  }

  async sync(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.files.get(from) ?? new Uint8Array(0))
    this.files.delete(from)
  }
}
