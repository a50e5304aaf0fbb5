/**
 * Nodes found by id through the DNS: TXT records at `_iroh.<id>.<origin>`, as iroh's own DNS servers answer.
 *
 * @module
 */
import { Resolver } from 'node:dns/promises'
import type { P2PAddress } from '../core/address.ts'
import { checkOptions, invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { NodeId } from '../core/node-id.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { WaitOptions } from '../core/stream.ts'
import type { P2PDiscovery } from '../core/system.ts'
import { parseRecord, RECORD_LABEL } from './node-record.ts'
import type { NodeRecord } from './node-record.ts'
import { checkMilliseconds } from './options.ts'
import { readName } from './signed-name.ts'

/** Options of {@link DnsDiscovery}. */
export interface DnsOptions {
  /** The domain under which records are, such as `dns.example.org`. */
  readonly origin: string
  /** Name servers as `ip:port`. @default those of this machine */
  readonly servers?: readonly string[] | undefined
  /** Longest wait for an answer, in milliseconds. @default 3000 */
  readonly timeoutMs?: number | undefined
}

const OPTIONS: readonly string[] = ['origin', 'servers', 'timeoutMs']
const DEFAULT_TIMEOUT_MS = 3_000
/** Answers that say that there is no such record. */
const UNKNOWN: readonly string[] = ['ENOTFOUND', 'ENODATA']

/**
 * Looks nodes up in the DNS. Nothing there is signed: who answers can send callers to a wrong address, where the
 * handshake then fails, as nobody there has the node's key.
 *
 * @example
 * ```ts fragment
 * const dns = new DnsDiscovery({ origin: 'dns.example.org' })
 * const p2p = await DefaultP2P.create({ discovery: [dns] })
 * ```
 */
export class DnsDiscovery implements P2PDiscovery {
  readonly name = 'dns'
  readonly #origin: string
  readonly #servers: readonly string[] | undefined
  readonly #timeoutMs: number

  /** @throws P2PError `invalid-configuration` */
  constructor(options: DnsOptions) {
    checkOptions('DnsDiscovery', options, OPTIONS)
    const { origin, servers, timeoutMs = DEFAULT_TIMEOUT_MS } = options
    if (!/^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?)+$/i.test(origin) || origin.length > 180) {
      throw invalidConfiguration('origin', origin, 'must be a domain, such as dns.example.org')
    }
    this.#origin = origin.replace(/\.$/, '')
    this.#servers = servers
    this.#timeoutMs = checkMilliseconds('timeoutMs', timeoutMs)
    this.#resolver()
  }

  /** Names are not what these records are for; whose one is, {@link nameOf} tells. */
  resolveName(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /** @throws P2PError `discovery-failed` when no server answers, `aborted` */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const address = (await this.#record(id, options?.signal))?.address
    return address && address.direct.length + address.relays.length > 0 ? address : undefined
  }

  /**
   * The name that the node has been registered with, signed by itself; undefined where there is none, or a signature that
   * is not the node's.
   *
   * @throws P2PError `discovery-failed` when no server answers, `aborted`
   */
  async nameOf(id: P2PNodeId, options?: WaitOptions): Promise<string | undefined> {
    const claim = readName(id, (await this.#record(id, options?.signal))?.userData)
    return claim.kind === 'signed' ? claim.name : undefined
  }

  async #record(id: P2PNodeId, signal: AbortSignal | undefined): Promise<NodeRecord | undefined> {
    const node = NodeId.fromBytes(id.asBytes())
    const resolver = this.#resolver()
    const cancel = (): void => resolver.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    const name = `${RECORD_LABEL}.${node.toString()}.${this.#origin}`
    try {
      const records = await resolver.resolveTxt(name)
      return parseRecord(
        node,
        records.map((parts) => parts.join('')),
      )
    } catch (error) {
      if (signal?.aborted === true) throw P2PError.aborted(signal, 'the look-up')
      const { code } = error as NodeJS.ErrnoException
      if (code !== undefined && UNKNOWN.includes(code)) return undefined
      const message = `the DNS did not answer for ${name}: ${code ?? 'unknown error'}`
      throw P2PError.of('discovery-failed', message, { query: node.toString() }, { cause: error })
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** One for each look-up, as cancelling one cancels everything that is asked of it. */
  #resolver(): Resolver {
    // Three tries, each twice as long as the one before.
    const resolver = new Resolver({ timeout: Math.max(1, Math.round(this.#timeoutMs / 7)), tries: 3 })
    if (this.#servers === undefined) return resolver
    try {
      resolver.setServers(this.#servers)
    } catch (error) {
      const message = `servers = ${this.#servers.join(', ')}: must be a list of ip:port`
      const fields = { setting: 'servers', value: this.#servers }
      throw P2PError.of('invalid-configuration', message, fields, { cause: error })
    }
    return resolver
  }
}
