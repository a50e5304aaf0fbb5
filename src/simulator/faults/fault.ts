/**
 * Faults as plain JSON data: what happens, to whom, when, and for how long. A list of them is half of a run; the other
 * half is its seed.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'

/** What all faults have: when it begins, in virtual milliseconds. */
interface At {
  readonly atMs: number
}

/** A fault that may last for ever. */
interface Lasting extends At {
  /** How long it lasts, in milliseconds; to the end of the run, or until all is healed, when left out. */
  readonly forMs?: number | undefined
}

/** Cuts `a` off from `b`, both ways; without `b`, from every other host. Names of hosts and LANs. */
export interface PartitionFault extends Lasting {
  readonly kind: 'partition'
  readonly a: readonly string[]
  readonly b?: readonly string[] | undefined
}

/** Drops what `from` sends to `to`; the other way is open. */
export interface OneWayPartitionFault extends Lasting {
  readonly kind: 'one-way-partition'
  readonly from: readonly string[]
  readonly to: readonly string[]
}

/** A host loses its power, and has it back after `forMs`. Nothing happens to one whose program has ended. */
export interface CrashFault extends Lasting {
  readonly kind: 'crash'
  readonly host: string
  /** @default 'kept', but for what was not synced */
  readonly disk?: 'kept' | 'lost' | undefined
}

/** A host loses its power for an instant; one that is off is switched on. */
export interface RestartFault extends At {
  readonly kind: 'restart'
  readonly host: string
  readonly disk?: 'kept' | 'lost' | undefined
}

/** A host stands still, as a suspended laptop. */
export interface PauseFault extends At {
  readonly kind: 'pause'
  readonly forMs: number
  readonly host: string
}

/** Every timer and packet takes `eventMs` of a host's processor. */
export interface SlowFault extends Lasting {
  readonly kind: 'slow'
  readonly host: string
  readonly eventMs: number
}

/** A line goes down for `downMs` and up for `upMs`, again and again. */
export interface LinkFlapFault extends At {
  readonly kind: 'link-flap'
  readonly forMs: number
  /** A host or LAN, for both directions of its line; or `from>to` for one link. */
  readonly line: string
  readonly downMs: number
  readonly upMs: number
}

/** A line becomes worse than it is. Probabilities are of each packet. */
export interface LinkDegradeFault extends Lasting {
  readonly kind: 'link-degrade'
  readonly line: string
  readonly addLatencyMs?: number | undefined
  readonly loss?: number | undefined
  readonly duplicate?: number | undefined
  /** Probability that a packet is 20 ms late, so that others overtake it. */
  readonly reorder?: number | undefined
  readonly corrupt?: number | undefined
  readonly rateBitsPerSecond?: number | undefined
}

/** The NAT of a LAN forgets its mappings and chooses other ports, or gets another `address`. */
export interface NatRebindFault extends At {
  readonly kind: 'nat-rebind'
  readonly lan: string
  /** @default false */
  readonly address?: boolean | undefined
}

/** The NAT of a LAN forgets its mappings before their time. */
export interface MappingExpiryFault extends At {
  readonly kind: 'mapping-expiry'
  readonly lan: string
}

/** A relay loses its power. */
export interface RelayCrashFault extends Lasting {
  readonly kind: 'relay-crash'
  /** @default the relay that nodes use unless told otherwise */
  readonly relay?: string | undefined
}

/** Names cannot be looked up or registered. */
export interface NameOutageFault extends Lasting {
  readonly kind: 'name-outage'
}

/** A host's wall clock is set, forwards or backwards. */
export interface ClockJumpFault extends At {
  readonly kind: 'clock-jump'
  readonly host: string
  readonly byMs: number
}

/** A host gets another address: in the same network, in another `lan`, or on the public internet (`lan: 'public'`). */
export interface AddressChangeFault extends At {
  readonly kind: 'address-change'
  readonly host: string
  readonly lan?: string | undefined
}

/** What can go wrong. */
export type Fault =
  | PartitionFault
  | OneWayPartitionFault
  | CrashFault
  | RestartFault
  | PauseFault
  | SlowFault
  | LinkFlapFault
  | LinkDegradeFault
  | NatRebindFault
  | MappingExpiryFault
  | RelayCrashFault
  | NameOutageFault
  | ClockJumpFault
  | AddressChangeFault

/** The kinds of {@link Fault}. */
export type FaultKind = Fault['kind']

/** What a field of a fault may be. */
type FaultField =
  | { readonly type: 'time'; readonly optional: boolean }
  | { readonly type: 'number'; readonly min: number; readonly max: number; readonly optional: boolean }
  | { readonly type: 'probability'; readonly optional: boolean }
  | { readonly type: 'name' | 'names' | 'flag' | 'disk'; readonly optional: boolean }

const TIME: FaultField = { type: 'time', optional: false }
const LASTS: FaultField = { type: 'time', optional: true }
const NAME: FaultField = { type: 'name', optional: false }
const NAME_IF_ANY: FaultField = { type: 'name', optional: true }
const NAMES: FaultField = { type: 'names', optional: false }
const DISK: FaultField = { type: 'disk', optional: true }
const PROBABILITY: FaultField = { type: 'probability', optional: true }
/** A day. Longer than any story worth telling. */
const MAX_MS = 86_400_000

function span(min: number, max: number = MAX_MS, optional: boolean = false): FaultField {
  return { type: 'number', min, max, optional }
}

/** The fields of each kind besides `kind` and `atMs`. */
const FAULT_FIELDS: Readonly<Record<FaultKind, Readonly<Record<string, FaultField>>>> = Object.freeze({
  partition: { forMs: LASTS, a: NAMES, b: { type: 'names', optional: true } },
  'one-way-partition': { forMs: LASTS, from: NAMES, to: NAMES },
  crash: { forMs: LASTS, host: NAME, disk: DISK },
  restart: { host: NAME, disk: DISK },
  pause: { forMs: TIME, host: NAME },
  slow: { forMs: LASTS, host: NAME, eventMs: span(0.001, 10_000) },
  'link-flap': { forMs: TIME, line: NAME, downMs: span(1), upMs: span(1) },
  'link-degrade': {
    forMs: LASTS,
    line: NAME,
    addLatencyMs: span(0, 600_000, true),
    loss: PROBABILITY,
    duplicate: PROBABILITY,
    reorder: PROBABILITY,
    corrupt: PROBABILITY,
    rateBitsPerSecond: span(1000, 1_000_000_000_000, true),
  },
  'nat-rebind': { lan: NAME, address: { type: 'flag', optional: true } },
  'mapping-expiry': { lan: NAME },
  'relay-crash': { forMs: LASTS, relay: NAME_IF_ANY },
  'name-outage': { forMs: LASTS },
  'clock-jump': { host: NAME, byMs: span(-MAX_MS * 3650, MAX_MS * 3650) },
  'address-change': { host: NAME, lan: NAME_IF_ANY },
})

/** All kinds of faults. */
export const FAULT_KINDS: readonly FaultKind[] = Object.freeze(Object.keys(FAULT_FIELDS) as FaultKind[])

function checkField(field: FaultField, value: unknown, where: string): void {
  if (value === undefined) {
    if (field.optional) return
    throw invalidConfiguration(where, value, 'is missing')
  }
  const isNumber = typeof value === 'number' && Number.isFinite(value)
  switch (field.type) {
    case 'time':
      if (isNumber && value >= 0 && value <= MAX_MS * 365) return
      throw invalidConfiguration(where, value, 'must be virtual milliseconds of at least 0')
    case 'number':
      if (isNumber && value >= field.min && value <= field.max) return
      throw invalidConfiguration(where, value, `must be a number from ${field.min} to ${field.max}`)
    case 'probability':
      if (isNumber && value >= 0 && value <= 1) return
      throw invalidConfiguration(where, value, 'must be a probability from 0 to 1')
    case 'name':
      if (typeof value === 'string' && value !== '') return
      throw invalidConfiguration(where, value, 'must be a name')
    case 'names':
      if (Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string' && name)) return
      throw invalidConfiguration(where, value, 'must be a list of at least one name')
    case 'flag':
      if (typeof value === 'boolean') return
      throw invalidConfiguration(where, value, 'must be true or false')
    case 'disk':
      if (value === 'kept' || value === 'lost') return
      throw invalidConfiguration(where, value, "must be 'kept' or 'lost'")
  }
}

/**
 * Checks that `value` is a fault, as what was read from a file may be anything; whether its hosts exist is found out
 * when it is injected.
 *
 * @param where names it in errors. @default 'fault'
 * @throws P2PError `invalid-configuration` for an unknown kind or field, a missing field, a value out of range
 */
export function checkFault(value: unknown, where: string = 'fault'): Fault {
  if (typeof value !== 'object' || value === null) {
    throw invalidConfiguration(where, value, 'must be an object such as { kind: "crash", atMs: 1000, host: "alice" }')
  }
  const record = value as Readonly<Record<string, unknown>>
  const { kind } = record
  if (typeof kind !== 'string' || !Object.hasOwn(FAULT_FIELDS, kind)) {
    throw invalidConfiguration(`${where}.kind`, kind, `there is no such fault; known are ${FAULT_KINDS.join(', ')}`)
  }
  const fields = FAULT_FIELDS[kind as FaultKind]
  checkField(TIME, record['atMs'], `${where}.atMs`)
  for (const [name, field] of Object.entries(fields)) checkField(field, record[name], `${where}.${name}`)
  for (const name of Object.keys(record)) {
    if (name === 'kind' || name === 'atMs' || Object.hasOwn(fields, name)) continue
    const known = ['kind', 'atMs', ...Object.keys(fields)].join(', ')
    throw invalidConfiguration(`${where}.${name}`, record[name], `${kind} has no such field; known are ${known}`)
  }
  return value as Fault
}

/** A fault in one line, for stories: `crash bob for 3 s`. Its time is left out. */
export function describeFault(fault: Fault): string {
  const lasting = 'forMs' in fault && fault.forMs !== undefined ? ` for ${seconds(fault.forMs)}` : ''
  const disk = 'disk' in fault && fault.disk === 'lost' ? ', its disk lost' : ''
  switch (fault.kind) {
    case 'partition':
      return `partition ${fault.a.join(', ')} | ${fault.b?.join(', ') ?? 'all others'}${lasting}`
    case 'one-way-partition':
      return `one-way partition ${fault.from.join(', ')} -/-> ${fault.to.join(', ')}${lasting}`
    case 'crash':
      return `crash ${fault.host}${lasting}${disk}`
    case 'restart':
      return `restart ${fault.host}${disk}`
    case 'pause':
      return `pause ${fault.host}${lasting}`
    case 'slow':
      return `slow ${fault.host}: ${fault.eventMs} ms an event${lasting}`
    case 'link-flap':
      return `flap of ${fault.line}: ${seconds(fault.downMs)} down, ${seconds(fault.upMs)} up${lasting}`
    case 'link-degrade': {
      const { kind: _kind, atMs: _at, forMs: _for, line, ...knobs } = fault
      const parts = Object.entries(knobs).map(([name, value]) => `${name} ${value}`)
      return `degrade ${line}: ${parts.join(', ')}${lasting}`
    }
    case 'nat-rebind':
      return `NAT of ${fault.lan} rebinds to ${fault.address === true ? 'another address' : 'other ports'}`
    case 'mapping-expiry':
      return `NAT of ${fault.lan} forgets its mappings`
    case 'relay-crash':
      return `crash of ${fault.relay ?? 'the relay'}${lasting}`
    case 'name-outage':
      return `no names${lasting}`
    case 'clock-jump':
      return `clock of ${fault.host} jumps by ${seconds(fault.byMs)}`
    case 'address-change':
      return `${fault.host} moves to another address${fault.lan === undefined ? '' : ` in ${fault.lan}`}`
  }
}

/** `1.5 s`, `20 ms`. */
export function seconds(ms: number): string {
  return Math.abs(ms) < 1000 ? `${Math.round(ms * 1000) / 1000} ms` : `${Math.round(ms) / 1000} s`
}
