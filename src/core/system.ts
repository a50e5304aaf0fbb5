/**
 * The node: connects, listens, and finds others by name.
 *
 * @module
 */
import type { P2PAddress } from './address.ts'
import type { P2PLimits } from './config.ts'
import type { P2PConnection, StreamKind } from './connection.ts'
import type { P2PError } from './errors.ts'
import type { SigningKey } from './keys.ts'
import type { NetworkReport } from './network-report.ts'
import type { P2PNodeId } from './node-id.ts'
import type { Runtime } from './runtime.ts'
import type { WaitOptions } from './stream.ts'

/** The protocol of this library, version 1 (`docs/wire.md`). */
export const P2P_ALPN = 'moosicbox/p2p/1'

/**
 * Decides whether a peer may connect with a protocol, before any of its streams is seen. Anything but true refuses it:
 * false, an error, and no answer within `limits.authorizeTimeoutMs`. `options.signal` fires when the answer is of no use
 * any more.
 */
export type Authorize = (
  peer: P2PNodeId,
  alpn: string,
  options: { readonly signal: AbortSignal },
) => boolean | Promise<boolean>

/** Options of {@link P2PSystem.connect}. */
export interface ConnectOptions extends WaitOptions {
  /** The protocol to speak. @default P2P_ALPN */
  readonly alpn?: string | undefined
  /** @default limits.connectTimeoutMs */
  readonly timeoutMs?: number | undefined
  /**
   * Whether the connection may be there before its handshake is complete (0-RTT): when this node has been connected to
   * the peer before, through the native door to iroh, and not since either of them began. Nothing is sent early but
   * streams that are opened with `early`; everything else waits. What goes wrong with the handshake comes as
   * `connection-closed` then. Other backends leave it at that (`docs/security.md`). @default false
   */
  readonly earlyData?: boolean | undefined
}

/** Options of {@link P2PSystem.listen}. */
export interface ListenOptions {
  /** The protocols to accept. @default [P2P_ALPN] */
  readonly alpns?: readonly string[] | undefined
  /** Who may connect. @default 'everyone' */
  readonly authorize?: Authorize | 'everyone' | undefined
  /**
   * What this listener takes from connections of our own protocol: `stream` (which includes messages), `request`, or
   * both. Two listeners may share the protocol when they take different kinds. @default ['stream']
   */
  readonly kinds?: readonly StreamKind[] | undefined
  /**
   * Whether connections are accepted before their handshake is complete, when the peer has resumed a session. Of what
   * comes early requests alone are handed on, and whoever has recorded them can send them once more; `authorize` is asked
   * before, with the peer's id. It counts when all listeners of the protocol say so. @default false
   */
  readonly earlyData?: boolean | undefined
}

/** Accepts connections. */
export interface P2PListener<Connection extends P2PConnection> extends AsyncIterable<Connection>, AsyncDisposable {
  /**
   * The next connection.
   *
   * @throws P2PError `connection-closed` when the listener is closed, `aborted`
   */
  accept(options?: WaitOptions): Promise<Connection>
  /** An address that it was bound to. */
  localAddr(): string
  /** Stops listening; connections already accepted live on, those waiting are refused. */
  close(): void
}

/** A source of addresses for names and ids. */
export interface P2PDiscovery {
  /** For messages: `static`, `mdns`, … */
  readonly name: string
  /** The address known for a name, or undefined. */
  resolveName(name: string, options?: WaitOptions): Promise<P2PAddress | undefined>
  /** The address known for an id, or undefined. */
  resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined>
  /** Makes this node known under a name; undefined where the source cannot. */
  publish?(name: string, address: P2PAddress, options?: RegisterOptions): Promise<void>
  /**
   * Keeps known where a node that listens can be reached, by its id, until the result is disposed of; undefined where
   * the source does not. Called once by each node that has this source.
   */
  announce?(node: AnnouncedNode): AsyncDisposable | undefined
  /**
   * Called once by each node that has this source, when the node is created; the node disposes of the result when it is
   * closed. A source may keep sockets and what it has learnt for as long as a node has it, and no longer.
   */
  attach?(node: AnnouncedNode): AsyncDisposable
}

/** A node as its sources of addresses see it, when they make it known. */
export interface AnnouncedNode {
  readonly id: P2PNodeId
  readonly runtime: Runtime
  /** Where it can be reached now. */
  address(): P2PAddress
  /** Calls `listener` when that has changed. */
  onAddressChange(listener: () => void): Disposable
  /** The node's signature of `message`. */
  sign(message: Uint8Array): Uint8Array
  /** Tells the node that it was made known, or why not. */
  onPublished(error: unknown): void
}

/** What one source said in a look-up. */
export interface SourceReport {
  /** Its name. */
  readonly source: string
  /** How long it took, in milliseconds. */
  readonly tookMs: number
  /** What it knew. */
  readonly address: P2PAddress | undefined
  /** Why it could not say. */
  readonly error: P2PError | undefined
}

/** Who knew what; see {@link P2PSystem.lookUp}. */
export interface LookUpReport {
  /** The name, or the id. */
  readonly query: string
  /** The answer that counts: that of the first source, in their order, that knew one. */
  readonly address: P2PAddress | undefined
  /** In the order of the sources. */
  readonly sources: readonly SourceReport[]
}

/** Options of {@link P2PSystem.register}. */
export interface RegisterOptions extends WaitOptions {
  /** How long others may remember the name. Defaults to the backend's own time to live. */
  readonly ttlMs?: number | undefined
}

/** A relay, with what it asks of its clients. */
export interface P2PRelay {
  /** Its `http(s)` URL. A `?token=` in it is taken for the token, so that no address of this node shows it. */
  readonly url: string
  /** The token that it asks for, which is sent as `Authorization: Bearer`. The simulator uses none. @default none */
  readonly token?: string | undefined
  /** The UDP port of its QUIC address discovery; 0 for none. @default 7842 with https, none with http */
  readonly quicPort?: number | undefined
}

/** Which relays to be reachable through: the backend's own, none, or these. */
export type RelaySetting = 'default' | 'disabled' | readonly (string | P2PRelay)[]

/** Options of every backend's `create`. */
export interface CreateOptions {
  /** The node's identity. @default a new one, or the simulated host's own */
  readonly secretKey?: SigningKey | undefined
  /** Bounds, on top of the defaults. */
  readonly limits?: Partial<P2PLimits> | undefined
  /** Sources of names and addresses, asked in this order, before the backend's own. @default none */
  readonly discovery?: readonly P2PDiscovery[] | undefined
  /**
   * Relays to be reachable through: the backend's `default` ones, none (`disabled`), or these, by their URLs or with a
   * token each; of several the nearest is used. On iroh `disabled` together with loopback addresses in `bind` keeps iroh on this machine, but for one packet (`docs/security.md`).
   * @default 'default'
   */
  readonly relay?: RelaySetting | undefined
  /**
   * Local `ip:port` addresses to bind, port 0 for any. On iroh addresses of one family alone bind the loopback address
   * of the other as well, rather than all its interfaces (`IrohOptions`). The simulator checks them and uses none: a
   * simulated host has the addresses that its network gives it. @default all interfaces, any port
   */
  readonly bind?: readonly string[] | undefined
}

/** A node of the network, whichever backend carries it. */
export interface P2PSystem<
  NodeId extends P2PNodeId = P2PNodeId,
  Connection extends P2PConnection<NodeId> = P2PConnection<NodeId>,
  Listener extends P2PListener<Connection> = P2PListener<Connection>,
> extends AsyncDisposable {
  /** `simulator`, `iroh (official)` or `iroh (native)`. */
  readonly backend: string
  /** Clock, timers, randomness and files of this node. */
  readonly runtime: Runtime
  /** This node's id. */
  localNodeId(): NodeId
  /** Where this node can be reached; `address().toTicket()` is the text to hand to others. */
  address(): P2PAddress
  /**
   * Connects to a node id, an address, or the text of either (an id in any form, or a ticket).
   *
   * @throws P2PError `refused`, `self-connect`, `timeout`, `no-route`, `node-not-found`, `invalid-node-id`,
   * `connection-failed`, `aborted`
   */
  connect(peer: NodeId | P2PAddress | string, options?: ConnectOptions): Promise<Connection>
  /**
   * Starts accepting connections.
   *
   * @param addr '' or an address that was bound when the node was created
   * @throws P2PError `already-listening`, `invalid-configuration`
   */
  listen(addr?: string, options?: ListenOptions): Promise<Listener>
  /**
   * Makes this node known under `name` through every source that can; it waits for all of them, and those that have it
   * keep it when another fails.
   *
   * @throws P2PError `unsupported` when no discovery source can publish, `discovery-failed`, `invalid-configuration` when
   * a source takes no such name, `aborted`
   */
  register(name: string, options?: RegisterOptions): Promise<void>
  /**
   * The id behind a name.
   *
   * @throws P2PError `node-not-found`, `discovery-failed`, `aborted`
   */
  discover(name: string, options?: WaitOptions): Promise<NodeId>
  /**
   * Asks every source for a name or an id, and tells what each has said; for diagnosis. A text is taken for a name
   * unless it is an id in one of its forms.
   *
   * @throws P2PError `aborted`
   */
  lookUp(query: string | NodeId, options?: WaitOptions): Promise<LookUpReport>
  /**
   * What this node knows about its network, after asking relays and reflectors where the backend has them: its addresses,
   * the kind of its NAT, whether UDP gets through, relays and how far they are. It takes up to 6 s when some do not answer.
   *
   * @throws P2PError `aborted`
   */
  networkReport(options?: WaitOptions): Promise<NetworkReport>
  /** Ends every connection gracefully, within bounds, and frees the node's sockets. */
  close(): Promise<void>
}
