// Whether the curves of a soak grow.
import { median } from '../lib/stats.mjs'

const MIB = 1_048_576

/**
 * What may be more in the last third than in the middle one, where everything is warm: so much of it, and so much besides.
 * What the system holds of the process (rss) goes up and down with the allocator.
 */
const GROWTH = [
  { what: 'heap', unit: MIB, of: ({ about }) => about.heapUsed, share: 0.15, besides: 6 },
  { what: 'memory outside of the heap', unit: MIB, of: ({ about }) => about.external, share: 0.15, besides: 8 },
  { what: 'memory of the process', unit: MIB, of: ({ about }) => about.rss, share: 0.15, besides: 24 },
  { what: 'descriptors', unit: 1, of: ({ descriptors }) => descriptors, share: 0, besides: 4 },
  { what: 'handles', unit: 1, of: ({ handles }) => handles, share: 0.25, besides: 60 },
]

/** What is wrong with the curves, and with what is left at the end. */
export function judge(samples, rest, minutes) {
  const problems = []
  const third = Math.floor(samples.length / 3)
  if (third < 3) return ['too few samples: was the server ever asked?']
  for (const { what, unit, of, share, besides } of GROWTH) {
    const middle = median(samples.slice(third, 2 * third).map(of)) / unit
    const end = median(samples.slice(-third).map(of)) / unit
    // A short run is not warm in its middle.
    const slack = minutes < 10 ? 2 : 1
    if (end > middle * (1 + share * slack) + besides * slack) {
      problems.push(`${what} grows: ${middle.toFixed(1)} in the middle, ${end.toFixed(1)} at the end`)
    }
  }
  if (!rest) return problems
  if (rest.handles > 1) problems.push(`${rest.handles} handles are left when everybody has gone`)
  if (rest.about.connections > 0)
    problems.push(`${rest.about.connections} connections are left when everybody has gone`)
  return problems
}
