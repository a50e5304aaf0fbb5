/** Reads pcapng by the letter of its specification, and IP packets by theirs; independent of what writes them. */

interface CapturedPacket {
  readonly interfaceName: string
  readonly timeUs: bigint
  readonly length: number
  readonly bytes: Buffer
  readonly comment: string
  /** 0 unknown, 1 inbound, 2 outbound */
  readonly direction: number
}

export interface Capture {
  readonly comment: string
  readonly interfaces: readonly string[]
  readonly packets: readonly CapturedPacket[]
}

function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const code = bytes.readUInt16LE(at)
    const length = bytes.readUInt16LE(at + 2)
    if (code === 0) break
    options.set(code, bytes.subarray(at + 4, at + 4 + length))
    at += 4 + Math.ceil(length / 4) * 4
  }
  return options
}

export function parsePcapng(file: Uint8Array): Capture {
  const bytes = Buffer.from(file)
  const interfaces: string[] = []
  const packets: CapturedPacket[] = []
  let comment = ''
  for (let at = 0; at < bytes.length;) {
    const type = bytes.readUInt32LE(at)
    const length = bytes.readUInt32LE(at + 4)
    if (length % 4 !== 0 || bytes.readUInt32LE(at + length - 4) !== length) throw new Error(`a bad block at ${at}`)
    const body = bytes.subarray(at + 8, at + length - 4)
    if (at === 0) {
      if (type !== 0x0a0d0d0a || body.readUInt32LE(0) !== 0x1a2b3c4d) throw new Error('no section header')
      if (body.readUInt16LE(4) !== 1 || body.readUInt16LE(6) !== 0) throw new Error('not version 1.0')
      comment = (optionsOf(body.subarray(16)).get(1) ?? '').toString()
    } else if (type === 1) {
      if (body.readUInt16LE(0) !== 101) throw new Error('not raw IP')
      interfaces.push((optionsOf(body.subarray(8)).get(2) ?? '').toString())
    } else if (type === 6) {
      const captured = body.readUInt32LE(12)
      const options = optionsOf(body.subarray(20 + Math.ceil(captured / 4) * 4))
      const interfaceName = interfaces[body.readUInt32LE(0)]
      if (interfaceName === undefined) throw new Error('a packet of an interface that is not described')
      packets.push({
        interfaceName,
        timeUs: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
        length: body.readUInt32LE(16),
        bytes: body.subarray(20, 20 + captured),
        comment: (options.get(1) ?? '').toString(),
        direction: (options.get(2)?.readUInt32LE(0) ?? 0) & 3,
      })
    } else {
      throw new Error(`a block of type ${type}`)
    }
    at += length
  }
  return { comment, interfaces, packets }
}

export interface ParsedIp {
  readonly source: string
  readonly destination: string
  readonly protocol: number
  /** Of the payload of UDP or TCP, as the headers say. */
  readonly payloadBytes: number
  readonly text: string
  readonly flags: number
  readonly sequence: number
}

/** In ones' complement, over bytes that zeros may follow. */
function sum16(...parts: readonly Buffer[]): number {
  let total = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) total += (part[i] as number) * (i % 2 === 0 ? 256 : 1)
  }
  while (total > 0xffff) total = (total % 65_536) + Math.floor(total / 65_536)
  return total
}

/** Throws where a header or a checksum does not hold. */
export function parseIp(bytes: Buffer): ParsedIp {
  const version = (bytes[0] as number) >> 4
  const is4 = version === 4
  if (!is4 && version !== 6) throw new Error(`version ${version}`)
  const headerBytes = is4 ? ((bytes[0] as number) & 15) * 4 : 40
  if (is4 && sum16(bytes.subarray(0, headerBytes)) !== 0xffff) throw new Error('the checksum of IPv4 is wrong')
  const addresses = is4 ? bytes.subarray(12, 20) : bytes.subarray(8, 40)
  const ip = (part: Buffer): string =>
    is4 ? [...part].join('.') : (part.toString('hex').match(/.{4}/g) ?? []).join(':')
  const half = addresses.length / 2
  const protocol = bytes[is4 ? 9 : 6] as number
  const segment = bytes.subarray(headerBytes)
  const length = is4 ? bytes.readUInt16BE(2) - headerBytes : bytes.readUInt16BE(4)
  const pseudo = Buffer.alloc(4)
  pseudo.writeUInt16BE(protocol, 0)
  pseudo.writeUInt16BE(length, 2)
  if (sum16(addresses, pseudo, segment) !== 0xffff) throw new Error('the checksum of the segment is wrong')
  const isUdp = protocol === 17
  if (isUdp && segment.readUInt16BE(4) !== length) throw new Error('the length of UDP is wrong')
  const data = isUdp ? 8 : (segment.readUInt8(12) >> 4) * 4
  return {
    source: `${ip(addresses.subarray(0, half))}:${segment.readUInt16BE(0)}`,
    destination: `${ip(addresses.subarray(half))}:${segment.readUInt16BE(2)}`,
    protocol,
    payloadBytes: length - data,
    text: segment.subarray(data).toString(),
    flags: isUdp ? 0 : segment.readUInt8(13),
    sequence: isUdp ? 0 : segment.readUInt32BE(4),
  }
}
