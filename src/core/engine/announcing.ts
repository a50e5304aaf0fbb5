/**
 * Makes a node known through the sources that publish, from its first `listen` until it is closed.
 *
 * @module
 */
import { isSameAddress } from '../address.ts'
import type { P2PAddress } from '../address.ts'
import { P2PError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Runtime } from '../runtime.ts'
import type { AnnouncedNode, P2PDiscovery } from '../system.ts'

/** What announcing needs of a node. */
export interface AnnouncerOptions {
  readonly id: NodeId
  readonly runtime: Runtime
  readonly sources: readonly P2PDiscovery[]
  readonly address: () => P2PAddress
  readonly sign: (message: Uint8Array) => Uint8Array
  /** Calls back when the address may have changed. */
  readonly watch: (listener: () => void) => Disposable
}

/** How the last attempt of one source to make the node known went. */
export interface AnnouncementState {
  readonly source: string
  /** When it last succeeded, on the runtime's monotonic clock; undefined before. */
  readonly publishedMs: number | undefined
  /** Why the last attempt failed; undefined when it did not. */
  readonly error: P2PError | undefined
}

/** All announcements of one node. */
export class Announcer implements AsyncDisposable {
  readonly #options: AnnouncerOptions
  readonly #listeners = new Set<() => void>()
  readonly #states = new Map<P2PDiscovery, AnnouncementState>()
  readonly #nodes = new Map<P2PDiscovery, AnnouncedNode>()
  #running: readonly AsyncDisposable[] | undefined
  #watching: Disposable | undefined
  /** The address that listeners have heard of. */
  #told: P2PAddress | undefined

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  /** How each source that publishes fares. */
  get states(): readonly AnnouncementState[] {
    return [...this.#states.values()]
  }

  /** Starts; a second call does nothing. */
  start(): void {
    if (this.#running) return
    this.#told = this.#options.address()
    this.#running = this.#options.sources.flatMap((source) => this.#announce(source))
    if (this.#running.length > 0) this.#watching = this.#options.watch(() => this.#addressChanged())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running ?? []
    this.#running = []
    this.#watching?.[Symbol.dispose]()
    this.#watching = undefined
    await Promise.allSettled(running.map((announcement) => announcement[Symbol.asyncDispose]()))
    this.#listeners.clear()
  }

  #addressChanged(): void {
    const address = this.#options.address()
    if (this.#told && isSameAddress(address, this.#told)) return
    this.#told = address
    for (const listener of Array.from(this.#listeners)) listener()
  }

  #announce(source: P2PDiscovery): readonly AsyncDisposable[] {
    this.#states.set(source, { source: source.name, publishedMs: undefined, error: undefined })
    const announcement = source.announce?.(this.nodeFor(source))
    if (announcement) return [announcement]
    // One that cannot may have said why.
    if (!this.#states.get(source)?.error) this.#states.delete(source)
    return []
  }

  /** The node as `source` sees it, always the same. */
  nodeFor(source: P2PDiscovery): AnnouncedNode {
    let node = this.#nodes.get(source)
    if (!node) {
      node = this.#node(source)
      this.#nodes.set(source, node)
    }
    return node
  }

  #node(source: P2PDiscovery): AnnouncedNode {
    const { id, runtime, address, sign } = this.#options
    const set = (publishedMs: number | undefined, error: P2PError | undefined): void => {
      this.#states.set(source, { source: source.name, publishedMs, error })
    }
    return {
      id,
      runtime,
      address,
      sign,
      onAddressChange: (listener) => {
        // An object of its own, so that one listener given twice is called twice.
        const entry = (): void => listener()
        this.#listeners.add(entry)
        return { [Symbol.dispose]: () => void this.#listeners.delete(entry) }
      },
      onPublished: (error) => {
        if (error === undefined) return set(runtime.now(), undefined)
        const failed = `making this node known through ${source.name} failed`
        const before = this.#states.get(source)?.publishedMs
        set(before, P2PError.from(error, 'discovery-failed', failed, { query: id.toString() }) as P2PError)
      },
    }
  }
}
