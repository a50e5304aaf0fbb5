/** Frames against the vectors of iroh-relay 1.4.1's own snapshot tests (its key is 32 bytes of 42). */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { SigningKey } from '../../src/core/keys.ts'
import {
  decodeAuth,
  encodeDenied,
  encodeFrame,
  encodeRestarting,
  encodeStatus,
  examine,
  forwarded,
  FRAME,
  STATUS,
} from '../../src/relay/frames.ts'
import { loadPackages, messageToSign, verifyAuth } from '../../src/relay/handshake.ts'
import { bytes } from './client.ts'

const key = new SigningKey(new Uint8Array(32).fill(42))
const ID = key.nodeId.asBytes()
const ID_HEX = '197f6b23e16c8532c6abc838facd5ea789be0c76b29203340 39bfa8b3d368d61'.replace(' ', '')
const OTHER = new Uint8Array(32).fill(7)
const hex = (frame: Uint8Array | undefined): string | undefined => frame && Buffer.from(frame).toString('hex')
const HELLO = Buffer.from('Hello World!').toString('hex')

describe('what the server sends', () => {
  test.each([
    ['endpoint gone', encodeFrame(FRAME.endpointGone, ID), `08${ID_HEX}`],
    ['ping', encodeFrame(FRAME.ping, new Uint8Array(8).fill(42)), '092a2a2a2a2a2a2a2a'],
    ['pong', encodeFrame(FRAME.pong, new Uint8Array(8).fill(42)), '0a2a2a2a2a2a2a2a2a'],
    ['restarting', encodeRestarting(10, 20), '0c0000000a00000014'],
    ['the same id elsewhere', encodeStatus(STATUS.sameIdElsewhere, 2), '0d01'],
    ['rate limited', encodeStatus(STATUS.rateLimited, 2), '0d02'],
    ['rate limited, version 1', encodeStatus(STATUS.rateLimited, 1), undefined],
    ['denied', encodeDenied('no'), '03026e6f'],
  ])('%s', (_name, frame, expected) => {
    expect(hex(frame)).toBe(expected)
  })

  test('version 1 is told in words', () => {
    const frame = encodeStatus(STATUS.sameIdElsewhere, 1)
    expect(frame?.[0]).toBe(FRAME.health)
    expect(frame?.subarray(1).toString()).toMatch(/Another endpoint connected/)
  })

  test('a long reason is cut between characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (reason) => {
        const frame = encodeDenied(reason)
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(frame.subarray(2))
        expect(frame[1]).toBe(frame.length - 2)
        expect(frame.length).toBeLessThanOrEqual(129)
        expect(Buffer.from(reason).toString().startsWith(text)).toBe(true)
      }),
    )
  })
})

describe('what is sent on', () => {
  test('a datagram', () => {
    const frame = bytes(4, OTHER, 3, 'Hello World!')
    expect(examine(frame)).toBe('send')
    expect(hex(forwarded(frame, ID))).toBe(`06${ID_HEX}03${HELLO}`)
  })

  test('a batch', () => {
    const frame = bytes(5, OTHER, 3, 0, 6, 'Hello World!')
    expect(examine(frame)).toBe('send')
    expect(hex(forwarded(frame, ID))).toBe(`07${ID_HEX}030006${HELLO}`)
  })

  test('a batch without a size is a datagram', () => {
    expect(hex(forwarded(bytes(5, OTHER, 2, 0, 0, 'Hello World!'), ID))).toBe(`06${ID_HEX}02${HELLO}`)
  })

  test('bits beside ECN are cleared', () => {
    expect(hex(forwarded(bytes(4, OTHER, 0xfe, 'Hello World!'), ID))).toBe(`06${ID_HEX}02${HELLO}`)
  })

  test('nothing is not', () => {
    expect(forwarded(bytes(4, OTHER, 0), ID)).toBeUndefined()
    expect(forwarded(bytes(5, OTHER, 0, 0, 6), ID)).toBeUndefined()
  })
})

describe('what a client may not send', () => {
  test.each([
    ['nothing', bytes()],
    ['a datagram without ECN', bytes(4, OTHER)],
    ['a batch without its size', bytes(5, OTHER, 0, 1)],
    ['a short ping', bytes(9, 'seven77')],
    ['a long pong', bytes(10, 'ninenine9')],
    ['what only servers send', bytes(6, OTHER, 0, 'x')],
    ['a type that does not exist', bytes(14, 'x')],
    ['too much', bytes(4, new Uint8Array(65_537))],
  ])('%s', (_name, frame) => {
    expect(() => examine(frame)).toThrow(expect.objectContaining({ code: 'protocol' }))
  })

  test('64 KiB is not too much', () => {
    expect(examine(bytes(4, new Uint8Array(65_536)))).toBe('send')
  })

  test('any bytes are one thing or an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat({ max: 15 }), (content, type) => {
        const frame = bytes(type, content)
        const outcome = (): string => {
          try {
            const result = examine(frame) === 'send' ? forwarded(frame, ID) : undefined
            return result ? `from ${hex(result.subarray(1, 33))}` : 'not sent on'
          } catch (error) {
            return P2PError.is(error, 'protocol') ? 'not sent on' : String(error)
          }
        }
        expect(['not sent on', `from ${ID_HEX}`]).toContain(outcome())
      }),
    )
  })
})

describe('the answer to a challenge', () => {
  const challenge = new Uint8Array(16).fill(0x42)

  test('is signed over the derived key', async () => {
    const { deriveKey } = await loadPackages()
    // blake3's own test vectors: derive_key of one zero byte.
    expect(hex(deriveKey('BLAKE3 2019-12-27 16:29:52 test vectors context', Uint8Array.of(0)))).toBe(
      'b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c',
    )
    const signature = key.sign(messageToSign(challenge, deriveKey))
    const frame = bytes(1, ID, 64, signature)
    expect(verifyAuth(frame, challenge, deriveKey)?.equals(key.nodeId)).toBe(true)
    expect(verifyAuth(frame, new Uint8Array(16), deriveKey)).toBeUndefined()
    expect(verifyAuth(bytes(1, ID, 64, key.sign(challenge)), challenge, deriveKey)).toBeUndefined()
    expect(verifyAuth(bytes(1, OTHER, 64, signature), challenge, deriveKey)).toBeUndefined()
    expect(verifyAuth(bytes(1, new Uint8Array(32).fill(255), 64, signature), challenge, deriveKey)).toBeUndefined()
  })

  test.each([
    bytes(1, ID, 64),
    bytes(1, ID, 63, new Uint8Array(64)),
    bytes(1, ID, 64, new Uint8Array(65)),
    bytes(2),
    bytes(),
  ])('is 98 bytes (%#)', (frame) => {
    expect(() => decodeAuth(frame)).toThrow(expect.objectContaining({ code: 'protocol' }))
  })
})
