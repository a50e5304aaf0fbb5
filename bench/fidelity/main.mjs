// `npm run fidelity`: the simulated internet next to measured reality, row by row. Fails when a bar is missed.
import { parseArgs } from 'node:util'
import { printTable } from '../lib/table.mjs'
import { collect, judge, summarise } from './judge.mjs'
import { runSeeds } from './pool.mjs'
import { DEFAULT_REFERENCE, loadReference } from './reference.mjs'
import { markdown, tableRows } from './report.mjs'

const USAGE = `npm run fidelity -- [options]
  --quick            20 seeds a row instead of 200
  --seeds N          so many seeds a row
  --rows A,B         only these links
  --reference FILE   other measured samples: a line of JSON a repetition, as in bench/fidelity/reference/direct.jsonl
  --json, --markdown print that instead of a table
  --no-fail          exit with 0 although a bar is missed`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seeds: { type: 'string' },
    rows: { type: 'string' },
    reference: { type: 'string' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    'no-fail': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}

const seeds = Number(options.seeds ?? (options.quick ? 20 : 200))
if (!(Number.isInteger(seeds) && seeds > 0)) throw new Error(`--seeds ${options.seeds}: a whole number above 0`)
const rows = choose(loadReference(options.reference ?? DEFAULT_REFERENCE), options.rows?.split(','))

function choose(all, names) {
  for (const name of names ?? []) {
    if (!all.some((row) => row.name === name)) {
      throw new Error(`no link ${name}; there are ${all.map((row) => row.name).join(', ')}`)
    }
  }
  return names ? all.filter((row) => names.includes(row.name)) : all
}

const results = await runSeeds(rows, seeds)
const judgements = rows.map((row, i) => judge(row, collect(results[i])))
const summary = summarise(judgements)

if (options.json) console.log(JSON.stringify({ seeds, summary, rows: judgements }, null, 2))
else if (options.markdown) console.log(markdown(judgements, summary, seeds))
else {
  const columns = ['link', 'figure', 'measured', 'simulated', 'error', 'KS', 'bar', '']
  printTable(`fidelity: measured iroh and the simulation, ms, ${seeds} seeds a row`, columns, tableRows(judgements))
  const { figures, missed, medianError } = summary
  console.log(
    `\n${figures - missed} of ${figures} figures within their bars; median error ${(100 * medianError).toFixed(1)} %`,
  )
}
if (!summary.pass && !options['no-fail']) process.exitCode = 1
