import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { checkName, readName, signName } from '../../src/discovery/signed-name.ts'

const id = testNodeId('home')
const sign = (message: Uint8Array): Uint8Array => testSigningKey('home').sign(message)
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .map((text) => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').trim())
  .filter((text) => text !== '' && Buffer.byteLength(text.normalize('NFC')) <= 128)

describe('a signed name', () => {
  test('comes back from what fits the user data of a record', () => {
    fc.assert(
      fc.property(name, (text) => {
        const userData = signName(text, sign)
        expect(Buffer.byteLength(userData)).toBeLessThanOrEqual(245)
        expect(readName(id, userData)).toEqual({ kind: 'signed', name: text.normalize('NFC') })
      }),
    )
  })

  test('has this form, which does not change', () => {
    const signature = Buffer.from(sign(Buffer.from('moosicbox/p2p name v1\0living-room'))).toString('base64url')
    expect(signName('living-room', sign)).toBe(`p2p-name:${signature}:living-room`)
    expect(signature).toBe('sa6BUnLjQ3wmIEkEzrLf91hLxb5rsabFzGIps2zSCTXq7PoYYflB5p4WWh9X-nCJJi3M5Ui0QehXCmsvy3NbDA')
  })

  test('is forged with any other key, name, or bit of the signature', () => {
    const userData = signName('living-room', sign)
    expect(readName(testNodeId('other'), userData)).toEqual({ kind: 'forged', name: 'living-room' })
    fc.assert(
      fc.property(fc.nat(userData.length - 1), fc.constantFrom(...'aZ_0:é '), (at, character) => {
        const altered = userData.slice(0, at) + character + userData.slice(at + 1)
        fc.pre(altered !== userData)
        expect(readName(id, altered).kind).not.toBe('signed')
      }),
      { numRuns: 500 },
    )
    // The last character has four bits of the signature, and two that must be 0.
    expect(readName(id, userData.replace('A:living', 'B:living')).kind).toBe('forged')
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(readName(id, `p2p-name:${text}`).kind).toBe('forged')
      }),
    )
  })

  test('is forged in another form than the one of a name, though it be signed', () => {
    for (const odd of ['Ku\u0308che', ' x', '', 'a\u202eb']) {
      const signature = Buffer.from(sign(Buffer.from(`moosicbox/p2p name v1\0${odd}`))).toString('base64url')
      expect(readName(id, `p2p-name:${signature}:${odd}`)).toEqual({ kind: 'forged', name: odd })
    }
  })

  test('is none where other programs have their own text', () => {
    expect(readName(id, undefined)).toEqual({ kind: 'none' })
    expect(readName(id, 'kitchen')).toEqual({ kind: 'none' })
  })

  test('can be seen, and is not endless', () => {
    const bad = [
      '',
      ' x',
      'x ',
      'a\nb',
      'a\u0000b',
      'a\u202eb',
      'a\u2028b',
      '\ud800',
      'a\u200bb',
      '\ufeffa',
      'x'.repeat(129),
      'é'.repeat(65),
    ]
    for (const text of [...bad, undefined, 7] as string[]) {
      expect(() => checkName(text)).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
    }
    expect(checkName('é'.repeat(64))).toBe('é'.repeat(64))
    expect(checkName('Küche ♪ 👩‍👧')).toBe('Küche ♪ 👩‍👧')
  })
})
