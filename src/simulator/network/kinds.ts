/**
 * The numbers under which the network's events enter the history's hash, and the reasons why packets are dropped.
 *
 * @module
 */

/** The names of {@link NetworkKind}. */
export type NetworkKindName =
  | 'send'
  | 'deliver'
  | 'drop'
  | 'natMapping'
  | 'natFlush'
  | 'link'
  | 'unlink'
  | 'partition'
  | 'heal'
  | 'attach'
  | 'detach'
  | 'sendTcp'
  | 'deliverTcp'
  | 'nameRegister'
  | 'nameLookup'
  | 'nameAnswer'

/**
 * Kinds of audit records, 0x100..0x11f. Addresses are their index in the fabric's book, names their index in the graph
 * or the name service. The host is the one the packet belongs to at that moment.
 */
export const NetworkKind: Readonly<Record<NetworkKindName, number>> = Object.freeze({
  /** A socket sent a datagram: source, destination, bytes, packet number. */
  send: 0x100,
  /** A socket received a datagram: source, destination (as it sees them), bytes, packet number. */
  deliver: 0x101,
  /** A packet was dropped: source, destination, {@link DropCode}, packet number. The host is the sender. */
  drop: 0x102,
  /** A NAT opened a mapping: internal address, external address. */
  natMapping: 0x103,
  /** A NAT forgot all its mappings: how many. */
  natFlush: 0x104,
  /** A link was added or changed: from, to, whether it is active, latency in microseconds. */
  link: 0x105,
  /** A link was removed: from, to. */
  unlink: 0x106,
  /** A partition started: its number. */
  partition: 0x107,
  /** A partition healed: its number. */
  heal: 0x108,
  /** A host got an address: address, node. */
  attach: 0x109,
  /** A host gave up its address: address, node. */
  detach: 0x10a,
  /** As `send`, of TCP. */
  sendTcp: 0x10b,
  /** As `deliver`, of TCP. */
  deliverTcp: 0x10c,
  /** A name was registered or withdrawn: name, 1 or 0. */
  nameRegister: 0x110,
  /** A host asked for a name: name, 1 when its cache answered. */
  nameLookup: 0x111,
  /** The answer: name, 0 found, 1 unknown, 2 the service is down. */
  nameAnswer: 0x112,
})

/**
 * Why a packet was dropped.
 *
 * - `interface-down`, `no-host`, `no-port`: an interface is down; nobody has the address; nobody listens
 * - `no-route`, `link-down`, `partition`, `hop-limit`: no way through the graph
 * - `loss`, `queue-full`, `too-large`: a link lost it, had no room, or it is over the link's MTU
 * - `corrupted`: bits of a TCP segment were flipped; datagrams arrive marked
 * - `rule`: a rule said so
 * - `nat-unmapped`, `nat-filtered`, `nat-full`, `nat-hairpin`: no such mapping, the sender is not let in, no room for a
 *   mapping, no hairpinning
 * - `udp-blocked`, `firewall`: a firewall lets no UDP through, or nothing that was not asked for from inside
 */
export type DropReason =
  | 'interface-down'
  | 'no-host'
  | 'no-port'
  | 'no-route'
  | 'link-down'
  | 'loss'
  | 'queue-full'
  | 'too-large'
  | 'partition'
  | 'rule'
  | 'hop-limit'
  | 'nat-unmapped'
  | 'nat-filtered'
  | 'nat-full'
  | 'nat-hairpin'
  | 'udp-blocked'
  | 'corrupted'
  | 'firewall'

/** The reasons; the index of each is its {@link DropCode}. */
export const DROP_REASONS: readonly ('none' | DropReason)[] = Object.freeze([
  'none',
  'interface-down',
  'no-host',
  'no-port',
  'no-route',
  'link-down',
  'loss',
  'queue-full',
  'too-large',
  'partition',
  'rule',
  'hop-limit',
  'nat-unmapped',
  'nat-filtered',
  'nat-full',
  'nat-hairpin',
  'udp-blocked',
  'corrupted',
  'firewall',
])

/** A {@link DropReason} as a number above 0, its index in {@link DROP_REASONS}. */
export type DropCode = number

/** The {@link DropCode} of each reason, by name. */
export const Drop: Readonly<Record<DropReason, DropCode>> = Object.freeze(
  Object.fromEntries(DROP_REASONS.map((reason, code) => [reason, code])) as Record<DropReason, DropCode>,
)

/** How often each reason occurred; reasons that did not are left out. */
export type DropCounts = Readonly<Partial<Record<DropReason, number>>>

/** Counts drops by code. */
export class DropCounter {
  #counts: number[] | undefined

  add(code: DropCode): void {
    this.#counts ??= DROP_REASONS.map(() => 0)
    this.#counts[code] = (this.#counts[code] ?? 0) + 1
  }

  /** All of them. */
  get total(): number {
    return this.#counts?.reduce((sum, count) => sum + count, 0) ?? 0
  }

  /** Plain data, in the order of {@link DROP_REASONS}. */
  snapshot(): DropCounts {
    const counts: Partial<Record<DropReason, number>> = {}
    for (const [code, reason] of DROP_REASONS.entries()) {
      const count = this.#counts?.[code] ?? 0
      if (count > 0 && reason !== 'none') counts[reason] = count
    }
    return counts
  }
}
