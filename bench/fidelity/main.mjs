// `npm run fidelity`: the simulated internet next to measured reality, row by row. Fails when a bar is missed.
import { parseArgs } from 'node:util'
import { printTable } from '../lib/table.mjs'
import { collect, judge, summarise } from './judge.mjs'
import { pathGroups } from './paths.mjs'
import { writePlots } from './plot.mjs'
import { runSeeds } from './pool.mjs'
import { DEFAULT_REFERENCE, HELD_OUT_REFERENCE, loadReference } from './reference.mjs'
import { casualties, conclusion, groupsOf, markdown, tableRows } from './report.mjs'

const USAGE = `npm run fidelity -- [options]
  --quick            20 seeds a row instead of 200, 60 instead of 2000 where distributions are compared, and wider bars
  --seeds N          so many seeds a row
  --rows A,B         only these rows
  --links            only what was measured link by link: no NATs, relays and outages
  --reference FILE   other measured samples: a line of JSON a repetition, as in bench/fidelity/reference/direct.jsonl
  --json, --markdown print that instead of a table
  --plots DIRECTORY  draw the pictures of docs/fidelity.md there
  --no-fail          exit with 0 although a bar is missed`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seeds: { type: 'string' },
    rows: { type: 'string' },
    links: { type: 'boolean', default: false },
    reference: { type: 'string' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    plots: { type: 'string' },
    'no-fail': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}

const seeds = Number(options.seeds ?? (options.quick ? 20 : 200))
/**
 * The distance of two distributions is worth as much as the smaller sample: the simulated one should not be that. With 2000
 * seeds chance moves it by less than 0.03 (1.36 / sqrt(n), Kolmogorov's 95 %), with 600 it was 0.055.
 */
const erraticSeeds = seeds * (options.quick ? 3 : 10)
const seedsOf = (row) => (options.seeds === undefined && row.isErratic ? erraticSeeds : seeds)
if (!(Number.isInteger(seeds) && seeds > 0)) throw new Error(`--seeds ${options.seeds}: a whole number above 0`)
const heldOut = options.reference === undefined ? loadReference(HELD_OUT_REFERENCE) : []
const reference = [...loadReference(options.reference ?? DEFAULT_REFERENCE), ...heldOut]
// What was seen of relays and NATs does not depend on which links somebody has measured.
const groups = options.reference === undefined && !options.links ? pathGroups(seeds, options.quick) : []
const names = options.rows?.split(',') ?? [...reference, ...groups].map(({ name }) => name)
for (const name of names) {
  if ([...reference, ...groups].some((known) => known.name === name)) continue
  throw new Error(`no row ${name}; there are ${[...reference, ...groups].map((known) => known.name).join(', ')}`)
}
const rows = reference.filter(({ name }) => names.includes(name))
const paths = groups.filter(({ name }) => names.includes(name))

const exchanges = rows.map((row) => {
  const { name, up, down, emulatorMs, processingMs } = row
  return { scenario: 'exchange', setting: { name, up, down, emulatorMs, processingMs }, seeds: seedsOf(row) }
})
const results = await runSeeds([...exchanges, ...paths.flatMap(({ tasks }) => tasks)])
const simulated = rows.map(() => collect(results.shift()))
const judgements = rows.map((row, i) => ({
  ...judge(row, simulated[i], { isQuick: options.quick }),
  isHeldOut: heldOut.includes(row),
}))
for (const group of paths) {
  judgements.push({ name: group.name, ...group.judge(results.splice(0, group.tasks.length)) })
}
const summary = summarise(judgements)
const counts =
  options.seeds === undefined
    ? `${seeds} seeds a row, ${erraticSeeds} where it loses or reorders`
    : `${seeds} seeds a row`

if (options.plots !== undefined) writePlots(options.plots, rows, simulated, judgements)
if (options.json) console.log(JSON.stringify({ seeds, summary, rows: judgements }, null, 2))
else if (options.markdown) console.log(markdown(judgements, counts))
else {
  const columns = ['link', 'figure', 'measured', 'simulated', 'error', 'KS', 'bar', '']
  for (const { title, members } of groupsOf(judgements)) {
    printTable(`${title}: measured iroh and the simulation, ms, ${counts}`, columns, tableRows(members))
    console.log(`\n${conclusion(summarise(members))}; ${casualties(members)}`)
  }
  for (const { figures } of judgements)
    for (const { wrong = [] } of figures) for (const line of wrong) console.log(line)
}
if (!summary.pass && !options['no-fail']) process.exitCode = 1
