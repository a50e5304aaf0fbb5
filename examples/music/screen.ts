/**
 * The terminal: lines, and a progress bar in place below them; where there is no terminal, a few plain lines instead.
 *
 * @module
 */
import { formatBytes, formatDuration, printable } from './format.ts'

/** Where the text goes; `process.stdout` is one. */
export interface TextOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** How far a transfer is. */
export interface Progress {
  readonly doneBytes: number
  readonly totalBytes: number
  readonly bytesPerSecond: number
  /** What else to say, at the end of the line. */
  readonly note?: string | undefined
}

const BAR_CELLS = 24
/** Without a terminal a transfer is worth one line a quarter. */
const PLAIN_STEP = 0.25
const LABEL_WIDTH = 12

/** Prints. Nothing of it knows or keeps time. */
export class Screen {
  /** Whether it is a terminal, where words can be replaced by others. */
  readonly isLive: boolean
  readonly #output: TextOutput
  /** The bar on the last line of the terminal, if there is one. */
  #bar: string | undefined
  /** Without a terminal: the share of the transfer at which the next line is due. */
  #nextPlain = PLAIN_STEP

  constructor(output: TextOutput) {
    this.#output = output
    this.isLive = output.isTTY === true
  }

  /** A line of its own. */
  line(text = ''): void {
    this.#output.write(this.#bar === undefined ? `${text}\n` : `\r\u001b[K${text}\n${this.#bar}`)
  }

  /** A line with a label in front: `Cover     image/png, 5 kB`. */
  fact(label: string, text: string): void {
    this.line(`${label.padEnd(LABEL_WIDTH)}${printable(text)}`)
  }

  /** Says on the last line what is going on, until something else stands there; nothing where there is no terminal. */
  status(text: string): void {
    if (this.isLive) this.#show(printable(text))
  }

  /** Removes the last line's status, or bar. */
  clear(): void {
    if (this.#bar !== undefined) this.#output.write('\r\u001b[K')
    this.#bar = undefined
  }

  /** Shows or moves the bar. */
  progress(progress: Progress): void {
    if (this.isLive) {
      this.#show(describe(progress, BAR_CELLS))
    } else if (progress.doneBytes >= this.#nextPlain * progress.totalBytes) {
      this.line(describe(progress, 0))
      this.#nextPlain = (Math.floor(progress.doneBytes / progress.totalBytes / PLAIN_STEP) + 1) * PLAIN_STEP
    }
  }

  /** Leaves the bar where it is; the next one starts afresh. */
  endProgress(): void {
    if (this.#bar !== undefined) this.#output.write('\n')
    this.#bar = undefined
    this.#nextPlain = PLAIN_STEP
  }

  #show(text: string): void {
    // A terminal that does not know its width says 0.
    const bar = text.slice(0, (this.#output.columns || 80) - 1)
    if (bar === this.#bar) return
    this.#output.write(`\r\u001b[K${bar}`)
    this.#bar = bar
  }
}

function describe({ doneBytes, totalBytes, bytesPerSecond, note }: Progress, cells: number): string {
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes
  const filled = Math.round(share * cells)
  const bar = cells === 0 ? '' : `${'█'.repeat(filled)}${'░'.repeat(cells - filled)} `
  const percent = `${Math.floor(share * 100)} %`.padStart(5)
  const rate = `${formatBytes(bytesPerSecond)}/s`.padStart(9)
  const left = totalBytes - doneBytes
  const eta =
    left === 0
      ? ''
      : bytesPerSecond === 0
        ? '  ETA -:--'
        : `  ETA ${formatDuration((left / bytesPerSecond) * 1000 + 999)}`
  return `${' '.repeat(LABEL_WIDTH)}${bar}${percent} ${rate}${eta}${note === undefined ? '' : `  ${note}`}`
}
