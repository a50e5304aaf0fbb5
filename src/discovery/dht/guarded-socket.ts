/**
 * The UDP socket that is shown to the DHT library, and all that the two see of each other.
 *
 * The library is made for a friendly network: a packet of four bytes (`l-3:`) makes its decoder loop for ever, and values
 * of a wrong type make it throw inside of a socket's callback, or wait for ever. So it never sees what strangers send:
 * only answers get in, each read strictly and written anew from the fields that an answer has. On the way out, queries
 * say that nobody need ask back (BEP 43), and puts name their target, without which nodes in Rust do not take them.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { BlockList } from 'node:net'
import type { AddressInfo } from 'node:net'
import { decodeBencode, encodeBencode } from './bencode.ts'
import type { Bencoded, Dictionary } from './bencode.ts'

/** BEP 44: the longest value of an item. */
const MAX_VALUE_BYTES = 1000
/** An answer with a value, 20 contacts, a token and all the rest has some 1,700. */
const MAX_PACKET_BYTES = 4096
const MAX_TOKEN_BYTES = 128
const ID_BYTES = 20
/** A contact of BEP 5: id, IPv4 address, port. */
const CONTACT_BYTES = ID_BYTES + 6
const MAX_CONTACTS = 64
const TRANSACTION_BYTES = 2
/** Questions whose answers are waited for; the library has 16 under way, and forgets those that time out. */
const MAX_ASKED = 1024

/** Addresses that only somebody on the same network, or nobody, has. */
const NOT_PUBLIC = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  NOT_PUBLIC.addSubnet(net, prefix)
}

/** The key under which an item of `publicKey` is found: its SHA-1. */
export function targetOf(publicKey: Uint8Array): Buffer {
  return createHash('sha1').update(publicKey).digest()
}

/** The answer in a packet of a stranger, written anew; undefined for everything else. */
export function cleanAnswer(packet: Uint8Array, isPublic: boolean): Uint8Array | undefined {
  if (packet.length > MAX_PACKET_BYTES) return undefined
  const message = decodeBencode(packet)
  if (!(message instanceof Map)) return undefined
  const fields = message as Dictionary
  const transaction = cleanTransaction(fields.get('t'))
  if (!transaction) return undefined
  const kind = fields.get('y')
  if (!(kind instanceof Uint8Array) || kind.length !== 1) return undefined
  const head: [string, Bencoded][] = [
    ['t', transaction],
    ['y', kind],
  ]
  if (kind[0] === 0x72) {
    const values = cleanValues(fields.get('r'), isPublic)
    return values && encodeBencode(new Map([...head, ['r', values]]))
  }
  if (kind[0] === 0x65) {
    const error = fields.get('e')
    const [code, text] = Array.isArray(error) ? (error as readonly Bencoded[]) : []
    if (typeof code !== 'number') return undefined
    return encodeBencode(new Map([...head, ['e', [code, bytesOf(text, 0, 256) ?? new Uint8Array()]]]))
  }
  return undefined
}

/** The two bytes that the library has numbered its query with; iroh's nodes give back four, the first of them zero. */
function cleanTransaction(value: Bencoded | undefined): Uint8Array | undefined {
  const bytes = bytesOf(value, TRANSACTION_BYTES, 2 * TRANSACTION_BYTES)
  const padding = bytes?.subarray(0, -TRANSACTION_BYTES)
  return padding?.every((byte) => byte === 0) === true ? bytes?.subarray(-TRANSACTION_BYTES) : undefined
}

/** The fields of an answer to a `get` or `put`; undefined when one of them is not what it should be. */
function cleanValues(values: Bencoded | undefined, isPublic: boolean): Dictionary | undefined {
  if (!(values instanceof Map)) return undefined
  const given = values as Dictionary
  const clean = new Map<string, Bencoded>()
  for (const [name, min, max] of [
    ['id', ID_BYTES, ID_BYTES],
    ['token', 1, MAX_TOKEN_BYTES],
    ['v', 0, MAX_VALUE_BYTES],
    ['k', 32, 32],
    ['sig', 64, 64],
  ] as const) {
    const value = given.get(name)
    if (value === undefined) continue
    const bytes = bytesOf(value, min, max)
    if (!bytes) return undefined
    clean.set(name, bytes)
  }
  if (!clean.has('id')) return undefined
  const sequence = given.get('seq')
  if (sequence !== undefined) {
    if (typeof sequence !== 'number' || sequence < 0) return undefined
    clean.set('seq', sequence)
  }
  const contacts = given.get('nodes')
  if (contacts instanceof Uint8Array) clean.set('nodes', cleanContacts(contacts, isPublic))
  return clean
}

/** Whole contacts, and of those that a node on the internet names only such as are there too. */
function cleanContacts(bytes: Uint8Array, isPublic: boolean): Uint8Array {
  const kept: Uint8Array[] = []
  for (let at = 0; at + CONTACT_BYTES <= bytes.length && kept.length < MAX_CONTACTS; at += CONTACT_BYTES) {
    const contact = bytes.subarray(at, at + CONTACT_BYTES)
    const host = contact.subarray(ID_BYTES, ID_BYTES + 4).join('.')
    if (!isPublic || isPublicAddress(host)) kept.push(contact)
  }
  return Buffer.concat(kept)
}

function isPublicAddress(host: string): boolean {
  return !NOT_PUBLIC.check(host)
}

function bytesOf(value: Bencoded | undefined, min: number, max: number): Uint8Array | undefined {
  return value instanceof Uint8Array && value.length >= min && value.length <= max ? value : undefined
}

/** The number by which an answer names its question, as text. */
function transactionOf(packet: Uint8Array): string {
  const message = decodeBencode(packet)
  const transaction = message instanceof Map ? (message as Dictionary).get('t') : undefined
  return transaction instanceof Uint8Array ? transaction.join('.') : ''
}

/** A query of the library's, with what it leaves out. */
export function completeQuery(packet: Uint8Array): Uint8Array {
  const message = decodeBencode(packet)
  if (!(message instanceof Map)) return packet
  const query = new Map(message as Dictionary).set('ro', 1)
  const given = query.get('a')
  if (given instanceof Map) {
    const key = (given as Dictionary).get('k')
    if (key instanceof Uint8Array) query.set('a', new Map(given as Dictionary).set('target', targetOf(key)))
  }
  return encodeBencode(query)
}

/** What the library uses of a socket of Node's. */
export class GuardedSocket extends EventEmitter {
  readonly #socket: Socket
  /** What was asked of whom, oldest first: only that is answered, and once. */
  readonly #asked = new Set<string>()
  #answers = 0
  #isOpen = true

  private constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('message', (packet, from) => this.#received(packet, from))
    // A packet that could not be sent is one that was lost.
    socket.on('error', () => {})
  }

  /** Binds to `host` and `port`; rejects with the system's error. */
  static async open(host: string, port: number): Promise<GuardedSocket> {
    const socket = createSocket('udp4')
    socket.bind(port, host)
    try {
      await once(socket, 'listening')
    } catch (error) {
      socket.close()
      throw error
    }
    return new GuardedSocket(socket)
  }

  /** Answers that have come in. */
  get answers(): number {
    return this.#answers
  }

  send(packet: Buffer, offset: number, length: number, port: number, host: string, done: () => void): void {
    if (!this.#isOpen) return
    const query = packet.subarray(offset, offset + length)
    this.#asked.add(`${host} ${transactionOf(query)}`)
    for (const oldest of this.#asked) {
      if (this.#asked.size <= MAX_ASKED) break
      this.#asked.delete(oldest)
    }
    try {
      this.#socket.send(completeQuery(query), port, host, () => done())
    } catch {
      // A port or an address that is none: the query goes unanswered.
    }
  }

  address(): AddressInfo {
    return this.#socket.address()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#socket.close(() => this.emit('close'))
  }

  #received(packet: Uint8Array, from: RemoteInfo): void {
    if (!this.#isOpen) return
    const answer = cleanAnswer(packet, isPublicAddress(from.address))
    if (!answer || !this.#asked.delete(`${from.address} ${transactionOf(answer)}`)) return
    this.#answers++
    try {
      this.emit('message', Buffer.from(answer), from)
    } catch {
      // Nothing known makes it throw any more; what it does not survive, this process should.
    }
  }
}
