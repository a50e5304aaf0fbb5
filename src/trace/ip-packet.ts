/**
 * Headers of IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768) and TCP (RFC 9293) around a text, with checksums that hold.
 *
 * @module
 */
import { parseSocketAddress } from '../core/address.ts'

/** What to put headers around. */
export interface IpPacket {
  readonly protocol: 'udp' | 'tcp'
  /** `ip:port` */
  readonly source: string
  readonly destination: string
  /** The length of the payload that `text` stands for; zeros follow the text, and are not captured. */
  readonly payloadBytes: number
  readonly text: Uint8Array
  /** The field of IPv4 that tells packets apart: 0..65535. */
  readonly identification: number
  /** @default 0, 0, and ACK alone */
  readonly tcp?: TcpFields | undefined
}

/** What of TCP is known. */
export interface TcpFields {
  readonly sequence: number
  readonly acknowledgement: number
  readonly syn: boolean
  readonly fin: boolean
}

const UDP = 17
const TCP = 6
const HOPS = 64
const UDP_BYTES = 8
const TCP_BYTES = 20
const MAX_LENGTH = 65_535
const FIN = 0x01
const SYN = 0x02
const ACK = 0x10

/** The bytes captured, and how many there would be with the whole payload. */
export function packetBytes(packet: IpPacket): { readonly captured: Uint8Array; readonly length: number } {
  const source = parseSocketAddress(packet.source)
  const destination = parseSocketAddress(packet.destination)
  if (!source || !destination) return { captured: new Uint8Array(0), length: 0 }
  const isIpv4 = source.bytes.length === 4 && destination.bytes.length === 4
  const ipBytes = isIpv4 ? 20 : 40
  const number = packet.protocol === 'udp' ? UDP : TCP
  const headerBytes = number === UDP ? UDP_BYTES : TCP_BYTES
  const text = packet.text.subarray(0, packet.payloadBytes)
  const segmentBytes = Math.min(headerBytes + packet.payloadBytes, MAX_LENGTH - ipBytes)
  const captured = new Uint8Array(ipBytes + headerBytes + text.length)
  const view = new DataView(captured.buffer)
  if (isIpv4) ipv4(view, packet, ipBytes + segmentBytes, number)
  else ipv6(view, segmentBytes, number)
  const [from, to] = isIpv4 ? [12, 16] : [8, 24]
  captured.set(widened(source.bytes, isIpv4), from)
  captured.set(widened(destination.bytes, isIpv4), to)
  if (isIpv4) view.setUint16(10, checksum(captured.subarray(0, ipBytes), 0))

  view.setUint16(ipBytes, source.port)
  view.setUint16(ipBytes + 2, destination.port)
  if (number === UDP) view.setUint16(ipBytes + 4, segmentBytes)
  else tcp(view, ipBytes, packet.tcp)
  captured.set(text, ipBytes + headerBytes)
  // The addresses, the protocol and the length go into it as well; zeros behind the text change nothing.
  const pseudo = sum(captured.subarray(from, ipBytes)) + number + segmentBytes
  const value = checksum(captured.subarray(ipBytes), pseudo)
  // UDP writes a sum of 0 as its complement, as 0 means that there is none.
  if (number === UDP) view.setUint16(ipBytes + 6, value === 0 ? 0xffff : value)
  else view.setUint16(ipBytes + 16, value)
  return { captured, length: ipBytes + segmentBytes }
}

function ipv4(view: DataView, packet: IpPacket, length: number, protocol: number): void {
  view.setUint8(0, 0x45)
  view.setUint16(2, length)
  view.setUint16(4, packet.identification)
  // Do not fragment.
  view.setUint16(6, 0x4000)
  view.setUint8(8, HOPS)
  view.setUint8(9, protocol)
}

function ipv6(view: DataView, length: number, protocol: number): void {
  view.setUint8(0, 0x60)
  view.setUint16(4, length)
  view.setUint8(6, protocol)
  view.setUint8(7, HOPS)
}

function tcp(view: DataView, at: number, fields: TcpFields | undefined): void {
  view.setUint32(at + 4, (fields?.sequence ?? 0) % 4_294_967_296)
  view.setUint32(at + 8, (fields?.acknowledgement ?? 0) % 4_294_967_296)
  view.setUint8(at + 12, (TCP_BYTES / 4) << 4)
  const isFirst = fields?.syn === true && fields.acknowledgement === 0
  view.setUint8(at + 13, (isFirst ? 0 : ACK) | (fields?.syn === true ? SYN : 0) | (fields?.fin === true ? FIN : 0))
  view.setUint16(at + 14, MAX_LENGTH)
}

/** An IPv4 address next to an IPv6 one, as it is written there (RFC 4291, 2.5.5.2). */
function widened(bytes: Uint8Array, isIpv4: boolean): Uint8Array {
  if (isIpv4 || bytes.length === 16) return bytes
  const whole = new Uint8Array(16)
  whole.set([0xff, 0xff], 10)
  whole.set(bytes, 12)
  return whole
}

function sum(bytes: Uint8Array): number {
  let total = 0
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] as number) << 8) + (bytes[i + 1] ?? 0)
  return total
}

/** The complement of the sum in ones' complement (RFC 1071). */
function checksum(bytes: Uint8Array, before: number): number {
  let total = before + sum(bytes)
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65_536)
  return ~total & 0xffff
}
