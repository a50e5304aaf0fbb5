/**
 * An endpoint over the addon.
 *
 * @module
 */
import { P2PAddress, parseSocketAddress } from '../../core/address.ts'
import type { CarrierCapabilities, CarrierConnection, CarrierTarget, InboundBounds } from '../../core/carrier.ts'
import { P2PError } from '../../core/errors.ts'
import { NodeId } from '../../core/node-id.ts'
import type { Runtime } from '../../core/runtime.ts'
import { isLoopback } from '../addresses.ts'
import type { P2PRelay } from '../../core/system.ts'
import type { DoorReport, HomeRelay, IrohAccess, IrohEndpoint } from '../binding.ts'
import { closeError, connectErrors, NODE_CLOSED } from '../errors.ts'
import { NativeConnection } from './connection.ts'
import type { NativeDoor } from './door.ts'
import { connectError } from './errors.ts'
import { parseReport } from './network-report.ts'
import { relayText } from './relays.ts'

/** The largest number of connections that the addon counts to. */
const MAX_COUNT = 2 ** 32 - 1

/** What an endpoint is made of. */
export interface NativeEndpointOptions {
  readonly handle: number
  readonly door: NativeDoor
  readonly nodeId: NodeId
  readonly runtime: Runtime
  readonly loopbackOnly: boolean
  /** Whether relays can be used. */
  readonly relays: boolean
  /** Whether a relay may be asked for this node's address over QUIC. */
  readonly discoversAddresses: boolean
}

/** Where an endpoint can be reached, as the addon tells it. */
interface EndpointInfo {
  readonly direct: readonly string[]
  readonly relays: readonly string[]
  readonly bound: readonly string[]
}

/** Each after a byte with its length. */
function packAlpns(alpns: readonly string[]): Uint8Array {
  const encoded = alpns.map((alpn) => new TextEncoder().encode(alpn))
  return Buffer.concat(encoded.flatMap((alpn) => [Buffer.of(alpn.length), alpn]))
}

/** One node's transport. */
export class NativeEndpoint implements IrohEndpoint {
  readonly capabilities: CarrierCapabilities = { abortsBlockedStreams: true, confirmsDelivery: true, earlyData: true }
  onIncoming: (connection: CarrierConnection) => void = (connection) => connection.close(0, 'nobody listens')
  readonly #options: NativeEndpointOptions
  readonly #bound: readonly string[]
  readonly #addressListeners = new Set<() => void>()
  #lastAddress: P2PAddress
  #serves = false
  #closing: Promise<void> | undefined

  constructor(options: NativeEndpointOptions) {
    this.#options = options
    this.#lastAddress = new P2PAddress(options.nodeId, [])
    this.#bound = this.#info().bound
    options.door.events = {
      incoming: (handle, peer, alpn, early) => this.#incoming(handle, peer, alpn, early),
      addressChanged: () => {
        for (const listener of this.#addressListeners) listener()
      },
    }
  }

  connect(target: CarrierTarget): Promise<NativeConnection> {
    return new Promise((resolve, reject) => {
      const { door, handle, runtime, loopbackOnly } = this.#options
      const { address, alpn, signal, earlyData = false } = target
      if (signal.aborted) throw P2PError.aborted(signal, 'connect')
      if (this.#closing) throw closeError(NODE_CLOSED)
      // Packets to other machines would not leave a loopback socket, but the transport would try.
      const direct = address.direct.filter((remote) => !loopbackOnly || isLoopback(remote))
      const relays = this.#options.relays ? address.relays : []
      if (direct.length === 0 && relays.length === 0) throw connectErrors.noRoute(address.id)
      const startedMs = runtime.now()
      const abort = (): void => {
        reject(P2PError.aborted(signal, 'connect'))
        door.addon.cancel(door.context, token)
      }
      const token = door.token({
        done: (connection, early) => {
          signal.removeEventListener('abort', abort)
          const made = new NativeConnection(connection, door, address.id, alpn, early)
          if (signal.aborted) made.close(0, 'the caller had given up')
          else resolve(made)
        },
        failed: (failed) => {
          signal.removeEventListener('abort', abort)
          reject(connectError(failed, address.id, alpn, runtime.now() - startedMs))
        },
      })
      const lines = [...direct.map((remote) => `direct ${remote}`), ...relays.map((url) => `relay ${url}`)].join('\n')
      try {
        const peer = address.id.asBytes()
        door.addon.connect(door.context, token, handle, peer, new TextEncoder().encode(alpn), lines, earlyData)
      } catch (error) {
        door.revoke(token)
        throw P2PError.from(error, 'connection-failed', `connecting to ${address.id.fmtShort()} failed`, {})
      }
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  setAlpns(alpns: readonly string[], bounds?: InboundBounds, early: readonly string[] = []): void {
    if (this.#closing) return
    const { door, handle } = this.#options
    if (bounds) {
      const [all, perPeer] = [bounds.connections, bounds.connectionsPerPeer].map((count) => Math.min(count, MAX_COUNT))
      door.addon.setBounds(door.context, handle, all ?? MAX_COUNT, perPeer ?? MAX_COUNT)
    }
    door.addon.setAlpns(door.context, handle, packAlpns(alpns), packAlpns(early))
    this.#serve(alpns.length > 0)
  }

  setAccess(access: IrohAccess): void {
    if (this.#closing) return
    const { door, handle } = this.#options
    const pack = (ids: IrohAccess['deny']): Uint8Array => Buffer.concat((ids ?? []).map((id) => id.asBytes()))
    door.addon.setAccess(door.context, handle, access.allow !== undefined, pack(access.allow), pack(access.deny))
  }

  homeRelays(): readonly HomeRelay[] {
    if (this.#closing) return []
    const { door, handle } = this.#options
    return door.addon
      .homeRelays(door.context, handle)
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [state, url = '', ...words] = line.split(' ')
        return { url, state: state as HomeRelay['state'], reason: words.join(' ') || undefined }
      })
  }

  networkReport(): DoorReport {
    const { door, handle, loopbackOnly, relays, discoversAddresses } = this.#options
    const text = this.#closing ? '' : door.addon.networkReport(door.context, handle)
    return parseReport(text, { portMapping: relays && !loopbackOnly, discoversAddresses })
  }

  setRelay(relay: P2PRelay, add: boolean): void {
    if (this.#closing) return
    const { door, handle } = this.#options
    door.addon.setRelay(door.context, handle, relayText(relay), add)
  }

  setExternalAddress(address: string, add: boolean): void {
    if (this.#closing) return
    const { door, handle } = this.#options
    door.addon.setExternalAddress(door.context, handle, address, add)
  }

  address(): P2PAddress {
    if (!this.#closing) {
      const { direct, relays } = this.#info()
      this.#lastAddress = new P2PAddress(this.#options.nodeId, direct, relays)
    }
    return this.#lastAddress
  }

  watchAddress(listener: () => void): Disposable {
    // An object of its own, so that one listener given twice is called twice.
    const entry = (): void => listener()
    this.#addressListeners.add(entry)
    return { [Symbol.dispose]: () => void this.#addressListeners.delete(entry) }
  }

  boundAddresses(): readonly string[] {
    return this.#bound
  }

  online(timeoutMs: number): Promise<boolean> {
    const isOnline = (): boolean => this.address().relays.length > 0
    if (isOnline()) return Promise.resolve(true)
    if (!this.#options.relays || this.#closing || timeoutMs === 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.#addressListeners.delete(look)
        resolve(isOnline())
      }
      const look = (): void => {
        if (this.#closing || isOnline()) done()
      }
      const timer = this.#options.runtime.setTimer(timeoutMs, done)
      this.#addressListeners.add(look)
    })
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const { door, handle } = this.#options
    this.#lastAddress = new P2PAddress(this.#options.nodeId, this.#info().direct, this.#info().relays)
    for (const connection of door.connections.values()) {
      connection.close(NODE_CLOSED.closeCode, NODE_CLOSED.reason)
    }
    this.#serve(false)
    await new Promise<void>((resolve) => {
      const token = door.token({ done: () => resolve(), failed: () => resolve() })
      door.addon.closeEndpoint(door.context, token, handle)
    })
    door.close()
    for (const listener of this.#addressListeners) listener()
  }

  #serve(serves: boolean): void {
    if (serves === this.#serves) return
    this.#serves = serves
    if (serves) this.#options.door.hold()
    else this.#options.door.release()
  }

  #incoming(handle: number, peer: Uint8Array, alpn: string, early: boolean): void {
    const connection = new NativeConnection(handle, this.#options.door, NodeId.fromPublicKey(peer), alpn, early)
    if (this.#closing) connection.close(NODE_CLOSED.closeCode, NODE_CLOSED.reason)
    else this.onIncoming(connection)
  }

  #info(): EndpointInfo {
    const { door, handle } = this.#options
    const lines = door.addon.endpointInfo(door.context, handle).split('\n')
    const of = (kind: string): string[] =>
      lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1))
    return {
      // Link-local addresses carry the name of an interface, which means nothing elsewhere.
      direct: of('direct').filter((text) => parseSocketAddress(text) !== undefined),
      relays: of('relay'),
      bound: of('bound'),
    }
  }
}
