/**
 * What a trace holds: the records, their fields, and the bytes they are made of. Who writes one (the simulator) and who
 * reads one (exporters, a viewer) share this and nothing else. The format is told byte by byte in `docs/trace.md`.
 *
 * @module
 */

/**
 * The first bytes of a trace. As in PNG: not text, and damaged by whatever turns line ends into others.
 */
export const TRACE_MAGIC: readonly number[] = Object.freeze([0x89, 0x70, 0x32, 0x70, 0x74, 0x0d, 0x0a, 0x1a])

/** The version of the framing. New kinds of records and new fields at their ends do not change it. */
export const TRACE_VERSION = 1

/** The longest text in a record, in bytes of UTF-8; a longer one is cut by the writer. */
export const MAX_TRACE_TEXT_BYTES = 16_384
/** The most numbers in one list; a longer one is cut by the writer. */
export const MAX_TRACE_LIST = 1_024
/** The longest header, in bytes. */
export const MAX_TRACE_HEADER_BYTES = 1_048_576

/**
 * Names for the numbers of fields of type `e:…`; the header repeats them, so that a reader needs no table of its own.
 * `dropReason` is filled in by the writer.
 */
export const TRACE_ENUMS = {
  outcome: ['programs', 'time', 'idle', 'failed', 'until'],
  nodeType: ['host', 'router', 'core', 'name-server', 'relay'],
  direction: ['both', 'a-to-b'],
  protocol: ['udp', 'tcp'],
  role: ['client', 'server'],
  by: ['local', 'remote', 'transport'],
  route: ['direct', 'relay'],
  space: ['initial', 'handshake', 'data'],
  windowChange: ['loss', 'persistent-congestion', 'spurious-loss'],
  streamEnd: ['finished', 'reset', 'stopped'],
  programState: ['started', 'ended', 'failed', 'crashed'],
  nameEvent: ['registered', 'withdrawn', 'asked', 'found', 'unknown', 'unavailable'],
  relayEvent: ['attached', 'detached'],
} as const

/**
 * The kinds of records. A field is of one of these types:
 *
 * - `u`: a whole number from 0 to 2^53 - 1; `s`: a whole number that may be negative; `f`: any number
 * - `p`: the number of a packet, which the writer counts from 0
 * - `x`: a text; `l`: a list of whole numbers; `n`: a list of any numbers; `e:NAME`: one of the names of an enumeration
 *
 * `node`, `host`, `connection` and `address` refer to the record that introduced the number. Codes are never used twice.
 * New fields go to the end of a kind.
 */
export const TRACE_KINDS = {
  /** A run came to an end; there may be another one after it. A trace that ends otherwise was cut off. */
  ran: { code: 1, fields: { outcome: 'e:outcome', hash: 'x', events: 'u' } },
  /** The limit of bytes was reached: nothing more was recorded, but for the ends of runs. */
  cut: { code: 2, fields: { maxBytes: 'u' } },
  /** A run failed. */
  failed: { code: 3, fields: { text: 'x' } },

  /** A node of the network was added, or is now in another LAN. `lan` is 0, or 1 more than the LAN's node. */
  node: { code: 8, fields: { node: 'u', name: 'x', type: 'e:nodeType', lan: 'u' } },
  /** A node was removed. */
  nodeRemoved: { code: 9, fields: { node: 'u' } },
  /** A router stands between two of its nodes. The NAT's settings are '' without one, `ipv6` is `open`, `firewall` or ''. */
  router: {
    code: 10,
    fields: { inside: 'u', outside: 'u', name: 'x', mapping: 'x', filtering: 'x', ports: 'x', ipv6: 'x' },
  },
  /** A link was added or changed. `bitsPerSecond` is 0 without a limit; `loss` is the average. */
  link: {
    code: 11,
    fields: { from: 'u', to: 'u', active: 'u', latencyUs: 'u', jitterUs: 'u', loss: 'f', bitsPerSecond: 'u' },
  },
  /** A link was removed. */
  unlink: { code: 12, fields: { from: 'u', to: 'u' } },
  /** A host was added; `id` is the node id that its nodes have by default. */
  host: { code: 13, fields: { host: 'u', node: 'u', name: 'x', id: 'x' } },
  /** A host's interface, or a router's, got an address. `host` is -1 for routers. */
  attach: { code: 14, fields: { host: 's', node: 'u', ip: 'x' } },
  /** An interface gave up its address. */
  detach: { code: 15, fields: { host: 's', node: 'u', ip: 'x' } },
  /** `ip:port`, written before the first record that refers to it. */
  address: { code: 16, fields: { address: 'u', text: 'x' } },
  /** A partition began between two groups of nodes; without the second, between the first and every other host. */
  partition: { code: 17, fields: { partition: 'u', direction: 'e:direction', groupA: 'l', groupB: 'l' } },
  /** A partition was healed. */
  heal: { code: 18, fields: { partition: 'u' } },

  /** A socket sent a datagram of UDP, or a segment of TCP, of `bytes`. What is in it is told in `items`: see {@link TRACE_ITEMS}. */
  sent: {
    code: 24,
    fields: { packet: 'p', host: 'u', node: 'u', protocol: 'e:protocol', from: 'u', to: 'u', bytes: 'u', items: 'l' },
  },
  /** It enters a link in `inUs`, and comes out after `takesUs` more, unless `dropped` says otherwise. */
  hop: { code: 25, fields: { packet: 'p', from: 'u', to: 'u', inUs: 'u', takesUs: 'u' } },
  /** A router let it through, with another source or destination where it is a NAT. */
  translated: { code: 26, fields: { packet: 'p', node: 'u', from: 'u', to: 'u' } },
  /** A rule or a link made a copy of it, which has the same number. */
  copied: { code: 27, fields: { packet: 'p' } },
  /** A socket received it; `corrupted` is 1 where bits of it were flipped. */
  delivered: { code: 28, fields: { packet: 'p', host: 'u', from: 'u', to: 'u', corrupted: 'u' } },
  /** It was dropped at, or on the way from, `node`. */
  dropped: { code: 29, fields: { packet: 'p', reason: 'e:dropReason', node: 'u' } },
  /** A NAT opened a way out, or forwarded a port for good. */
  natMapping: { code: 30, fields: { protocol: 'e:protocol', inside: 'u', outside: 'u', forwarded: 'u' } },
  /** A NAT forgot all its mappings. */
  natFlush: { code: 31, fields: { nat: 'x' } },

  /** One side of a connection came to be. `connection` counts the sides. */
  connection: { code: 40, fields: { connection: 'u', host: 'u', role: 'e:role' } },
  /** Its handshake was done. */
  connected: { code: 41, fields: { connection: 'u', peer: 'x', alpn: 'x' } },
  /** It ended. */
  closed: { code: 42, fields: { connection: 'u', by: 'e:by', code: 'u', reason: 'x' } },
  /** A path was opened or changed; `selected` where data takes it. */
  path: { code: 43, fields: { connection: 'u', path: 'u', route: 'e:route', remote: 'x', open: 'u', selected: 'u' } },
  /** A path was given up. */
  pathClosed: { code: 44, fields: { connection: 'u', path: 'u' } },
  /** The congestion window of a path, with what is in flight and the smoothed round trip; recorded now and then. */
  window: { code: 45, fields: { connection: 'u', path: 'u', windowBytes: 'u', inFlightBytes: 'u', rttUs: 'u' } },
  /** A packet was taken for lost. `number` is the transport's. */
  lost: { code: 46, fields: { connection: 'u', path: 'u', space: 'e:space', number: 'u', bytes: 'u' } },
  /** No answer came in time: a probe is sent, the `count`th in a row. */
  probe: { code: 47, fields: { connection: 'u', path: 'u', count: 'u' } },
  /** A stream was opened. */
  stream: { code: 48, fields: { connection: 'u', stream: 'u', by: 'e:by' } },
  /** One direction of a stream ended; `by` says who ended it. */
  streamEnded: { code: 49, fields: { connection: 'u', stream: 'u', how: 'e:streamEnd', by: 'e:by', code: 'u' } },

  /** A congestion window was cut, or restored as nothing had been lost after all; the threshold of slow start is 0 before any loss. */
  windowSet: {
    code: 50,
    fields: { connection: 'u', path: 'u', windowBytes: 'u', thresholdBytes: 'u', why: 'e:windowChange' },
  },
  /** A path was found to carry larger datagrams, or only smaller ones any more. */
  mtu: { code: 51, fields: { connection: 'u', path: 'u', mtuBytes: 'u' } },

  /** A line of an application's log. `host` is -1 for the scenario's. */
  log: { code: 56, fields: { host: 's', text: 'x' } },
  /** An operation of the scenario ran. */
  operation: { code: 57, fields: { operation: 'u', text: 'x' } },
  /** A fault began (1) or ended (0); `details` is the fault as JSON. */
  fault: { code: 58, fields: { fault: 'x', began: 'u', details: 'x' } },
  /** A host's program began or ended. */
  program: { code: 59, fields: { host: 'u', state: 'e:programState' } },
  /** A name was registered, withdrawn, asked for or answered. `host` is -1 where it is nobody's. */
  name: { code: 60, fields: { host: 's', name: 'x', what: 'e:nameEvent' } },
  /** A node, by its id, attached to a relay or left it. */
  relay: { code: 61, fields: { host: 's', id: 'x', what: 'e:relayEvent' } },
  /** An event woke code of a host. */
  wake: { code: 62, fields: { host: 's' } },
  /** A record of the history as it enters the hash: its kind and numbers. Only when asked for. */
  event: { code: 63, fields: { event: 'u', host: 's', values: 'n' } },
} as const

/**
 * What can be in a datagram. The list `items` of `sent` is a row of these: the index of an item, how many numbers it has,
 * and those numbers, in the order given here. A packet is followed by its frames. A reader skips what it does not know.
 * `number` is the packet's; sizes and offsets are bytes; `code` is the application's or the transport's.
 */
export const TRACE_ITEMS: readonly (readonly [name: string, ...fields: readonly string[]])[] = Object.freeze([
  ['OTHER', 'bytes'],
  ['Initial', 'number', 'path', 'bytes'],
  ['Handshake', 'number', 'path', 'bytes'],
  ['Data', 'number', 'path', 'bytes'],
  ['PING'],
  ['ACK', 'largest', 'ranges', 'delayUs', 'path'],
  ['RESET_STREAM', 'stream', 'code', 'finalSize'],
  ['STOP_SENDING', 'stream', 'code'],
  ['CRYPTO', 'bytes'],
  ['STREAM', 'stream', 'offset', 'length', 'fin'],
  ['MAX_DATA', 'max'],
  ['MAX_STREAM_DATA', 'stream', 'max'],
  ['MAX_STREAMS', 'bidi', 'max'],
  ['PATH_CHALLENGE'],
  ['PATH_RESPONSE'],
  ['CONNECTION_CLOSE', 'application', 'code'],
  ['HANDSHAKE_DONE'],
  ['IMMEDIATE_ACK'],
  ['PATH_ABANDON', 'path'],
  ['ADD_ADDRESS', 'sequence'],
  ['REACH_OUT', 'round'],
  ['DATAGRAM', 'length'],
  ['TCP', 'sequence', 'acknowledgement', 'syn', 'fin', 'length'],
  ['Relay', 'message'],
  ['StatelessReset', 'bytes'],
])

/** Indices of {@link TRACE_ITEMS} by name. */
export const TraceItem: Readonly<Record<string, number>> = Object.freeze(
  Object.fromEntries(TRACE_ITEMS.map(([name], index) => [name, index])),
)

/** What a relay and its nodes say to each other: the number of the item `Relay`. */
export const TRACE_RELAY_MESSAGES: readonly string[] = Object.freeze([
  'other',
  'hello',
  'challenge',
  'proof',
  'accepted',
  'ping',
  'pong',
  'packet',
  'detach',
  'unknown',
  'upgrade',
  'denied',
  'status',
  'address-probe',
  'address-report',
])

/** The names of {@link TRACE_KINDS}. */
export type TraceKind = keyof typeof TRACE_KINDS

type EnumName = keyof typeof TRACE_ENUMS
type FieldValue<Type> = Type extends 'x'
  ? string
  : Type extends 'l' | 'n'
    ? readonly number[]
    : Type extends `e:${infer Name}`
      ? Name extends EnumName
        ? (typeof TRACE_ENUMS)[Name][number]
        : string
      : number

/** The fields of a kind of records. */
export type TraceFields<Kind extends TraceKind> = {
  readonly [Name in keyof (typeof TRACE_KINDS)[Kind]['fields']]: FieldValue<(typeof TRACE_KINDS)[Kind]['fields'][Name]>
}

/** A record as it is read: its kind, when it happened (whole virtual microseconds), and its fields. */
export type TraceRecordOf<Kind extends TraceKind> = { readonly kind: Kind; readonly timeUs: number } & TraceFields<Kind>

/** Any record. A file of a newer version may have kinds that are not listed here: `default` must do nothing. */
export type TraceRecord = { readonly [Kind in TraceKind]: TraceRecordOf<Kind> }[TraceKind]

/** A kind of records as the header describes it: code, name, and fields as `name:type`. */
export type TraceKindHeader = readonly [code: number, name: string, ...fields: readonly string[]]

/** A trace's header. */
export interface TraceHeader {
  readonly version: number
  /** The seed of the simulation. */
  readonly seed: bigint
  /** The version of Node that ran it, as `process.version`. */
  readonly node: string
  /** Unix milliseconds at virtual time 0. */
  readonly epochMs: number
  readonly kinds: readonly TraceKindHeader[]
  readonly enums: Readonly<Record<string, readonly string[]>>
  readonly items: readonly (readonly [name: string, ...fields: readonly string[]])[]
  readonly relayMessages: readonly string[]
}

/** {@link TRACE_KINDS} as headers describe them. */
export function traceKindHeaders(): TraceKindHeader[] {
  const headers: TraceKindHeader[] = []
  for (const [name, { code, fields }] of Object.entries(TRACE_KINDS)) {
    headers.push([code, name, ...Object.entries(fields).map(([field, type]) => `${field}:${type}`)])
  }
  return headers
}

/** What is in a datagram, by the items of a `sent` record, in words: `Data #4: ACK largest=3, STREAM stream=0 …`. */
export function describeItems(items: readonly number[], header: Pick<TraceHeader, 'items' | 'relayMessages'>): string {
  const words: string[] = []
  for (let at = 0; at + 1 < items.length;) {
    const [name, ...fields] = header.items[items[at] as number] ?? ['?']
    const count = items[at + 1] as number
    const values = items.slice(at + 2, at + 2 + count)
    at += 2 + count
    if (name === 'Relay') {
      words.push(`Relay ${header.relayMessages[values[0] as number] ?? '?'}`)
      continue
    }
    const told = values.map((value, i) => ` ${fields[i] ?? '?'}=${value}`)
    words.push(fields[0] === 'number' ? `${name} #${values[0]}` : `${name}${told.join('')}`)
  }
  return words.join(', ')
}
