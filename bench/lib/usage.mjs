// Loaded before a suite (`--import`): as the process ends it tells the runner, on descriptor 3, what the process took.
import { writeSync } from 'node:fs'

const RUNNER = 3

process.on('exit', () => {
  const usage = { wallMs: Math.round(performance.now()), peakMemoryBytes: process.resourceUsage().maxRSS * 1024 }
  writeSync(RUNNER, JSON.stringify(usage))
})
