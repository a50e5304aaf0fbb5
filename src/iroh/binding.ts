/**
 * The seam to a native binding of iroh, a *door*. A door brings a {@link CarrierEndpoint}, so that no second adapter
 * stands between it and the engine, and says there what it can do (`capabilities`).
 *
 * It is drawn for what a door of Buffers can do: bytes are `Uint8Array`s both ways, codes are numbers, inbound
 * connections come as calls (so that one wake-up may bring a batch of them), and what can be done at once is done at once. What a
 * door lacks it makes up for on its own side, and it alone knows its binding's traps.
 *
 * @module
 */
import type { CarrierConnection, CarrierEndpoint, CarrierTarget } from '../core/carrier.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { SigningKey } from '../core/keys.ts'
import type { Runtime } from '../core/runtime.ts'
import type { P2PRelay, RelaySetting } from '../core/system.ts'

/** What a door needs to open an endpoint. */
export interface DoorSettings {
  readonly secretKey: SigningKey
  /** `ip:port` addresses; undefined for all interfaces. */
  readonly bind: readonly string[] | undefined
  readonly relay: RelaySetting
  /** Authorities that may vouch for relays besides those built in, in DER. @default none */
  readonly relayRoots?: readonly Uint8Array[] | undefined
  /** A connection with no sign of life for this long is over; the transport's own limit may be lower. */
  readonly idleTimeoutMs: number
  readonly runtime: Runtime
  /** Who may connect. @default everyone */
  readonly access?: IrohAccess | undefined
  /** How much of everything strangers and peers may take. */
  readonly admission?: IrohAdmission | undefined
}

/**
 * Bounds that a door keeps below the library, before JavaScript is woken. The native door keeps all of them, the official
 * one `maxHandshakes` alone. Sizes in bytes, durations in milliseconds.
 */
export interface IrohAdmission {
  /** Handshakes of inbound connections at a time; from half of it on senders must prove their address. @default 256 */
  readonly maxHandshakes?: number | undefined
  /** Of these, from one address of IPv4, one network of 64 bits of IPv6, or one id at a relay. @default 64 */
  readonly maxHandshakesPerAddress?: number | undefined
  /**
   * Handshakes that one such address may begin a second, and three times as many at once; beyond half of that it must
   * prove its address. @default 100, and no bound for loopback addresses
   */
  readonly maxHandshakesPerSecond?: number | undefined
  /** Longest time for one of them. @default 10000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** Streams of each kind that a peer may have open at a time, a connection. @default 1024 */
  readonly maxStreams?: number | undefined
  /** The same over all connections of a peer; a connection has 8 at least. @default 4096 */
  readonly maxStreamsPerPeer?: number | undefined
  /** The same over all inbound connections; a connection has 8 at least. @default 65536 */
  readonly maxStreamsInAll?: number | undefined
  /**
   * Bytes that have arrived, or are allowed to, and that nobody has read yet, over all inbound connections. Each has a
   * share of it that gets smaller as there are more, of 64 KiB at least and 64 MiB at most, and twice. @default 1073741824
   */
  readonly maxReceiveBytes?: number | undefined
}

/** Lists of peers that are let in or not, before any of their streams is seen. */
export interface IrohAccess {
  /** Only these may connect. @default everyone */
  readonly allow?: readonly P2PNodeId[] | undefined
  /** These may not, whatever `allow` says. @default nobody */
  readonly deny?: readonly P2PNodeId[] | undefined
}

/** The relay that a node is to be reached through, as far as its door knows. */
export interface HomeRelay {
  readonly url: string
  /** `unknown` where the door does not say. */
  readonly state: 'attached' | 'detached' | 'denied' | 'unknown'
  /** Why it is not attached. */
  readonly reason: string | undefined
}

/** What a door knows about the network; `undefined` for what it does not. */
export interface DoorReport {
  readonly udp: { readonly ipv4: boolean | undefined; readonly ipv6: boolean | undefined }
  /** Whether relays see this node at different addresses. */
  readonly mappingVaries: boolean | undefined
  /** Where relays see it. */
  readonly publicAddresses: readonly string[]
  readonly captivePortal: boolean | undefined
  readonly portMapping: 'off' | 'unknown'
  readonly latencies: readonly { readonly url: string; readonly latencyMs: number }[]
}

/** What builds the native door, in the folder of a project that has installed this package; for messages. */
export const BUILD_NATIVE = 'node node_modules/@moosicbox/p2p/native/build.mjs, or npm run build:native in a checkout'

/** One way to iroh. */
export interface IrohBinding {
  /** For `P2PSystem.backend`: `iroh (official)` or `iroh (native)`. */
  readonly name: 'official' | 'native'
  /**
   * Loads the native part and binds the sockets.
   *
   * @throws P2PError `unsupported` when there is no native part for this platform, `network` when an address cannot be
   * bound, `invalid-configuration` for what this door cannot do
   */
  open(settings: DoorSettings): Promise<IrohEndpoint>
}

/** A node's transport, with what only iroh has. */
export interface IrohEndpoint extends CarrierEndpoint {
  connect(target: CarrierTarget): Promise<IrohCarrierConnection>
  /** Waits until a relay answers, so that `address()` names it, but no longer than `timeoutMs`; tells whether one does. */
  online(timeoutMs: number): Promise<boolean>
  /** Who may connect from now on; those who are connected stay. */
  setAccess(access: IrohAccess): void
  /** The home relays; none before the nearest is known. `watchAddress` tells when they change. */
  homeRelays(): readonly HomeRelay[]
  /** What is known about the network now. */
  networkReport(): DoorReport
  /** Adds a relay, in place of one at the same URL, or removes it. */
  setRelay(relay: P2PRelay, add: boolean): void
  /** Adds or removes an `ip:port` that this node is known under elsewhere; peers are told, also those connected. */
  setExternalAddress(address: string, add: boolean): void
}

/** A connection, with what only some doors can do. */
export interface IrohCarrierConnection extends CarrierConnection {
  /** From now on the process may end although this connection is open; where it could not anyway, left out. */
  background?(): void
}
