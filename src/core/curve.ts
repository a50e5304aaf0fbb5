/**
 * Whether 32 bytes are a point on edwards25519 (RFC 8032, 5.1.3), as ed25519-dalek decides it for iroh: the sign bit
 * is free and `y` is taken modulo p.
 *
 * @module
 */

const P = 2n ** 255n - 19n
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n
const LOW_255_BITS = 2n ** 255n - 1n

/** Points that were asked about last: who connects again names the same id, and to decide takes a tenth of a millisecond. */
const known = new Set<string>()
const MAX_KNOWN = 256

/** `base` squared `times` times. */
function squared(base: bigint, times: number): bigint {
  let square = base
  for (let i = 0; i < times; i++) square = (square * square) % P
  return square
}

/**
 * `base` to the power of (p - 1) / 2, which is 2^254 - 10: with powers of 2^n - 1, each made of smaller ones, most of it is
 * squaring.
 */
function toHalf(base: bigint): bigint {
  const b2 = (squared(base, 1) * base) % P
  const b4 = (squared(b2, 2) * b2) % P
  const b5 = (squared(b4, 1) * base) % P
  const b10 = (squared(b5, 5) * b5) % P
  const b20 = (squared(b10, 10) * b10) % P
  const b40 = (squared(b20, 20) * b20) % P
  const b50 = (squared(b40, 10) * b10) % P
  const b100 = (squared(b50, 50) * b50) % P
  const b200 = (squared(b100, 100) * b100) % P
  const b250 = (squared(b200, 50) * b50) % P
  // 2^254 - 10 = (2^250 - 1) * 16 + 6, and b2 is the cube.
  return (squared(b250, 4) * squared(b2, 1)) % P
}

/**
 * A point has x^2 = (y^2 - 1) / (d y^2 + 1), so it exists when that quotient is a square modulo p. Quotient and product
 * of two numbers are squares together, and Euler's criterion tells for the product without an inversion.
 */
export function isCurvePoint(bytes: Uint8Array): boolean {
  const key = String.fromCharCode(...bytes.subarray(0, 32))
  if (known.has(key)) return true
  if (!decide(bytes)) return false
  const [oldest] = known.size >= MAX_KNOWN ? known : []
  if (oldest !== undefined) known.delete(oldest)
  known.add(key)
  return true
}

function decide(bytes: Uint8Array): boolean {
  let encoded = 0n
  for (let i = 31; i >= 0; i--) encoded = (encoded << 8n) | BigInt(bytes[i] ?? 0)
  const y = (encoded & LOW_255_BITS) % P
  const y2 = (y * y) % P
  const u = (y2 - 1n + P) % P
  const v = (D * y2 + 1n) % P
  return toHalf((u * v) % P) <= 1n
}
