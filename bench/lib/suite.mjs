// What the suites share: their options, their rounds and the report of their figures.
import { parseArgs } from 'node:util'
import { summary } from './stats.mjs'
import { printTable, short } from './table.mjs'

/**
 * `--json`, `--quick`, what follows from the second (how many rounds, and the share of the work in each), and `--only=TEXT`,
 * the work whose name has that in it, of suites that can do a part.
 */
export function suiteOptions() {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, only: { type: 'string' } },
  })
  const { json = false, quick = false, only = '' } = values
  return { json, quick, only, rounds: quick ? 3 : 7, scale: quick ? 0.2 : 1 }
}

/**
 * Does `work` once unmeasured, then `count` times. A round is what `work` returns, with the milliseconds it took from
 * call to end as `ms` unless `work` measured a part of itself and says so.
 */
export async function rounds(count, work) {
  const results = []
  await work()
  for (let round = 0; round < count; round++) {
    globalThis.gc?.()
    const start = performance.now()
    const done = await work()
    results.push({ ms: performance.now() - start, ...done })
  }
  return results
}

/** Median, least and most of `value` over `results`. */
export function figure(work, unit, results, value) {
  return { work, unit, ...summary(results.map(value)) }
}

/** Prints `figures` as a table, in which a work that repeats is named once; or as one JSON object. */
export function report(title, figures, options) {
  if (options.json) {
    console.log(JSON.stringify({ rounds: options.rounds, figures }))
    return
  }
  printTable(
    `${title}, medians of ${options.rounds} rounds`,
    ['work', 'unit', 'median', 'min..max'],
    figures.map(({ work, unit, median, min, max }, i) => [
      work === figures[i - 1]?.work ? '' : work,
      unit,
      short(median),
      `${short(min)}..${short(max)}`,
    ]),
  )
}
