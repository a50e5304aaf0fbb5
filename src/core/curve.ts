/**
 * Whether 32 bytes are a point on edwards25519 (RFC 8032, 5.1.3), as ed25519-dalek decides it for iroh: the sign bit
 * is free and `y` is taken modulo p.
 *
 * @module
 */

const P = 2n ** 255n - 19n
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n
const LOW_255_BITS = 2n ** 255n - 1n

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P
    square = (square * square) % P
  }
  return result
}

/**
 * A point has x^2 = (y^2 - 1) / (d y^2 + 1), so it exists when that quotient is a square modulo p. Quotient and product
 * of two numbers are squares together, and Euler's criterion tells for the product without an inversion.
 */
export function isCurvePoint(bytes: Uint8Array): boolean {
  let encoded = 0n
  for (let i = 31; i >= 0; i--) encoded = (encoded << 8n) | BigInt(bytes[i] ?? 0)
  const y = (encoded & LOW_255_BITS) % P
  const y2 = (y * y) % P
  const u = (y2 - 1n + P) % P
  const v = (D * y2 + 1n) % P
  return power((u * v) % P, (P - 1n) / 2n) <= 1n
}
