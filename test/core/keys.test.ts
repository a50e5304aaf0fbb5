import { inspect } from 'node:util'
import * as iroh from '@number0/iroh'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SigningKey, testNodeId, testSigningKey, verifySignature } from '../../src/core/keys.ts'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const secret = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('a signing key', () => {
  // RFC 8032, 7.1, tests 1 to 3.
  test.each([
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ])('%s', (secretHex, publicHex, message, signature) => {
    const key = new SigningKey(hex(secretHex))
    expect(key.nodeId.toHex()).toBe(publicHex)
    expect(key.sign(hex(message))).toEqual(hex(signature))
    expect(verifySignature(key.nodeId, hex(message), hex(signature))).toBe(true)
  })

  test('derives what the official binding derives, and each verifies what the other signs', () => {
    fc.assert(
      fc.property(secret, fc.uint8Array({ maxLength: 50 }), (bytes, message) => {
        const key = new SigningKey(bytes)
        const theirs = iroh.SecretKey.fromBytes([...bytes])
        expect(key.nodeId.toHex()).toBe(theirs.public().toString())
        theirs.public().verify([...message], iroh.Signature.fromBytes([...key.sign(message)]))
        expect(verifySignature(key.nodeId, message, Uint8Array.from(theirs.sign([...message]).toBytes()))).toBe(true)
      }),
    )
  })

  test('anything altered is not verified', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(), (message, at) => {
        const key = testSigningKey('signer')
        const signature = key.sign(message)
        const altered = message.slice()
        altered[at % altered.length] = (altered[at % altered.length] ?? 0) ^ 1
        expect(verifySignature(key.nodeId, altered, signature)).toBe(false)
        expect(verifySignature(testNodeId('another'), message, signature)).toBe(false)
        signature[at % 64] = (signature[at % 64] ?? 0) ^ 1
        expect(verifySignature(key.nodeId, message, signature)).toBe(false)
        expect(verifySignature(key.nodeId, message, signature.subarray(1))).toBe(false)
      }),
    )
  })

  test('never shows its secret', () => {
    const bytes = hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
    const key = new SigningKey(bytes)
    const decimal = [...bytes].slice(0, 4)
    const shown = [
      inspect(key),
      inspect({ deep: { key } }, { depth: 10, showHidden: true }),
      inspect(key, { customInspect: false, depth: 10, showHidden: true, getters: true }),
      JSON.stringify({ key }),
      `${key}`,
      Object.keys(key).join(),
      inspect(structuredClone({ ...key, nodeId: undefined })),
      inspect(new Error('with a key', { cause: key })),
    ].join('\n')
    expect(shown).not.toContain('9d61b19d')
    expect(shown).not.toContain(decimal.join(','))
    expect(shown).not.toContain(decimal.join(', '))
    expect(shown).not.toContain(Buffer.from(bytes).toString('base64').slice(0, 12))
    expect(String(key)).toContain(key.nodeId.toString())
  })

  test('is independent of the bytes it was made from and of those it gives', () => {
    const bytes = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
    const key = new SigningKey(bytes)
    const before = key.secretBytes()
    bytes.fill(0)
    key.secretBytes().fill(0)
    expect(key.secretBytes()).toEqual(before)
    expect(new SigningKey(key.secretBytes()).nodeId.equals(key.nodeId)).toBe(true)
  })

  test.each([0, 31, 33, 64])('%d bytes are no key', (length) => {
    expect(() => new SigningKey(new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: 'invalid-configuration', setting: 'secretKey' }),
    )
  })
})

describe('test keys', () => {
  test('are the same for the same name, and different for different ones', () => {
    expect(testSigningKey('alice').nodeId.toHex()).toBe(testNodeId('alice').toHex())
    // SHA-256 of the domain and the name as the secret, made with Python's cryptography.
    expect(testNodeId('alice').toHex()).toBe('448b84a657eb0886e97349acafdc8770de52dc8d9ac6907f5cdeb7f0ad4f1aa4')
    const ids = new Set(Array.from({ length: 200 }, (_, i) => testNodeId(`host-${i}`).toString()))
    expect(ids.size).toBe(200)
  })
})
