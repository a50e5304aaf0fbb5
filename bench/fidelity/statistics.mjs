// What the comparison computes with. Everything is deterministic: the bootstrap draws from a generator of its own.

const ascending = (a, b) => a - b

/** The value at rank `share` (0..1), the nearest one, as in the table of the measurements. */
export function percentile(values, share) {
  const sorted = [...values].sort(ascending)
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN
}

/** The middle value, or the mean of the two in the middle. */
export function median(values) {
  return medianOfSorted([...values].sort(ascending))
}

function medianOfSorted(sorted) {
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/**
 * The two-sample Kolmogorov-Smirnov distance: the largest gap between the shares of both samples that are at most x,
 * over all x.
 */
export function ksDistance(first, second) {
  const a = [...first].sort(ascending)
  const b = [...second].sort(ascending)
  let largest = 0
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = Math.min(a[i], b[j])
    while (i < a.length && a[i] <= x) i++
    while (j < b.length && b[j] <= x) j++
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length))
  }
  return largest
}

/** SplitMix32. */
function generator(seed) {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return Math.floor((((z ^ (z >>> 15)) >>> 0) / 4_294_967_296) * below)
  }
}

const RESAMPLES = 10_000

/** The 95 % percentile bootstrap interval of `statistic` (the median unless told otherwise) of `values`. */
export function bootstrapInterval(values, statistic = median, resamples = RESAMPLES) {
  const draw = generator(values.length)
  const found = []
  for (let i = 0; i < resamples; i++) found.push(statistic(values.map(() => values[draw(values.length)])))
  found.sort(ascending)
  return [percentile(found, 0.025), percentile(found, 0.975)]
}

/** The 95 % interval of the value at rank `share`: between two ranks, by the normal approximation of the binomial law. */
export function percentileInterval(values, share) {
  const sorted = [...values].sort(ascending)
  const spread = 1.96 * Math.sqrt(sorted.length * share * (1 - share))
  const at = (rank) => sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] ?? Number.NaN
  const middle = (sorted.length - 1) * share
  return [at(Math.floor(middle - spread)), at(Math.ceil(middle + spread))]
}
