// The bars, and whether a simulated row is within them. Each row stands by itself.
import { TIMES } from './reference.mjs'
import { bootstrapInterval, ksDistance, median, percentile, percentileInterval } from './statistics.mjs'

export const BARS = {
  median: 0.05,
  p99Lossless: 0.1,
  p99Erratic: 0.2,
  transferLossless: 0.1,
  ksErratic: 0.3,
  /** The measured interval of the median is widened by this share at both ends. */
  intervalErratic: 0.1,
}

/** Of thousands of requests a row; it is sorted each time. */
const P99_RESAMPLES = 500
/** The transfers, and the way that their bytes take. */
const TRANSFERS = new Map([
  ['cold', 'up'],
  ['warm', 'up'],
  ['down100k', 'down'],
])
const LABELS = {
  connect: 'connect',
  first: 'first answer',
  rtt50: 'RTT p50',
  rtt90: 'RTT p90',
  rtt99: 'RTT p99',
  cold: '1 MiB cold',
  warm: '1 MiB warm',
  down100k: '100 KiB down',
}

/** Collects the results of the seeds as the reference's samples are kept, and counts those without one. */
export function collect(all) {
  const results = all.filter((result) => result !== undefined)
  const samples = { lost: all.length - results.length, rtt: results.flatMap(({ rtt }) => rtt ?? []) }
  for (const name of TIMES) samples[name] = results.map((result) => result[name]).filter((time) => time !== undefined)
  return samples
}

function compare(key, measured, simulated) {
  const error = measured === 0 ? (simulated === 0 ? 0 : Number.POSITIVE_INFINITY) : simulated / measured - 1
  return { key, label: LABELS[key] ?? key, measured, simulated, error }
}

/** A figure whose error has to stay below `bar`; without one it is only told. One that is no row's has its label as key. */
export function within(key, measured, simulated, bar) {
  const figure = compare(key, measured, simulated)
  if (bar === undefined) return figure
  return { ...figure, bar: `${100 * bar} %`, limit: bar, pass: Math.abs(figure.error) <= bar }
}

const isBetween = (value, [low, high]) => value >= low && value <= high
const widened = ([low, high]) => [low * (1 - BARS.intervalErratic), high * (1 + BARS.intervalErratic)]

/** A figure whose whole distribution has to be like the measured one. */
export function alike(key, measured, simulated, isQuick) {
  const interval = widened(bootstrapInterval(measured))
  const figure = compare(key, median(measured), median(simulated))
  const ks = ksDistance(measured, simulated)
  // Few seeds are uncertain themselves: by the band of Dvoretzky, Kiefer and Wolfowitz, and by the median's interval.
  const limit = isQuick ? BARS.ksErratic + Math.sqrt(Math.log(40) / 2 / simulated.length) : BARS.ksErratic
  const [low, high] = isQuick ? bootstrapInterval(simulated) : [figure.simulated, figure.simulated]
  const isInside = high >= interval[0] && low <= interval[1]
  const bar = `KS ${limit.toFixed(2)}, ${interval.map((end) => end.toFixed(0)).join('..')}`
  return { ...figure, ks, interval, bar, limit, pass: ks <= limit && isInside }
}

/** A figure whose median has to be near the measured one; of few seeds it is uncertain itself. */
function near(key, measured, simulated, bar, isQuick) {
  const figure = within(key, median(measured), median(simulated), bar)
  if (!isQuick || figure.pass) return figure
  const [low, high] = bootstrapInterval(simulated)
  return { ...figure, pass: high >= figure.measured * (1 - bar) && low <= figure.measured * (1 + bar) }
}

/** The figures of a row, each measured, simulated, and judged by its bar. */
export function judge(row, simulated, { isQuick = false } = {}) {
  const { samples, isErratic, erraticWays, isLocal } = row
  const figures = []
  const add = (key, from, make) => {
    if (samples[from].length > 0 && simulated[from].length > 0) figures.push(make(samples[from], simulated[from]))
  }
  for (const key of ['connect', 'first']) {
    add(key, key, (real, sim) => near(key, real, sim, BARS.median, isQuick))
  }
  add('rtt50', 'rtt', (real, sim) => within('rtt50', median(real), median(sim), BARS.median))
  add('rtt90', 'rtt', (real, sim) => within('rtt90', percentile(real, 0.9), percentile(sim, 0.9)))
  const p99Bar = isErratic ? BARS.p99Erratic : BARS.p99Lossless
  add('rtt99', 'rtt', (real, sim) => {
    const figure = within('rtt99', percentile(real, 0.99), percentile(sim, 0.99), p99Bar)
    // Where about one request in a hundred meets a loss the percentile stands on a cliff, and a few samples decide on
    // which side: measured ones, or simulated ones. What they cannot tell apart is said to be so.
    if (figure.pass) return figure
    const interval = widened(bootstrapInterval(real, (values) => percentile(values, 0.99), P99_RESAMPLES))
    if (isBetween(figure.simulated, interval)) return { ...figure, interval, isUndecided: true }
    const simulatedInterval = widened(percentileInterval(sim, 0.99))
    return { ...figure, interval: simulatedInterval, isUndecided: isBetween(figure.measured, simulatedInterval) }
  })
  for (const [key, way] of TRANSFERS) {
    add(key, key, (real, sim) =>
      erraticWays[way] ? alike(key, real, sim, isQuick) : near(key, real, sim, BARS.transferLossless, isQuick),
    )
  }
  if (isLocal) for (const figure of figures) delete figure.pass
  const judged = figures.filter(({ pass }) => pass !== undefined)
  return {
    name: row.name,
    count: row.count,
    isErratic,
    lost: simulated.lost,
    figures,
    pass: judged.every(({ pass }) => pass),
  }
}

/**
 * How many figures are within their bars, how many of the others the measurement cannot tell from it, and the median of
 * the errors of those that have one.
 */
export function summarise(judgements) {
  const judged = judgements.flatMap(({ figures }) => figures.filter(({ pass }) => pass !== undefined))
  const missed = judged.filter(({ pass }) => !pass)
  const undecided = missed.filter(({ isUndecided }) => isUndecided).length
  const errors = judged.flatMap(({ error }) => (error === undefined ? [] : [Math.abs(error)]))
  const medianError = errors.length > 0 ? median(errors) : Number.NaN
  return { figures: judged.length, missed: missed.length, undecided, medianError, pass: missed.length === undecided }
}
