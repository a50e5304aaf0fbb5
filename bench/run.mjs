// Every benchmark, or those named, one after the other, each in a process of its own. `--quick` for a short run,
// `--json` for programs. A suite's table is followed by what its process took, which in JSON is its field `process`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const SUITES = [
  { name: 'scheduler', file: './scheduler.mjs', flags: ['--expose-gc'] },
  { name: 'network', file: './network.mjs', flags: ['--expose-gc'] },
  { name: 'transport', file: './transport.mjs', flags: ['--expose-gc'] },
  { name: 'simulator', file: './simulator.mjs', flags: ['--expose-gc'] },
  { name: 'trace', file: './trace.mjs', flags: ['--expose-gc'] },
  { name: 'iroh', file: './iroh.mjs', flags: ['--conditions=iroh', '--expose-gc'] },
  { name: 'relay', file: './relay.mjs', flags: ['--expose-gc'] },
  { name: 'flood', file: './flood.mjs', flags: ['--conditions=iroh'] },
  { name: 'doors', file: './doors.mjs', flags: ['--conditions=iroh', '--expose-gc'] },
  { name: 'held', file: './held.mjs', flags: ['--conditions=iroh', '--expose-gc'] },
]
const USAGE = new URL('./lib/usage.mjs', import.meta.url).href

const args = process.argv.slice(2)
const json = args.includes('--json')
const options = args.filter((arg) => arg.startsWith('-'))
const only = args.filter((arg) => !arg.startsWith('-'))
const unknown = only.filter((name) => !SUITES.some((suite) => suite.name === name))
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${SUITES.map((suite) => suite.name).join(', ')}`)
  process.exit(2)
}

const reports = {}
for (const suite of SUITES.filter(({ name }) => only.length === 0 || only.includes(name))) {
  const file = fileURLToPath(new URL(suite.file, import.meta.url))
  const { status, signal, stdout, output } = spawnSync(
    process.execPath,
    [...suite.flags, '--import', USAGE, file, ...options],
    {
      stdio: ['ignore', json ? 'pipe' : 'inherit', 'inherit', 'pipe'],
      encoding: 'utf8',
      timeout: 900_000,
    },
  )
  if (status !== 0) {
    console.error(`the benchmark ${suite.name} failed (${signal ?? `exit ${status}`})`)
    process.exit(1)
  }
  const usage = JSON.parse(output[3])
  if (json) {
    reports[suite.name] = { ...JSON.parse(stdout), process: usage }
  } else {
    const mebibytes = (usage.peakMemoryBytes / 1_048_576).toFixed(0)
    console.log(`\n${suite.name}: ${(usage.wallMs / 1000).toFixed(1)} s, peak memory ${mebibytes} MiB`)
  }
}
if (json) console.log(JSON.stringify(reports, null, 2))
