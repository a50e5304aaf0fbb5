/**
 * How much later or earlier than its latency a packet comes out of a link. Integers and exactly rounded operations only,
 * so that every machine draws the same.
 *
 * @module
 */
import type { RandomStream } from '../kernel.ts'
import type { JitterDistribution } from './link-options.ts'

/** Half the range of the sum of twelve 16-bit numbers, and 2^16, which is that sum's standard deviation. */
const TWELVE_HALVES = 393_210
const SIXTEEN_BITS = 65_536

/** Whole microseconds, negative for earlier; see {@link JitterDistribution}. */
export function drawJitterUs(distribution: JitterDistribution, jitterUs: number, random: RandomStream): number {
  if (distribution === 'normal') return normal(jitterUs, random)
  return distribution === 'long-tail' ? longTail(jitterUs, random) : random.nextBelow(2 * jitterUs + 1) - jitterUs
}

/** Irwin-Hall: the sum of twelve even draws is nearly normal. */
function normal(deviationUs: number, random: RandomStream): number {
  let sum = -TWELVE_HALVES
  for (let i = 0; i < 6; i++) {
    const draw = random.nextU32()
    sum += (draw & 0xffff) + (draw >>> 16)
  }
  return Math.round((sum * deviationUs) / SIXTEEN_BITS)
}

/** -log2 of an even draw is exponential; here log2 is drawn straight between powers of two, and the mean is 3/2 exactly. */
function longTail(meanUs: number, random: RandomStream): number {
  const draw = random.nextU32()
  const zeros = Math.clz32(draw)
  const fraction = zeros >= 31 ? 0 : ((draw << (zeros + 1)) >>> 0) / 4_294_967_296
  return Math.floor(((zeros + 1 - fraction) * meanUs * 2) / 3)
}
