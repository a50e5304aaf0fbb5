/**
 * Shows how far a sweep is: on a terminal a line with a bar, which is written over; elsewhere a line now and then.
 *
 * @module
 */
import { progressLine } from './banner.ts'
import type { SweepProgress } from './seed-queue.ts'

const LIVE_EVERY_MS = 100
const LINE_EVERY_MS = 5000

/** Where it is shown. */
interface ProgressOutput {
  readonly isTerminal: boolean
  /** Writes to a terminal, without a new line. */
  readonly write: (text: string) => void
  /** Writes a line. */
  readonly line: (text: string) => void
}

/** Standard error, as test runners want it: whole lines through `console`. */
const standardError: ProgressOutput = {
  isTerminal: process.stderr.isTTY,
  write: (text) => void process.stderr.write(text),
  line: (text) => console.error(text),
}

/** The progress of one sweep. */
export class Progress {
  readonly #output: ProgressOutput
  #shownMs = 0

  constructor(output: ProgressOutput = standardError) {
    this.#output = output
  }

  show(progress: SweepProgress): void {
    const { isTerminal, write, line } = this.#output
    const { failing } = progress
    if (failing) {
      // What it is about is looked into at the end, which may be hours away.
      this.clear()
      const [what] = failing.failure.message.split('\n')
      line(`seed ${failing.seed} fails: ${what}`)
    }
    if (progress.elapsedMs - this.#shownMs < (isTerminal ? LIVE_EVERY_MS : LINE_EVERY_MS)) return
    this.#shownMs = progress.elapsedMs
    if (isTerminal) write(`\r\u001B[K${progressLine(progress)}`)
    else line(progressLine(progress))
  }

  /** Takes the line away, before anything else is printed. */
  clear(): void {
    if (this.#output.isTerminal && this.#shownMs > 0) this.#output.write('\r\u001B[K')
  }
}
