/**
 * Byte ranges (RFC 9110, 14).
 *
 * @module
 */

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** More ranges than this are taken for an attack, and the header is ignored (RFC 9110, 17.15). */
const MAX_RANGES = 16
const RANGE_SET = /^bytes=(.*)$/i
const RANGE = /^(?:(\d+)-(\d*)|-(\d+))$/

/**
 * What a `Range` header asks of a representation of `sizeBytes`:
 *
 * - one range, or several that overlap or adjoin: the one range that holds them (RFC 9110, 14.2 lets a server coalesce);
 * - `unsatisfiable` when none of them touches a byte: 416;
 * - undefined when the header is to be ignored and everything sent: no or another unit, malformed, several ranges with
 *   gaps between them (a single part is all this library sends), or more than 16.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const set = header === undefined ? undefined : RANGE_SET.exec(header)?.[1]
  if (set === undefined) return undefined
  const specs = set.split(',').map((spec) => spec.trim())
  // RFC 9110, 5.6.1: empty members of a list are to be ignored.
  const members = specs.filter((spec) => spec !== '')
  if (members.length === 0 || members.length > MAX_RANGES) return undefined
  const ranges: ByteRange[] = []
  for (const member of members) {
    const match = RANGE.exec(member)
    if (!match) return undefined
    const first = match[1] === undefined ? undefined : Number(match[1])
    const last = match[2] === undefined || match[2] === '' ? undefined : Number(match[2])
    if (first === undefined) {
      const suffix = Number(match[3])
      // The last bytes of nothing are nothing, which no Content-Range can say: send it whole.
      if (suffix > 0 && sizeBytes === 0) return undefined
      if (suffix > 0) ranges.push({ start: Math.max(0, sizeBytes - suffix), end: sizeBytes })
    } else {
      if (last !== undefined && last < first) return undefined
      if (first < sizeBytes) ranges.push({ start: first, end: Math.min(sizeBytes, (last ?? sizeBytes) + 1) })
    }
  }
  return ranges.length === 0 ? 'unsatisfiable' : coalesce(ranges)
}

function coalesce(ranges: ByteRange[]): ByteRange | undefined {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  const [first, ...others] = sorted
  if (!first) return undefined
  let { end } = first
  for (const range of others) {
    if (range.start > end) return undefined
    end = Math.max(end, range.end)
  }
  return { start: first.start, end }
}
