/**
 * Actors on this machine: nodes of the selected backend that reach nobody but each other, and files in a folder.
 *
 * @module
 */
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DefaultP2P, realRuntime, testSigningKey } from '@moosicbox/p2p'
import type { P2PDiscovery } from '@moosicbox/p2p'
import { StaticDiscovery } from '@moosicbox/p2p/discovery'
import type { Actor, Part, Store } from './actor.ts'

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** A folder. */
class FolderStore implements Store {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async read(name: string, position = 0, maxBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    try {
      const file = await open(this.#path(name), 'r')
      try {
        const { size } = await file.stat()
        const bytes = new Uint8Array(Math.max(0, Math.min(maxBytes, size - position)))
        const { bytesRead } = await file.read(bytes, 0, bytes.length, position)
        return bytes.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    const draft = `${name}.new`
    await this.#write(draft, 'w', bytes)
    await this.rename(draft, name)
  }

  append(name: string, bytes: Uint8Array): Promise<void> {
    return this.#write(name, 'a', bytes)
  }

  async writeAt(name: string, position: number, bytes: Uint8Array): Promise<void> {
    // Made by whoever comes first, and never cut.
    const file = await open(this.#path(name), 'r+').catch((error: unknown) => {
      if (isMissing(error)) return open(this.#path(name), 'w+')
      throw error
    })
    try {
      for (let at = 0; at < bytes.length;) {
        at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten
      }
    } finally {
      await file.close()
    }
  }

  async sync(name: string): Promise<void> {
    const file = await open(this.#path(name), 'r+')
    await file.sync()
    await file.close()
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(this.#path(from), this.#path(to))
  }

  async #write(name: string, flags: string, bytes: Uint8Array): Promise<void> {
    const file = await open(this.#path(name), flags)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}

/** An actor with a folder; `discovery` tells it of the others. */
function realActor(
  name: string,
  folder: string,
  discovery: P2PDiscovery,
  onLog: (name: string, text: string) => void,
): Actor {
  const key = testSigningKey(name)
  return {
    name,
    key,
    runtime: realRuntime(),
    store: new FolderStore(folder),
    create: () =>
      DefaultP2P.create({
        secretKey: key,
        // Not one packet leaves this machine.
        relay: 'disabled',
        bind: ['127.0.0.1:0', '[::1]:0'],
        discovery: [discovery],
      }),
    log: (text) => onLog(name, text),
  }
}

/** Plays all parts at once, each with a node and a folder of its own; ends when all have ended, or one has failed. */
export async function playReal(
  parts: Readonly<Record<string, Part>>,
  onLog: (name: string, text: string) => void,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'p2p-example-'))
  try {
    const discovery = new StaticDiscovery({}, { file: join(folder, 'names.json'), writable: true })
    const playing = Object.entries(parts).map(async ([name, part]) => {
      const own = join(folder, name)
      await mkdir(own)
      await part(realActor(name, own, discovery, onLog))
    })
    await Promise.all(playing)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
