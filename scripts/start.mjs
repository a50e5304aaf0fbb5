#!/usr/bin/env node
// Usage: start.mjs [ARGUMENTS]
// Starts the music example on the network that its arguments ask for, which is decided when a program starts: iroh for
// serve, play and --backend iroh, else the simulator.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { launch } from './launch.mjs'

const main = fileURLToPath(new URL('../build/examples/music/main.js', import.meta.url))
if (!existsSync(main)) {
  console.error('error: the program is not built yet: npm run build')
  process.exit(1)
}

const args = process.argv.slice(2)
const flag = args.findLast((arg) => arg.startsWith('--backend='))?.slice('--backend='.length)
const backend = flag ?? args[args.lastIndexOf('--backend') + 1 || args.length]
const isProgram = args[0] === 'serve' || args[0] === 'play'
const iroh = backend === 'iroh' || (backend === undefined && isProgram)

launch(main, args, { iroh, alone: !isProgram })
