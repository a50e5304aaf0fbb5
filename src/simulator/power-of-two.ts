/**
 * Powers of two without `**`, whose last bit engines may choose: doubling is exact.
 *
 * @module
 */

/** 2 to the power of `exponent`, a whole number from 0 to 1023. */
export function powerOfTwo(exponent: number): number {
  let power = 1
  for (let i = 0; i < exponent; i++) power *= 2
  return power
}
