/**
 * A trace as pcapng, for Wireshark: each virtual packet with the headers of IP and UDP or TCP that it would have, and a
 * payload that says in words what it holds. Every host and router is an interface of the capture; what was dropped is on
 * one called `dropped`. The payload is captured as far as the words go, and its length is the packet's.
 *
 * The format: draft-ietf-opsawg-pcapng. Link type 101 (raw IP).
 *
 * @module
 */
import { concatBytes } from '../core/encoding.ts'
import { describeItems } from '../core/trace.ts'
import type { TraceHeader, TraceRecord } from '../core/trace.ts'
import type { TraceExporter, WriteOutput } from './exporter.ts'
import { packetBytes } from './ip-packet.ts'
import type { TcpFields } from './ip-packet.ts'
import { TraceNames } from './names.ts'
import type { TracedPacket } from './names.ts'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINK_TYPE_RAW = 101

const OPTION_COMMENT = 1
const OPTION_FLAGS = 2
const OPTION_INTERFACE_NAME = 2
const OPTION_USER_APPLICATION = 4

const INBOUND = 1
const OUTBOUND = 2
const UNKNOWN_DIRECTION = 0

/** An interface of its own for what never arrives. */
const DROPPED = 'dropped'

/** See the module's comment. */
export class PcapngExporter implements TraceExporter {
  readonly #names = new TraceNames()
  readonly #header: TraceHeader
  readonly #write: WriteOutput
  readonly #interfaces = new Map<string, number>()
  readonly #encoder = new TextEncoder()

  constructor(header: TraceHeader, write: WriteOutput) {
    this.#header = header
    this.#write = write
    const body = new Uint8Array(16)
    const view = new DataView(body.buffer)
    view.setUint32(0, BYTE_ORDER_MAGIC, true)
    view.setUint16(4, 1, true)
    // The length of the section is not known: -1.
    view.setBigInt64(8, -1n, true)
    const comment = `A simulation with seed ${header.seed}, on Node ${header.node}. No packet of it was ever real.`
    this.#block(SECTION_HEADER, [
      body,
      this.#option(OPTION_COMMENT, comment),
      this.#option(OPTION_USER_APPLICATION, '@moosicbox/p2p'),
    ])
  }

  add(record: TraceRecord): void {
    const names = this.#names
    names.see(record)
    switch (record.kind) {
      case 'sent':
        this.#packet(record, names.host(record.host), OUTBOUND, `#${record.packet} sent`)
        break
      case 'translated':
        this.#packet(record, names.node(record.node), UNKNOWN_DIRECTION, `#${record.packet} through the router`)
        break
      case 'delivered': {
        const corrupted = record.corrupted === 1 ? ', with bits flipped on its way' : ''
        this.#packet(record, names.host(record.host), INBOUND, `#${record.packet} received${corrupted}`)
        break
      }
      case 'dropped': {
        const comment = `#${record.packet} dropped at ${names.node(record.node)}: ${record.reason}`
        this.#packet(record, DROPPED, UNKNOWN_DIRECTION, comment)
        break
      }
      default:
        break
    }
  }

  end(): void {}

  #packet(
    { packet, timeUs }: { readonly packet: number; readonly timeUs: number },
    where: string,
    direction: number,
    comment: string,
  ): void {
    const known = this.#names.packet(packet)
    if (!known) return
    const { captured, length } = this.#bytes(known)
    const head = new Uint8Array(20)
    const view = new DataView(head.buffer)
    const time = this.#header.epochMs * 1000 + timeUs
    view.setUint32(0, this.#interface(where), true)
    view.setUint32(4, Math.floor(time / 4_294_967_296), true)
    view.setUint32(8, time % 4_294_967_296, true)
    view.setUint32(12, captured.length, true)
    view.setUint32(16, length, true)
    const flags = new Uint8Array(4)
    flags[0] = direction
    this.#block(ENHANCED_PACKET, [
      head,
      padded(captured),
      this.#option(OPTION_COMMENT, comment),
      this.#option(OPTION_FLAGS, flags),
    ])
  }

  #bytes({ sent, from, to }: TracedPacket): { readonly captured: Uint8Array; readonly length: number } {
    const { protocol, bytes, items } = sent
    const names = this.#names
    return packetBytes({
      protocol,
      source: names.address(from),
      destination: names.address(to),
      payloadBytes: bytes,
      text: this.#encoder.encode(describeItems(items, this.#header)),
      identification: sent.packet % 65_536,
      tcp: protocol === 'tcp' ? this.#tcp(items) : undefined,
    })
  }

  /** What the first item says, where it is a segment's. */
  #tcp(items: readonly number[]): TcpFields | undefined {
    const [item, count, sequence = 0, acknowledgement = 0, syn = 0, fin = 0] = items
    const [name] = this.#header.items[item ?? -1] ?? []
    if (name !== 'TCP' || count === undefined || count < 4) return undefined
    return { sequence, acknowledgement, syn: syn > 0, fin: fin > 0 }
  }

  /** The number of the interface of that name, described when it is first met. */
  #interface(name: string): number {
    const known = this.#interfaces.get(name)
    if (known !== undefined) return known
    const number = this.#interfaces.size
    this.#interfaces.set(name, number)
    const body = new Uint8Array(8)
    new DataView(body.buffer).setUint16(0, LINK_TYPE_RAW, true)
    this.#block(INTERFACE_DESCRIPTION, [body, this.#option(OPTION_INTERFACE_NAME, name)])
    return number
  }

  #option(code: number, value: string | Uint8Array): Uint8Array {
    const bytes = typeof value === 'string' ? this.#encoder.encode(value).subarray(0, 4_000) : value
    const head = new Uint8Array(4)
    const view = new DataView(head.buffer)
    view.setUint16(0, code, true)
    view.setUint16(2, bytes.length, true)
    return concatBytes([head, padded(bytes)])
  }

  /** The last of `parts` are options: four zero bytes end them. */
  #block(type: number, parts: readonly Uint8Array[]): void {
    const body = concatBytes([...parts, new Uint8Array(4)])
    const length = body.length + 12
    const block = new Uint8Array(length)
    const view = new DataView(block.buffer)
    view.setUint32(0, type, true)
    view.setUint32(4, length, true)
    block.set(body, 8)
    view.setUint32(length - 4, length, true)
    this.#write(block)
  }
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  whole.set(bytes)
  return whole
}
