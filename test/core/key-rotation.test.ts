import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BASE32, decodeBase32, encodeBase32 } from '../../src/core/encoding.ts'
import { followRotations, KeyRotation } from '../../src/core/key-rotation.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'

const NOW_MS = 1_700_000_000_000
const sign = (old: string, young: string): KeyRotation =>
  KeyRotation.sign(testSigningKey(old), testSigningKey(young), NOW_MS)
const failing = (code: string): unknown => expect.objectContaining({ code })

describe('a statement of a rotation', () => {
  test('is read as it was signed', () => {
    const rotation = KeyRotation.parse(sign('a', 'b').toString())
    expect(rotation.oldId.equals(testNodeId('a'))).toBe(true)
    expect(rotation.newId.equals(testNodeId('b'))).toBe(true)
    expect(rotation.signedAtMs).toBe(NOW_MS)
    expect(rotation.toString()).toMatch(/^rotation[a-z2-7]{322}$/)
    expect(JSON.stringify(rotation)).toBe(JSON.stringify(rotation.toString()))
  })

  test('with any bit changed, or cut, is not believed', () => {
    const { bytes } = decodeBase32(sign('a', 'b').toString().slice('rotation'.length), BASE32)
    if (!bytes) throw new Error('it cannot be read')
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const changed = bytes.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(() => KeyRotation.parse(`rotation${encodeBase32(changed, BASE32)}`)).toThrow(
          expect.objectContaining({ name: 'P2PError' }),
        )
      }),
    )
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => {
        const cut = `rotation${encodeBase32(bytes.subarray(0, length), BASE32)}`
        expect(() => KeyRotation.parse(cut)).toThrow(failing('serialization'))
      }),
      { numRuns: 20 },
    )
    for (const text of ['', 'rotation', 'endpointabc', 'rotation!', 7 as unknown as string]) {
      expect(() => KeyRotation.parse(text)).toThrow(failing('serialization'))
    }
  })

  test('needs both keys: neither side can make it alone', () => {
    const honest = decodeBase32(sign('a', 'b').toString().slice('rotation'.length), BASE32).bytes
    const other = decodeBase32(sign('a', 'c').toString().slice('rotation'.length), BASE32).bytes
    if (!honest || !other) throw new Error('they cannot be read')
    // The signatures of one statement under the names of another.
    const mixed = new Uint8Array([...honest.subarray(0, 73), ...other.subarray(73)])
    expect(() => KeyRotation.parse(`rotation${encodeBase32(mixed, BASE32)}`)).toThrow(failing('unauthorized'))
    // b has not agreed.
    const forced = new Uint8Array([...honest.subarray(0, 137), ...honest.subarray(73, 137)])
    expect(() => KeyRotation.parse(`rotation${encodeBase32(forced, BASE32)}`)).toThrow(failing('unauthorized'))
    expect(() => sign('a', 'a')).toThrow(failing('invalid-configuration'))
  })
})

describe('following rotations', () => {
  test('leads to the newest, in whatever order they come', () => {
    const all = [sign('b', 'c'), sign('x', 'y').toString(), sign('a', 'b').toString()]
    expect(followRotations(testNodeId('a'), all).equals(testNodeId('c'))).toBe(true)
    expect(followRotations(testNodeId('b'), all).equals(testNodeId('c'))).toBe(true)
    expect(followRotations(testNodeId('c'), all).equals(testNodeId('c'))).toBe(true)
    expect(followRotations(testNodeId('z'), []).equals(testNodeId('z'))).toBe(true)
  })

  test('a key with two successors is not followed to either, and neither is a circle', () => {
    expect(() => followRotations(testNodeId('a'), [sign('a', 'b'), sign('a', 'c')])).toThrow(failing('unauthorized'))
    expect(followRotations(testNodeId('a'), [sign('a', 'b'), sign('a', 'b')]).equals(testNodeId('b'))).toBe(true)
    expect(() => followRotations(testNodeId('a'), [sign('a', 'b'), sign('b', 'a')])).toThrow(failing('unauthorized'))
    expect(() => followRotations(testNodeId('a'), [sign('a', 'b'), sign('b', 'c'), sign('c', 'b')])).toThrow(
      failing('unauthorized'),
    )
  })
})
