// Every benchmark, one after the other, each in a process of its own. `--quick` for a short run, `--json` for programs.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const SUITES = [
  { name: 'simulator', file: './simulator.mjs', flags: ['--expose-gc'] },
  { name: 'iroh', file: './iroh.mjs', flags: ['--conditions=iroh', '--expose-gc'] },
]

const args = process.argv.slice(2)
const only = args.filter((arg) => !arg.startsWith('-'))
const unknown = only.filter((name) => !SUITES.some((suite) => suite.name === name))
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${SUITES.map((suite) => suite.name).join(', ')}`)
  process.exit(2)
}

const reports = {}
for (const suite of SUITES.filter(({ name }) => only.length === 0 || only.includes(name))) {
  const file = fileURLToPath(new URL(suite.file, import.meta.url))
  const json = args.includes('--json')
  const { status, stdout } = spawnSync(
    process.execPath,
    [...suite.flags, file, ...args.filter((arg) => arg.startsWith('-'))],
    {
      stdio: ['ignore', json ? 'pipe' : 'inherit', 'inherit'],
      encoding: 'utf8',
      timeout: 900_000,
    },
  )
  if (status !== 0) {
    console.error(`the benchmark ${suite.name} failed (exit ${status})`)
    process.exit(1)
  }
  if (json) reports[suite.name] = JSON.parse(stdout)
}
if (args.includes('--json')) console.log(JSON.stringify(reports, null, 2))
