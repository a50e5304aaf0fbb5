/**
 * The packets of iroh's mDNS: DNS messages about the service `_irohv1._udp.local`, where an instance is a node and its
 * first label the node's id in base32.
 *
 * Two forms of answers are in the field. The one that is written here has PTR, SRV and, where there is something to
 * say, TXT records among the answers, addresses among the additional ones, and a time to live of 120 s. Older nodes
 * leave the PTR record out and set every time to live to 0, which in mDNS is a goodbye: so here a node says goodbye by
 * a PTR record of 0 s, which nodes of iroh pass over, whichever form they know.
 *
 * @module
 */
import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet'
import type { Answer, DecodedPacket, Packet, Question } from 'dns-packet'
import { parseSocketAddress, withPort } from '../../core/address.ts'
import { BASE32, copyBytes, decodeBase32, encodeBase32 } from '../../core/encoding.ts'
import { NodeId } from '../../core/node-id.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import { MAX_USER_DATA_BYTES } from '../node-record.ts'

/** What a node says of itself on the local network. */
export interface LocalRecord {
  readonly id: NodeId
  /** `ip:port` pairs. */
  readonly direct: readonly string[]
  /** One relay, as iroh tells no more. */
  readonly relay: string | undefined
  readonly userData: string | undefined
}

/** What somebody has said of a node: what it is, or, without a record, that it leaves. */
export interface Sighting {
  readonly id: NodeId
  readonly record: LocalRecord | undefined
  /** How long it may be believed. */
  readonly ttlMs: number
}

/** What a packet asks for. */
export interface Asked {
  /** Somebody: iroh's nodes take turns in answering, two to each question. */
  readonly turn: boolean
  /** All nodes of this library. */
  readonly everyone: boolean
  /** The service types that are on this network. */
  readonly types: boolean
  /** These nodes, by their labels. */
  readonly labels: ReadonlySet<string>
  /** The labels of nodes that the asker knows already. */
  readonly known: ReadonlySet<string>
}

/** What there is to a packet. */
export interface Heard {
  readonly asked: Asked | undefined
  readonly sightings: readonly Sighting[]
}

const SERVICE = '_irohv1._udp.local'
const TYPES = '_services._dns-sd._udp.local'
/** RFC 6763, 7.1: nodes of this library, all of whom answer when they are asked for. Nodes of iroh pass it over. */
const SUBTYPE = `_p2p._sub.${SERVICE}`
const LABEL_LENGTH = 52
/** RFC 6762, 17: what a packet may have at all. */
const MAX_PACKET_BYTES = 9_000
/** What fits a frame of Ethernet behind the headers of IPv6; iroh's nodes read up to 1472 bytes. */
const MAX_WRITTEN_BYTES = 1_400
/** RFC 6762, 10. */
export const RECORD_TTL_SECONDS = 120
const MAX_TTL_SECONDS = 3_600
/** iroh drops longer ones, as they would not fit a string of a TXT record. */
const MAX_RELAY_BYTES = 249
const MAX_SIGHTINGS = 16
const MAX_ADDRESSES = 16
const MAX_LABELS = 8
const NOTHING: Heard = { asked: undefined, sightings: [] }

/** The first label of a node's instance. */
export function labelOf(id: P2PNodeId): string {
  return encodeBase32(id.asBytes(), BASE32)
}

/**
 * Asks who is there.
 *
 * @param everyone whether all nodes of this library are to answer
 * @param labels nodes that are to answer in any case, if they are of this library; eight at most
 */
export function encodeQuery(everyone: boolean = true, labels: readonly string[] = []): Uint8Array {
  const questions: Question[] = [
    { type: 'PTR', name: SERVICE, class: 'IN' },
    ...(everyone ? [{ type: 'PTR', name: SUBTYPE, class: 'IN' } as const] : []),
    ...labels
      .slice(0, MAX_LABELS)
      .map((label): Question => ({ type: 'SRV', name: `${label}.${SERVICE}`, class: 'IN' })),
  ]
  return copyBytes(encode({ type: 'query', id: 0, questions }))
}

/** Says which service types there are here. */
export function encodeTypes(): Uint8Array {
  return copyBytes(encode(response([{ type: 'PTR', name: TYPES, ttl: RECORD_TTL_SECONDS, data: SERVICE }])))
}

/** Says that a node leaves. */
export function encodeGoodbye(id: P2PNodeId): Uint8Array {
  return copyBytes(encode(response([{ type: 'PTR', name: SERVICE, ttl: 0, data: `${labelOf(id)}.${SERVICE}` }])))
}

/** Says where a node is; addresses that do not fit are left out, the last ones first. */
export function encodeRecord(record: LocalRecord, ttlSeconds: number = RECORD_TTL_SECONDS): Uint8Array {
  const direct = [...record.direct]
  for (;;) {
    const packet = copyBytes(encode(describe({ ...record, direct }, ttlSeconds)))
    if (packet.length <= MAX_WRITTEN_BYTES || direct.length === 0) return packet
    direct.pop()
  }
}

function response(answers: Answer[], additionals: Answer[] = []): Packet {
  return { type: 'response', id: 0, flags: AUTHORITATIVE_ANSWER, answers, additionals }
}

function describe({ id, direct, relay, userData }: LocalRecord, ttl: number): Packet {
  const label = labelOf(id)
  const instance = `${label}.${SERVICE}`
  const answers: Answer[] = [{ type: 'PTR', name: SERVICE, ttl, data: instance }]
  const additionals: Answer[] = []
  const ports = new Set<number>()
  for (const address of direct) {
    const colon = address.lastIndexOf(':')
    const port = Number(address.slice(colon + 1))
    const ip = address.slice(0, colon)
    const target = `${label}-${port}.local`
    if (!ports.has(port)) answers.push({ type: 'SRV', name: instance, ttl, data: { port, target } })
    ports.add(port)
    if (ip.startsWith('[')) additionals.push({ type: 'AAAA', name: target, ttl, data: ip.slice(1, -1) })
    else additionals.push({ type: 'A', name: target, ttl, data: ip })
  }
  const data = [
    ...(relay === undefined || Buffer.byteLength(relay) > MAX_RELAY_BYTES ? [] : [`relay=${relay}`]),
    ...(userData === undefined ? [] : [`user-data=${userData}`]),
  ]
  if (data.length > 0) answers.push({ type: 'TXT', name: instance, ttl, data })
  return response(answers, additionals)
}

/**
 * Reads a packet that came from the network. What is not about iroh's nodes, or makes no sense in them, is passed over.
 *
 * @param loopback whether addresses of this very machine may be in it
 * @returns undefined when it is no DNS message
 */
export function readPacket(bytes: Uint8Array, loopback: boolean): Heard | undefined {
  if (bytes.length > MAX_PACKET_BYTES) return undefined
  // The types of the package do not know these two.
  let packet: DecodedPacket & { readonly opcode?: string; readonly rcode?: string }
  try {
    packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  } catch {
    return undefined
  }
  // RFC 6762, 18.3 and 18.11: others than these are passed over in silence.
  if (packet.opcode !== 'QUERY' || packet.rcode !== 'NOERROR') return NOTHING
  if (packet.type === 'query') return { asked: readQuestions(packet), sightings: [] }
  return { asked: undefined, sightings: readAnswers(packet, loopback) }
}

const lower = (name: string): string => name.toLowerCase()

/** The label of an instance's name, if that is what it is. */
function instanceLabel(name: string): string | undefined {
  const text = lower(name)
  return text.length === LABEL_LENGTH + 1 + SERVICE.length && text.endsWith(`.${SERVICE}`)
    ? text.slice(0, LABEL_LENGTH)
    : undefined
}

function readQuestions({ questions = [], answers = [] }: DecodedPacket): Asked | undefined {
  const labels = new Set<string>()
  let turn = false
  let everyone = false
  let types = false
  for (const { name, type, class: kind } of questions) {
    if (kind !== undefined && kind !== 'IN' && kind !== 'ANY') continue
    const text = lower(name)
    const pointer = ['PTR', 'ANY'].includes(type)
    if (text === SERVICE) turn ||= pointer
    else if (text === SUBTYPE) everyone ||= pointer
    else if (text === TYPES) types ||= pointer
    // A host of a node is its label, the port, and `local`.
    else if (instanceLabel(text) ?? /^[a-z2-7]{52}-\d{1,5}\.local$/.test(text)) labels.add(text.slice(0, LABEL_LENGTH))
  }
  if (!turn && !everyone && !types && labels.size === 0) return undefined
  const known = new Set<string>()
  for (const answer of answers) {
    // RFC 6762, 7.1: what the asker will soon forget is told again.
    if (answer.type !== 'PTR' || (answer.ttl ?? 0) < RECORD_TTL_SECONDS / 2 || lower(answer.name) !== SERVICE) continue
    const label = instanceLabel(answer.data)
    if (label !== undefined) known.add(label)
  }
  return { turn, everyone, types, labels, known }
}

/** What the records of one packet say of one node. */
interface Draft {
  /** By the hosts' names. */
  readonly ports: Map<string, number>
  readonly strings: string[]
  ttl: number
  gone: boolean
}

function readAnswers({ answers = [], additionals = [] }: DecodedPacket, loopback: boolean): Sighting[] {
  const records = [...answers, ...additionals].filter((record) => !('class' in record) || record.class === 'IN')
  const drafts = new Map<string, Draft>()
  const addresses = new Map<string, string[]>()
  for (const record of records) {
    if (record.type === 'PTR') {
      const label = lower(record.name) === SERVICE && record.ttl === 0 ? instanceLabel(record.data) : undefined
      if (label !== undefined) draftOf(drafts, label).gone = true
    } else if (record.type === 'SRV') {
      const label = instanceLabel(record.name)
      if (label === undefined || record.data.port === 0) continue
      const draft = draftOf(drafts, label)
      draft.ttl = Math.max(draft.ttl, record.ttl ?? 0)
      if (draft.ports.size < MAX_ADDRESSES) draft.ports.set(lower(record.data.target), record.data.port)
    } else if (record.type === 'TXT') {
      const label = instanceLabel(record.name)
      if (label !== undefined) draftOf(drafts, label).strings.push(...texts(record.data))
    } else if (record.type === 'A' || record.type === 'AAAA') {
      const host = lower(record.name)
      const known = addresses.get(host) ?? []
      if (known.length < MAX_ADDRESSES && isUsable(record.data, loopback)) known.push(record.data)
      addresses.set(host, known)
    }
  }
  return [...drafts].slice(0, MAX_SIGHTINGS).flatMap(([label, draft]) => sightingOf(label, draft, addresses))
}

function draftOf(drafts: Map<string, Draft>, label: string): Draft {
  let draft = drafts.get(label)
  if (!draft) {
    draft = { ports: new Map(), strings: [], ttl: 0, gone: false }
    drafts.set(label, draft)
  }
  return draft
}

function texts(data: string | Buffer | readonly (string | Buffer)[]): string[] {
  const parts = Array.isArray(data) ? (data as readonly (string | Buffer)[]) : [data as string | Buffer]
  return parts.slice(0, MAX_ADDRESSES).map((part) => part.toString())
}

/** Nobody is at, or can be sent something at, any other. */
function isUsable(ip: string, loopback: boolean): boolean {
  const bytes = parseSocketAddress(withPort(ip, 1))?.bytes
  if (!bytes || bytes.every((byte) => byte === 0)) return false
  const [first = 0, second = 0] = bytes
  if (bytes.length === 4) return first < 224 && first !== 0 && (loopback || first !== 127)
  const last = bytes.at(-1)
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) return loopback && last === 1
  // An address of one link alone says nothing without the name that the link has here.
  return first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80)
}

function sightingOf(label: string, draft: Draft, addresses: ReadonlyMap<string, readonly string[]>): Sighting[] {
  const id = idOf(label)
  if (!id) return []
  if (draft.gone) return [{ id, record: undefined, ttlMs: 0 }]
  const direct = [...draft.ports].flatMap(([host, port]) => (addresses.get(host) ?? []).map((ip) => withPort(ip, port)))
  const relay = valueOf(draft.strings, 'relay')
  const userData = valueOf(draft.strings, 'user-data')
  const record: LocalRecord = {
    id,
    direct: [...new Set(direct)].sort().slice(0, MAX_ADDRESSES),
    relay: relay !== undefined && /^https?:/.test(relay) && URL.canParse(relay) ? relay : undefined,
    userData: userData !== undefined && Buffer.byteLength(userData) <= MAX_USER_DATA_BYTES ? userData : undefined,
  }
  if (record.direct.length === 0 && record.relay === undefined) return []
  // An older node's 0 says nothing.
  const ttl = draft.ttl === 0 ? RECORD_TTL_SECONDS : Math.min(draft.ttl, MAX_TTL_SECONDS)
  return [{ id, record, ttlMs: ttl * 1000 }]
}

/** RFC 6763, 6.4: of a key that is there twice the first counts. */
function valueOf(strings: readonly string[], key: string): string | undefined {
  return strings.find((text) => text.startsWith(`${key}=`))?.slice(key.length + 1)
}

function idOf(label: string): NodeId | undefined {
  const { bytes } = decodeBase32(label, BASE32)
  try {
    return bytes && NodeId.fromBytes(bytes)
  } catch {
    return undefined
  }
}
