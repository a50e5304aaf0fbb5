// Medians, spread, and the ratio of pairs that were measured in turn.

/** The value below which `share` (0..1) of `values` lie. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const low = Math.floor(position)
  const high = Math.ceil(position)
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low)
}

export const median = (values) => quantile(values, 0.5)

/**
 * The 95 % interval of the median of `values`, from order statistics (binomial), which needs no assumption about
 * their distribution. With fewer than 6 values it is the whole range.
 */
export function medianInterval(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const n = sorted.length
  if (n < 6) return [sorted[0], sorted[n - 1]]
  const spread = 0.98 * Math.sqrt(n)
  const low = Math.max(0, Math.floor(n / 2 - spread))
  const high = Math.min(n - 1, Math.ceil(n / 2 + spread) - 1)
  return [sorted[low], sorted[high]]
}

/** Median and interval of the ratios a/b, pair by pair. */
export function ratio(a, b) {
  const ratios = a.map((value, i) => value / b[i])
  return { median: median(ratios), interval: medianInterval(ratios) }
}

export function summary(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}
