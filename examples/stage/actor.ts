/**
 * What an application of these examples stands on: a node, a clock, and a place for files. The applications know nothing
 * else, and so run in a simulation and on iroh unchanged.
 *
 * @module
 */
import type { DefaultP2P, Runtime, SigningKey } from '@moosicbox/p2p'

/** Files that survive. Names have no folders. */
export interface Store {
  /** The content of a file, or a part of it; undefined when there is none of this name. */
  read(name: string, position?: number, maxBytes?: number): Promise<Uint8Array | undefined>
  /** Gives a file this content. Once it resolves a crash loses nothing; before, there is the old content or the new. */
  replace(name: string, bytes: Uint8Array): Promise<void>
  /** Adds to the end of a file. Once it resolves a crash loses nothing; before, any first part of it may be there. */
  append(name: string, bytes: Uint8Array): Promise<void>
  /** Writes into a file. A crash may lose any part of it until `sync` has resolved. */
  writeAt(name: string, position: number, bytes: Uint8Array): Promise<void>
  /** Once it resolves a crash loses nothing that was written. */
  sync(name: string): Promise<void>
  /** Gives a file another name, in place of a file that had it. Once it resolves a crash does not undo it. */
  rename(from: string, to: string): Promise<void>
}

/** Somebody with a device. */
export interface Actor {
  readonly name: string
  /** The identity of its nodes. */
  readonly key: SigningKey
  readonly runtime: Runtime
  readonly store: Store
  /** Makes a node. */
  create(): Promise<DefaultP2P>
  /** Tells the audience. */
  log(text: string): void
}

/** What somebody does. */
export type Part = (actor: Actor) => Promise<void>
