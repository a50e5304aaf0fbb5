/**
 * What a relay can be told, and the defaults.
 *
 * @module
 */
import type { NodeId } from '../core/node-id.ts'
import type { Runtime } from '../core/runtime.ts'

/** Bounds of a relay. Sizes in bytes, durations in milliseconds. */
export interface RelayLimits {
  /** TCP connections in all; one more is dropped at once. @default 10000 */
  readonly maxConnections: number
  /** TCP connections from one IPv4 address or one IPv6 /64. Behind a proxy it is the proxy's. @default 256 */
  readonly maxConnectionsPerAddress: number
  /** Connections of one node id; the oldest one that is not in use gives way. @default 4 */
  readonly maxConnectionsPerId: number
  /** From the request to the accepted client, `access` included. @default 10000 */
  readonly handshakeTimeoutMs: number
  /** Packets that wait for one client, each up to 64 KiB; further ones are dropped. @default 512 */
  readonly queuePackets: number
  /** Bytes that wait for one client. @default 8388608 */
  readonly queueBytes: number
  /** Bytes that wait for all clients. @default 268435456 */
  readonly totalQueueBytes: number
  /** A client from which nothing came for this long is pinged. @default 15000 */
  readonly pingIntervalMs: number
  /** Longest wait for the answer to a ping. @default 5000 */
  readonly pongTimeoutMs: number
  /** A client that takes no byte of what waits for it for this long is cut off. @default 10000 */
  readonly writeTimeoutMs: number
}

/** The defaults of {@link RelayLimits}; those on pings and the queue are `iroh-relay`'s. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = Object.freeze({
  maxConnections: 10_000,
  maxConnectionsPerAddress: 256,
  maxConnectionsPerId: 4,
  handshakeTimeoutMs: 10_000,
  queuePackets: 512,
  queueBytes: 8_388_608,
  totalQueueBytes: 268_435_456,
  pingIntervalMs: 15_000,
  pongTimeoutMs: 5_000,
  writeTimeoutMs: 10_000,
})

/** Who asks to be relayed. */
export interface RelayAccessRequest {
  /** The proven id. */
  readonly id: NodeId
  /** The token it brought, if any. */
  readonly token: string | undefined
  /** The address its connection comes from. */
  readonly remoteAddress: string
}

/** Decides on a client; a text is the reason of a refusal, and the client is told. */
export type RelayAccessCallback = (request: RelayAccessRequest) => boolean | string | Promise<boolean | string>

/** Node ids, in any form that `NodeId.parse` reads. */
export type RelayIds = Iterable<NodeId | string>

/** Who may use a relay: `deny` wins over `allow`, and with an `allow` nobody else may. */
export type RelayAccess = RelayAccessCallback | { readonly allow?: RelayIds; readonly deny?: RelayIds }

/** Who is let in: what is left out keeps nobody out. */
export interface RelayAdmission {
  /** Who may use it. @default everybody */
  readonly access?: RelayAccess | undefined
  /** With them a client needs one of these besides, as `Authorization: Bearer` or `?token=`. @default none */
  readonly tokens?: Iterable<string> | undefined
}

/** A bound on what a relay takes from one client. */
export interface RelayRateLimit {
  /** Bytes a second, in the long run. */
  readonly bytesPerSecond: number
  /** Bytes at once, after a pause. @default bytesPerSecond */
  readonly burstBytes?: number
}

/** A reflector that a relay tells its clients of; see `@moosicbox/p2p/reflector`. */
export interface RelayReflector {
  /** Its node id, in any form that `NodeId.parse` reads. */
  readonly id: NodeId | string
  /** Its UDP port, where clients reach this relay. Needed when there are no `addresses`. */
  readonly port?: number
  /** Its `ip:port` addresses, when it is elsewhere, or the relay's name leads to a proxy. */
  readonly addresses?: readonly string[]
}

/** What `RelayServer.start` takes. */
export interface RelayOptions extends RelayAdmission {
  /** The TCP port; 0 for any that is free. */
  readonly port: number
  /** The address to listen on. @default all */
  readonly host?: string
  /** With it the relay speaks https, else http. PEM. @default none */
  readonly tls?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array }
  /** @default none */
  readonly rateLimit?: RelayRateLimit
  /** @default DEFAULT_RELAY_LIMITS */
  readonly limits?: Partial<RelayLimits>
  /** Reflectors to tell clients of, at `GET /reflector`; at most 4. @default none */
  readonly reflectors?: readonly RelayReflector[]
  /** Whether `GET /metrics` is answered, to everybody. @default false */
  readonly metrics?: boolean
  /** The clock, for tests. @default this machine's */
  readonly runtime?: Runtime
}
