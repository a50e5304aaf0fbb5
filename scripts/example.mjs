#!/usr/bin/env node
// Usage: example.mjs NAME [ARGUMENTS]
// Starts an example on the network that its arguments ask for, which is decided when a program starts: iroh for
// --backend iroh, else the simulator.
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { launch } from './launch.mjs'

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
launch(main, args, { iroh: isIroh, alone: true })
