// Runs a command where nothing but loopback exists, as far as that can be had (isolation.mjs).
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isolated } from './isolation.mjs'

const command = process.argv.slice(2)
if (command.length === 0) {
  console.error('usage: isolated.mjs COMMAND [ARG…]')
  process.exit(2)
}

const [file, ...args] = isolated(command)
const child = spawn(file, args, { stdio: 'inherit', shell: process.platform === 'win32' })
// A terminal signals the whole group; what is sent to this process alone is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
process.on('SIGINT', () => {})
child.on('error', (error) => {
  console.error(`isolated: ${file} cannot be started: ${error.message}`)
  process.exit(127)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 15)))
