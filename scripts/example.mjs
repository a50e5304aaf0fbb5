#!/usr/bin/env node
// Usage: example.mjs NAME [ARGUMENTS]
// Starts an example on the network that its arguments ask for, which is decided when a program starts: iroh for
// --backend iroh, else the simulator. Signals and the exit code are passed on.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const built = new URL('../build/examples/', import.meta.url)
const [name, ...args] = process.argv.slice(2)
const names = existsSync(built)
  ? readdirSync(built).filter((folder) => existsSync(new URL(`${folder}/main.js`, built)))
  : []
if (name === undefined || !names.includes(name)) {
  console.error(
    `usage: npm run example -- NAME [ARGUMENTS]; there are ${names.sort().join(', ') || 'none: npm run build'}`,
  )
  process.exit(2)
}
const backend = args.findLast((arg, i) => arg.startsWith('--backend=') || args[i - 1] === '--backend')
const isIroh = backend === 'iroh' || backend === '--backend=iroh'
const main = fileURLToPath(new URL(`${name}/main.js`, built))
const child = spawn(process.execPath, [...(isIroh ? ['--conditions=iroh'] : []), main, ...args], { stdio: 'inherit' })
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
for (const signal of signals) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`error: cannot start node: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1)
  for (const each of signals) process.removeAllListeners(each)
  process.kill(process.pid, signal)
})
