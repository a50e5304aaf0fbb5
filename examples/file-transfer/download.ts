/**
 * Downloads a file from several sources at once. Each source is asked for one block after the other; a block that a
 * source does not deliver, or that is not the file's, another one is asked for. What is on the disk is not asked for
 * again, after a crash neither.
 *
 * @module
 */
import type { DefaultP2P, NodeId } from '@moosicbox/p2p'
import { BLOCK_BYTES, readManifest } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import type { Shelf, ShelvedFile } from './shelf.ts'

/** Options of {@link download}. */
export interface DownloadOptions {
  /** The names of those who may have the file, in whole or in part. */
  readonly sources: readonly string[]
  /** Ends the download; what has come stays. */
  readonly signal?: AbortSignal | undefined
  /** Called after each block. */
  readonly onBlock?: ((index: number, source: string) => void) | undefined
  /** Called when a source has sent something that is not the file; it is not asked again. */
  readonly onLiar?: ((source: string) => void) | undefined
}

/** Longest wait for one block. */
const BLOCK_MS = 10_000
/** The wait after a source has failed; it doubles with each failure in a row. */
const RETRY_MS = 250
const MAX_RETRY_MS = 8_000
/** How often a source that has nothing new is asked what it has. */
const IDLE_MS = 500
/** A manifest of the largest file. */
const MAX_MANIFEST_BYTES = 16_000_000

/** A source has sent something else than the file. */
class Lie extends Error {}

class Source {
  readonly name: string
  readonly #p2p: DefaultP2P
  readonly #id: string
  #peer: NodeId | undefined
  /** Which blocks it has said to have. */
  #has = ''

  constructor(p2p: DefaultP2P, name: string, id: string) {
    this.#p2p = p2p
    this.name = name
    this.#id = id
  }

  async manifest(signal: AbortSignal): Promise<Manifest | undefined> {
    const bytes = await this.#get('', MAX_MANIFEST_BYTES, signal)
    if (!bytes) return undefined
    const manifest = readManifest(parse(bytes), this.#id)
    if (!manifest) throw new Lie(`${this.name} has sent another manifest`)
    return manifest
  }

  hasBlock(index: number): boolean {
    return this.#has[index] === '1'
  }

  /** Asks what it has; false when it has nothing. */
  async refresh(signal: AbortSignal): Promise<boolean> {
    const bytes = await this.#get('/have', 200_000, signal)
    this.#has = bytes ? new TextDecoder().decode(bytes) : ''
    return bytes !== undefined
  }

  /** Undefined when it does not have it after all. */
  block(index: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#get(`/blocks/${index}`, BLOCK_BYTES, signal)
  }

  async #get(what: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    this.#peer ??= await this.#p2p.discover(this.name, { signal })
    const path = `/files/${this.#id}${what}`
    const answer = await this.#p2p.request(this.#peer, { path, deadlineMs: BLOCK_MS, signal })
    const bytes = await answer.bytes(maxBytes)
    return answer.status === 200 ? bytes : undefined
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

/** Downloads the file `id` onto a shelf; resolves when it is whole, and on the disk. */
export async function download(
  p2p: DefaultP2P,
  shelf: Shelf,
  id: string,
  options: DownloadOptions,
): Promise<ShelvedFile> {
  const done = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, done.signal]) : done.signal
  const sources = options.sources.map((name) => new Source(p2p, name, id))
  const file = await shelf.open(id, () => anyManifest(p2p, sources, signal, options))
  /** Blocks that a source was asked for. */
  const asked = new Set<number>()
  const take = (source: Source): number | undefined => {
    const wanted = (index: number): boolean => !file.has(index) && source.hasBlock(index)
    const indices = file.manifest.blocks.keys()
    let second: number | undefined
    for (const index of indices) {
      if (!wanted(index)) continue
      if (!asked.has(index)) return index
      second ??= index
    }
    // All the rest was asked of others, who may be slow, or gone: the same again, from here.
    return second
  }
  const work = async (source: Source): Promise<void> => {
    let failures = 0
    while (!file.isWhole && !signal.aborted) {
      const index = take(source)
      try {
        if (index === undefined) {
          await source.refresh(signal)
          failures = 0
          if (take(source) === undefined) await p2p.runtime.sleep(IDLE_MS, { signal })
          continue
        }
        asked.add(index)
        const bytes = await source.block(index, signal)
        failures = 0
        if (!bytes) {
          await source.refresh(signal)
        } else if (await file.put(index, bytes)) {
          options.onBlock?.(index, source.name)
        } else {
          throw new Lie(`${source.name} has sent another block ${index}`)
        }
      } catch (error) {
        if (error instanceof Lie) {
          options.onLiar?.(source.name)
          return
        }
        const waitMs = Math.min(RETRY_MS * 2 ** Math.min(failures++, 10), MAX_RETRY_MS)
        await p2p.runtime.sleep(waitMs, { signal }).catch(() => {})
      } finally {
        if (index !== undefined) asked.delete(index)
      }
    }
    // Whoever is still waiting for an answer waits no more.
    if (file.isWhole) done.abort()
  }
  await Promise.all(sources.map((source) => work(source)))
  options.signal?.throwIfAborted()
  if (!file.isWhole) throw new Error(`none of ${options.sources.join(', ')} can be trusted with this file`)
  return file
}

/** The manifest, from whoever answers first with the right one. */
async function anyManifest(
  p2p: DefaultP2P,
  sources: readonly Source[],
  signal: AbortSignal,
  { onLiar }: DownloadOptions,
): Promise<Manifest> {
  const liars = new Set<Source>()
  for (let round = 0; liars.size < sources.length; round++) {
    for (const source of sources) {
      if (liars.has(source)) continue
      try {
        const manifest = await source.manifest(signal)
        if (manifest) return manifest
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof Lie)) continue
        liars.add(source)
        onLiar?.(source.name)
      }
    }
    await p2p.runtime.sleep(Math.min(RETRY_MS * 2 ** Math.min(round, 10), MAX_RETRY_MS), { signal })
  }
  throw new Error('none of the sources has the right manifest')
}
