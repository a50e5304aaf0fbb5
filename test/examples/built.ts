/**
 * The built example, as its users start it.
 *
 * @module
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const ROOT: string = join(import.meta.dirname, '../..')
export const LIBRARY: string = join(ROOT, 'examples/music/library')

/** Builds the package and the examples unless that was done since the last change, as `npm test` does before. */
export function build(): void {
  const newest = Math.max(...['src', 'examples'].map((folder) => newestIn(join(ROOT, folder))))
  const built = statSync(join(ROOT, 'build/examples/music/main.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (built > newest) return
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
}

function newestIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return Math.max(...files.map((file) => statSync(join(folder, file)).mtimeMs))
}

/** One line of warning, and Node's hint, where the native door of iroh is not built. */
const OFFICIAL_BINDING = /^\(node:\d+\) \[P2P_OFFICIAL_BINDING\] Warning: .*\n\(Use `node --trace-warnings .*\n/gm

/** How a program ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: Buffer
  /** Without the warning that the native door of iroh is missing, as it is on most machines. */
  readonly stderr: string
}

/** A running `start.mjs`, and everything it has said. */
export class Program {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  readonly #stdout: Buffer[] = []
  #stderr = ''
  #said: (() => void) | undefined

  constructor(
    args: readonly string[],
    options: {
      readonly cwd?: string
      readonly readStdout?: boolean
      readonly script?: string
      /** On top of this process's own. */
      readonly env?: Readonly<Record<string, string>>
    } = {},
  ) {
    this.process = spawn(process.execPath, [join(ROOT, options.script ?? 'scripts/start.mjs'), ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (options.readStdout !== false) this.process.stdout?.on('data', (chunk: Buffer) => this.#heard(chunk))
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
      this.#said?.()
    })
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code) => {
        resolve({ code, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr.replaceAll(OFFICIAL_BINDING, '') })
        this.#said?.()
      })
    })
  }

  /** What it has said so far. */
  get text(): string {
    return Buffer.concat(this.#stdout).toString() + this.#stderr
  }

  /** The first match of `pattern` in what it says; fails when it ends without. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text)
      if (match) return match
      if (this.process.exitCode !== null) throw new Error(`ended without saying ${pattern}:\n${this.text}`)
      await new Promise<void>((resolve) => {
        this.#said = resolve
      })
    }
  }

  /** Ctrl-C; how it ends then. */
  interrupt(): Promise<Ended> {
    this.process.kill('SIGINT')
    return this.ended
  }

  #heard(chunk: Buffer): void {
    this.#stdout.push(chunk)
    this.#said?.()
  }
}

/** Runs the program to its end. */
export function run(...args: readonly string[]): Promise<Ended> {
  return new Program(args).ended
}

/** Runs one of the other examples to its end. */
export function runExample(...args: readonly string[]): Promise<Ended> {
  return new Program(args, { script: 'scripts/example.mjs' }).ended
}
