/**
 * The shape of the module behind the import `#backend`. Which one that is, the export condition decides when the
 * program starts: the simulator by default, iroh with `node --conditions=iroh`. Only types: no code runs from here.
 *
 * @module
 */
import type { P2PAddress } from './address.ts'
import type { P2PConnection } from './connection.ts'
import type { NetworkReport } from './network-report.ts'
import type { NodeId } from './node-id.ts'
import type { Runtime } from './runtime.ts'
import type { WaitOptions } from './stream.ts'
import type {
  ConnectOptions,
  CreateOptions,
  ListenOptions,
  LookUpReport,
  P2PListener,
  P2PSystem,
  RegisterOptions,
} from './system.ts'

/** A node of the selected backend, as far as the contract goes; each backend's own class has more. */
export declare class BackendP2P implements P2PSystem<
  NodeId,
  P2PConnection<NodeId>,
  P2PListener<P2PConnection<NodeId>>
> {
  /** Whether its nodes are on the real network; then environment variables set them up. */
  static readonly network: 'real' | 'simulated'
  /** Creates a node of this class, or of the subclass it is called on. */
  static create<T>(this: new (init: never) => T, options?: CreateOptions): Promise<T>
  /** Nodes come from `create`. */
  constructor(init: never)
  readonly backend: string
  readonly runtime: Runtime
  localNodeId(): NodeId
  address(): P2PAddress
  connect(peer: NodeId | P2PAddress | string, options?: ConnectOptions): Promise<P2PConnection<NodeId>>
  listen(addr?: string, options?: ListenOptions): Promise<P2PListener<P2PConnection<NodeId>>>
  register(name: string, options?: RegisterOptions): Promise<void>
  discover(name: string, options?: WaitOptions): Promise<NodeId>
  lookUp(query: string | NodeId, options?: WaitOptions): Promise<LookUpReport>
  networkReport(options?: WaitOptions): Promise<NetworkReport>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
