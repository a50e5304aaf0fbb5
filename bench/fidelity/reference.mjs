// The measured samples, link by link.
//
// `reference/direct.jsonl` was measured with real iroh 1.4.1 (Rust) over emulated links: two endpoints in two network
// namespaces, a layer-2 emulator between them, no relay, no NAT, IPv4, a known address. A line is one repetition with a
// new endpoint, key and connection; all figures are milliseconds. Another file of the same shape adds links, or takes the
// place of these: `npm run fidelity -- --reference FILE.jsonl`. `reference/held-out.jsonl` has other links, which the model
// had not seen when it was made, measured by `npm run natlab -- --only links`. There `emulatorMs` is what the emulator added
// to the time of a packet, on average over the repetition, and `processingMs` what a host that was awake took for one, measured
// on the same machine over a link without delay.
import { readFileSync } from 'node:fs'
import { EMULATOR_MS, isErratic, parseLink } from './links.mjs'
import { median } from './statistics.mjs'

export const DEFAULT_REFERENCE = new URL('./reference/direct.jsonl', import.meta.url)
export const HELD_OUT_REFERENCE = new URL('./reference/held-out.jsonl', import.meta.url)

/** The times of one repetition that are one number; `rtt` is a list. */
export const TIMES = ['connect', 'first', 'cold', 'warm', 'down100k']

/**
 * Rows by link, in the order of the file: `name`, `up`, `down` (parsed), `erraticWays`, `isErratic`, `isLocal` (nothing but CPU), `count`,
 * the median `emulatorMs` and `processingMs` of the repetitions that say them (all in `conditions`), and the samples by figure.
 */
export function loadReference(file = DEFAULT_REFERENCE) {
  const rows = new Map()
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue
    try {
      addRepetition(rows, JSON.parse(line))
    } catch (error) {
      throw new Error(`${file}, line ${index + 1}: ${error.message}`, { cause: error })
    }
  }
  if (rows.size === 0) throw new Error(`${file}: there is no sample in it`)
  for (const row of rows.values()) {
    for (const [name, times] of Object.entries(row.conditions)) if (times.length > 0) row[name] = median(times)
  }
  return [...rows.values()]
}

function addRepetition(rows, sample) {
  const { link, up, down = up } = sample
  if (typeof link !== 'string' || typeof up !== 'string' || typeof down !== 'string') {
    throw new Error('a sample has to say its `link`, `up` and `down`')
  }
  const key = `${link} ${up} ${down}`
  let row = rows.get(key)
  if (!row) {
    const ways = { up: parseLink(up), down: parseLink(down) }
    const erraticWays = { up: isErratic(ways.up), down: isErratic(ways.down) }
    row = {
      name: link,
      ...ways,
      erraticWays,
      isErratic: erraticWays.up || erraticWays.down,
      isLocal: [ways.up, ways.down].every(({ delayMs, rateMbit }) => delayMs === 0 && rateMbit === 0),
      count: 0,
      conditions: { emulatorMs: [], processingMs: [] },
      emulatorMs: EMULATOR_MS,
      processingMs: undefined,
      samples: { rtt: [], ...Object.fromEntries(TIMES.map((name) => [name, []])) },
    }
    rows.set(key, row)
  }
  row.count++
  for (const [name, times] of Object.entries(row.conditions)) {
    if (sample[name] !== undefined) times.push(timeOf(sample, name))
  }
  for (const name of TIMES) {
    // A figure that was not taken is left out; one that is no number is a mistake.
    if (sample[name] === undefined || sample[name] === null) continue
    row.samples[name].push(timeOf(sample, name))
  }
  row.samples.rtt.push(...(sample.rtt ?? []))
}

function timeOf(sample, name) {
  if (sample[name] >= 0) return sample[name]
  throw new Error(`${name} = ${sample[name]} is no time`)
}
