/**
 * How simulated nodes find each other: by registered names, and by id as through a relay's look-up service. Both take
 * time and are cached, so that answers may be stale.
 *
 * @module
 */
import type { P2PAddress } from '../core/address.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { WaitOptions } from '../core/stream.ts'
import type { P2PDiscovery, RegisterOptions } from '../core/system.ts'
import type { SimHost } from './host.ts'
import type { NameCallback, NameLookup, NameService } from './network/index.ts'

/** One host's view of its world's name services. */
export class SimulatorDiscovery implements P2PDiscovery {
  readonly name = 'simulator'
  readonly #host: SimHost
  readonly #runtime: SimHost['runtime']

  constructor(host: SimHost) {
    this.#host = host
    this.#runtime = host.runtime
  }

  resolveName(name: string, options?: WaitOptions): Promise<P2PAddress | undefined> {
    return this.#lookup(this.#host.world.names, name, options?.signal)
  }

  resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    return this.#lookup(this.#host.world.ids, id.toString(), options?.signal)
  }

  /** Takes as long as a look-up, and then everybody can find the name. */
  async publish(name: string, address: P2PAddress, options: RegisterOptions = {}): Promise<void> {
    const { names, config } = this.#host.world
    const ttlSeconds = options.ttlMs === undefined ? undefined : options.ttlMs / 1000
    if (names.carrier) {
      const { index } = this.#host
      await this.#wait(`registering ${name}`, options.signal, (done) =>
        names.publish(index, name, address, ttlSeconds, done),
      )
      return
    }
    await this.#runtime.sleep(config.discoveryDelayMs, { signal: options.signal })
    if (names.isDown) {
      const text = `the name ${JSON.stringify(name)} could not be registered: the name service does not answer; try later`
      throw P2PError.of('discovery-failed', text, { query: name })
    }
    names.register(name, address, ttlSeconds)
  }

  #lookup(
    names: NameService<P2PAddress>,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<P2PAddress | undefined> {
    return this.#wait(`looking up ${name}`, signal, (done) => names.lookup(this.#host.index, name, done))
  }

  #wait(
    what: string,
    signal: AbortSignal | undefined,
    begin: (done: NameCallback<P2PAddress>) => NameLookup,
  ): Promise<P2PAddress | undefined> {
    const host = this.#host
    const runtime = this.#runtime
    return new Promise((resolve, reject) => {
      const wait = runtime.waits.begin(what)
      const abort = (): void => {
        wait.end()
        lookup.cancel()
        if (signal) reject(P2PError.aborted(signal, what))
      }
      const lookup = begin((error, address) => {
        signal?.removeEventListener('abort', abort)
        const answer = (): void => {
          wait.end()
          // What a host asked for before it crashed is nobody's any more.
          if (!runtime.isOn) return
          host.world.scheduler.woke(host.index)
          if (!error || P2PError.is(error, 'node-not-found')) resolve(address)
          else reject(error)
        }
        if (host.gate.isOpen) answer()
        else host.gate.hold(answer)
      })
      if (signal?.aborted === true) abort()
      else signal?.addEventListener('abort', abort, { once: true })
    })
  }
}
