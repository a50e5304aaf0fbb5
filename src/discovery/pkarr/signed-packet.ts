/**
 * A signed packet of pkarr: a DNS answer under a key's own name, which only the key's owner can have written.
 *
 * In bytes: the public key (32), the signature (64), a timestamp in microseconds (8, big-endian), and a DNS message of
 * at most 1000 bytes. What is signed is what BEP 44 signs for a mutable item: `3:seqi<timestamp>e1:v<length>:<dns>`.
 *
 * @module
 */
import { decode, encode } from 'dns-packet'
import type { Packet } from 'dns-packet'
import { copyBytes } from '../../core/encoding.ts'
import { P2PError } from '../../core/errors.ts'
import { verifySignature } from '../../core/keys.ts'
import type { NodeId } from '../../core/node-id.ts'
import { parseRecord, RECORD_LABEL, recordStrings } from '../node-record.ts'
import type { NodeRecord } from '../node-record.ts'

/** BEP 44: the longest value of an item. */
const MAX_DNS_BYTES = 1000
/** How long others may keep it, in seconds: what iroh writes. */
const RECORD_TTL_SECONDS = 30

const SIGNATURE_BYTES = 64
const TIMESTAMP_BYTES = 8
const HEAD_BYTES = SIGNATURE_BYTES + TIMESTAMP_BYTES
/** What a body may have: a packet without its key. */
export const MAX_BODY_BYTES: number = HEAD_BYTES + MAX_DNS_BYTES
/** RFC 1035, 3.3: what one string of a TXT record holds. */
const STRING_BYTES = 255

/** A record with its owner's signature. */
export interface SignedPacket {
  readonly id: NodeId
  /** Microseconds since 1970; of two packets the later counts. */
  readonly timestampUs: bigint
  /** The DNS message. */
  readonly dns: Uint8Array
  readonly signature: Uint8Array
}

function bad(why: string, cause?: unknown): P2PError {
  return P2PError.of('protocol', `a signed record is not valid: ${why}`, {}, { cause })
}

function signedBytes(timestampUs: bigint, dns: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`3:seqi${timestampUs}e1:v${dns.length}:`), dns])
}

/** `text` as strings that fit a TXT record. */
function cut(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  const parts: Buffer[] = []
  for (let start = 0; start < bytes.length; start += STRING_BYTES)
    parts.push(bytes.subarray(start, start + STRING_BYTES))
  return parts
}

/** The DNS message of a record; addresses that do not fit are left out, the last ones first. */
function encodeDns(id: NodeId, record: NodeRecord, maxBytes: number): Uint8Array {
  const name = `${RECORD_LABEL}.${id.toString()}`
  const strings = recordStrings(record)
  for (;;) {
    const message: Packet = {
      type: 'response',
      id: 0,
      answers: strings.map((data) => ({ type: 'TXT', name, ttl: RECORD_TTL_SECONDS, class: 'IN', data: cut(data) })),
    }
    const dns = copyBytes(encode(message))
    if (dns.length <= maxBytes) return dns
    strings.splice(
      strings.findLastIndex((text) => !text.startsWith('user-data=')),
      1,
    )
  }
}

/**
 * Signs what a node says of itself.
 *
 * @param sign signs with the key of `record.address.id`
 * @param maxBytes the longest DNS message
 */
export function signRecord(
  record: NodeRecord,
  timestampUs: bigint,
  sign: (message: Uint8Array) => Uint8Array,
  maxBytes: number = MAX_DNS_BYTES,
): SignedPacket {
  const { id } = record.address
  const dns = encodeDns(id, record, maxBytes)
  return { id, timestampUs, dns, signature: sign(signedBytes(timestampUs, dns)) }
}

/** The body that a pkarr server stores for a key: the packet without the key. */
export function encodeBody({ signature, timestampUs, dns }: SignedPacket): Uint8Array {
  const body = new Uint8Array(HEAD_BYTES + dns.length)
  body.set(signature)
  new DataView(body.buffer).setBigUint64(SIGNATURE_BYTES, timestampUs)
  body.set(dns, HEAD_BYTES)
  return body
}

/**
 * Reads and verifies the body of a pkarr server's answer.
 *
 * @throws P2PError `protocol` when it is cut, too long, or not signed by `id`
 */
export function decodeBody(id: NodeId, body: Uint8Array): SignedPacket {
  if (body.length < HEAD_BYTES + 12) throw bad(`it has only ${body.length} bytes`)
  if (body.length > MAX_BODY_BYTES) throw bad(`it has more than ${MAX_BODY_BYTES} bytes`)
  const signature = copyBytes(body.subarray(0, SIGNATURE_BYTES))
  const timestampUs = new DataView(body.buffer, body.byteOffset).getBigUint64(SIGNATURE_BYTES)
  const dns = copyBytes(body.subarray(HEAD_BYTES))
  if (!verifySignature(id, signedBytes(timestampUs, dns), signature)) {
    throw bad(`the signature is not that of ${id.fmtShort()}`)
  }
  return { id, timestampUs, dns, signature }
}

/**
 * What the packet says of its node.
 *
 * @throws P2PError `protocol` when its DNS message makes no sense
 */
export function readRecord({ id, dns }: SignedPacket): NodeRecord {
  let message: Packet
  try {
    message = decode(Buffer.from(dns))
  } catch (error) {
    throw bad('its DNS message cannot be read', error)
  }
  return parseRecord(id, txtStrings(message, `${RECORD_LABEL}.${id.toString()}`))
}

/** The TXT strings that a DNS message holds under `name`; a record of several strings is one text (RFC 7208, 3.3). */
function txtStrings(message: Packet, name: string): string[] {
  return (message.answers ?? []).flatMap((answer) => {
    if (answer.type !== 'TXT' || answer.name.toLowerCase() !== name) return []
    const parts: readonly (string | Buffer)[] = Array.isArray(answer.data) ? answer.data : [answer.data]
    // Joined before they are decoded: a character may lie across two strings.
    return [
      new TextDecoder().decode(
        Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))),
      ),
    ]
  })
}
