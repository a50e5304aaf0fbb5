/**
 * Where one node can be reached: the addresses that its socket is bound to, those at which relays see it, its home relay,
 * and who wants to hear when that changes.
 *
 * @module
 */
import { isSameList, P2PAddress } from '../core/address.ts'
import type { NodeId } from '../core/node-id.ts'
import { appended } from '../core/small-list.ts'
import type { DatagramSocket } from './datagrams.ts'

/** Addresses from which this node was seen; older ones are forgotten. */
const MAX_OBSERVED = 4

const NO_TEXTS: readonly string[] = Object.freeze([])

/** One who wants to hear; an object of its own, so that a listener given twice is called twice. */
class Watch implements Disposable {
  readonly #address: NodeAddress
  readonly listener: () => void

  constructor(address: NodeAddress, listener: () => void) {
    this.#address = address
    this.listener = listener
  }

  [Symbol.dispose](): void {
    this.#address.unwatch(this)
  }
}

const NO_WATCHES: readonly Watch[] = Object.freeze([])

/** The address; see the module's comment. */
export class NodeAddress {
  readonly #id: NodeId
  readonly #socket: DatagramSocket
  /** Where this node is seen from outside, by its relays. */
  #observed = NO_TEXTS
  /** What {@link current} has said last. */
  #known: P2PAddress | undefined
  #watches = NO_WATCHES

  constructor(id: NodeId, socket: DatagramSocket) {
    this.#id = id
    this.#socket = socket
  }

  /** The local addresses of its socket. */
  bound(): readonly string[] {
    const { localAddress, localAddresses = [localAddress] } = this.#socket
    return localAddresses.map((address) => address.toString())
  }

  /** Where peers may find this node without a relay. */
  candidates(): string[] {
    return [...this.bound(), ...this.#observed]
  }

  /** All of it, the same object as before when nothing has changed. */
  current(homeRelay: string | undefined): P2PAddress {
    const direct = this.candidates()
    const relays = homeRelay === undefined ? [] : [homeRelay]
    const known = this.#known
    if (known && isSameList(known.direct, direct) && isSameList(known.relays, relays)) return known
    return (this.#known = new P2PAddress(this.#id, direct, relays))
  }

  /** It is seen at `observed` from outside. Whether that is news. */
  observe(observed: string): boolean {
    if (this.candidates().includes(observed)) return false
    this.#observed = [...this.#observed, observed].slice(-MAX_OBSERVED)
    return true
  }

  /** It is somewhere else. */
  forgetObserved(): void {
    this.#observed = NO_TEXTS
  }

  /** Calls `listener` at each {@link changed}, until the result is disposed of. */
  watch(listener: () => void): Disposable {
    const watch = new Watch(this, listener)
    this.#watches = appended(this.#watches, watch)
    return watch
  }

  /** @internal */
  unwatch(watch: Watch): void {
    this.#watches = this.#watches.filter((other) => other !== watch)
  }

  /** Tells those who watch it. */
  changed(): void {
    for (const { listener } of this.#watches) listener()
  }
}
