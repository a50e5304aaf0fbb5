/**
 * The command line of an example: `--backend simulator|iroh`, `--seed N`, `--trace FILE`.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { P2PError, parseSeed } from '@moosicbox/p2p'

/** What was asked for. */
export interface StageOptions {
  readonly backend: 'simulator' | 'iroh'
  readonly seed: bigint | undefined
  readonly trace: string | undefined
}

/** Runs an example's program; says in one line what is wrong, and sets the exit code. */
export async function runCommand(help: string, play: (options: StageOptions) => Promise<void>): Promise<void> {
  try {
    const { values } = parseArgs({
      options: {
        backend: { type: 'string', default: 'simulator' },
        seed: { type: 'string' },
        trace: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const { backend, seed, trace } = values
    if (values.help === true) {
      process.stdout.write(help)
      return
    }
    if (backend !== 'simulator' && backend !== 'iroh') throw new TypeError(`--backend ${backend}: simulator or iroh`)
    await play({ backend, seed: seed === undefined ? undefined : parseSeed(seed, '--seed'), trace })
  } catch (error) {
    const isUsage = error instanceof TypeError || P2PError.is(error, 'invalid-configuration')
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = isUsage ? 2 : 1
  }
}

/** Prints a line of an actor's with the time it has. */
export function speaker(nowMs: () => number): (name: string, text: string) => void {
  return (name, text) => {
    process.stdout.write(`${(nowMs() / 1000).toFixed(1).padStart(7)} s  ${name.padEnd(8)}  ${text}\n`)
  }
}
