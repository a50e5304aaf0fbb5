/**
 * What the contract suite needs of a backend and of a test runner, so that it imports neither.
 *
 * @module
 */
import type { P2PLimits } from '../../core/config.ts'
import type { NodeId } from '../../core/node-id.ts'
import type { CreateOptions, P2PSystem } from '../../core/system.ts'

/** The functions of a test runner: those of `vitest` and of `node:test` fit as they are. */
export interface ContractRunner {
  /** Groups tests under a title. */
  describe(title: string, body: () => void): unknown
  readonly test: {
    /** One test. */
    (title: string, body: () => Promise<void>): unknown
    /** One test that is reported and not run. */
    skip(title: string, body: () => Promise<void>): unknown
  }
}

/** Options of the nodes of one case. */
export type ContractNodeOptions = Pick<CreateOptions, 'limits'>

/** A network on which a case may create nodes. */
export interface ContractWorld {
  /**
   * Creates a node whose secret key is `testSigningKey(name)` and which every other node of this world can connect to
   * by its id alone. At most three at a time are asked for, named `a`, `b` and `c`. The suite closes them.
   */
  create(name: 'a' | 'b' | 'c', options?: ContractNodeOptions): Promise<P2PSystem<NodeId>>
}

/** How much of everything to do. */
export interface ContractScale {
  /** Runs of each property. */
  readonly runs: number
  /** The largest payload of one stream, in bytes. */
  readonly maxBytes: number
  /** Streams, messages or connections at a time where it is about many of them. */
  readonly many: number
  /** Bytes that are more than the windows of the transport hold for one stream that nobody reads. */
  readonly beyondWindowsBytes: number
  /** How late a time-out may be, in milliseconds; on a real machine by how long others keep it busy. @default 100 */
  readonly lateMs?: number | undefined
}

/** What the network between the nodes of a world is to be like. What is left out is as ever. */
export interface ContractConditions {
  /** The latency from each node to each other, one way, in milliseconds. */
  readonly latencyMs?: number | undefined
  /** The NATs that `a` and `b` are behind, each at home, by names from {@link ContractAbilities.nats}. */
  readonly nats?: readonly [string, string] | undefined
}

/** Which {@link ContractConditions} a backend can bring about. */
export interface ContractAbilities {
  /** Whether it can bring about latencies from 1 to 500 ms; a list is of those that are tried, where time is real. */
  readonly latency: boolean | readonly number[]
  /** The kinds of NATs it has. */
  readonly nats: readonly string[]
}

/** A backend under test. */
export interface ContractBackend {
  /** The title of its tests. */
  readonly name: string
  /**
   * Makes a fresh world, runs `body` in it (on a simulator in virtual time), and checks that nothing was left behind.
   * Rejects with the error of `body`.
   *
   * @param conditions of the network; only given where {@link abilities} says that they can be brought about
   */
  run(body: (world: ContractWorld) => Promise<void>, conditions?: ContractConditions): Promise<void>
  readonly scale: ContractScale
  /** Decides what the properties draw. @default 1 */
  readonly seed?: number | undefined
  /**
   * What kinds of network `run` can bring about. The cases of the group `conditions` belong to the suite of backends that
   * have this; to others they do not apply. @default none
   */
  readonly abilities?: ContractAbilities | undefined
  /** Cases, by name, that this backend cannot run, and why. They are reported as skipped, with the reason. */
  readonly skips?: Readonly<Record<string, string>> | undefined
}

/** Limits of the two nodes of a case. */
export interface ContractLimits {
  readonly a?: Partial<P2PLimits>
  readonly b?: Partial<P2PLimits>
}
