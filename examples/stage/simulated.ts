/**
 * Actors on hosts of a simulation.
 *
 * @module
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { SimDisk, SimHost } from '@moosicbox/p2p/simulator'
import type { Actor, Store } from './actor.ts'

/** The disk of a simulated host. */
class DiskStore implements Store {
  readonly #disk: SimDisk

  constructor(disk: SimDisk) {
    this.#disk = disk
  }

  async read(name: string, position?: number, maxBytes?: number): Promise<Uint8Array | undefined> {
    return this.#disk.exists(name) ? this.#disk.read(name, position, maxBytes) : undefined
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    const draft = `${name}.new`
    await this.#disk.write(draft, bytes)
    await this.#disk.fsync(draft)
    await this.rename(draft, name)
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    await this.#disk.append(name, bytes)
    await this.#disk.fsync(name)
  }

  writeAt(name: string, position: number, bytes: Uint8Array): Promise<void> {
    return this.#disk.writeAt(name, position, bytes)
  }

  sync(name: string): Promise<void> {
    return this.#disk.fsync(name)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#disk.rename(from, to)
    await this.#disk.syncNames()
  }
}

/** The actor on a host; what it says goes into the trace, and to `onLog`. */
export function simulatedActor(host: SimHost, onLog?: (name: string, text: string) => void): Actor {
  const { name, runtime, secretKey: key } = host
  return {
    name,
    key,
    runtime,
    store: new DiskStore(host.disk),
    create: () => DefaultP2P.create({ secretKey: key }),
    log: (text) => {
      host.log(text)
      onLog?.(name, text)
    },
  }
}
