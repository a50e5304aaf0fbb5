// Runs a program of this project on the network that was asked for, which is decided when a program starts: iroh, or the
// simulator. Signals and the exit code are passed on.
import { spawn } from 'node:child_process'
import { isolated } from './isolation.mjs'

/** Becomes `main`, as far as its caller can tell. `alone`: whom it talks with is on this machine, all of them its own. */
export function launch(main, args, { iroh, alone }) {
  const command = [process.execPath, ...(iroh ? ['--conditions=iroh'] : []), main, ...args]
  const [file, ...rest] = iroh && alone ? isolated(command) : command
  const child = spawn(file, rest, { stdio: 'inherit' })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`error: cannot start node: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const name of signals) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}
