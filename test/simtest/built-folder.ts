/** A folder inside of the built package, so that programs in it find the package by its name, and how they are run. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
export const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs')

export interface Ended {
  readonly code: number
  readonly text: string
}

/** This process's environment, without what belongs to its own tests. */
function cleanEnvironment(): Record<string, string | undefined> {
  const mine = /^(?:VITEST|SIMULATOR_|NODE_TEST|NODE_OPTIONS)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !mine.test(name)))
}

export class BuiltFolder {
  readonly path: string

  constructor(files: Readonly<Record<string, string>>) {
    mkdirSync(join(ROOT, 'build'), { recursive: true })
    this.path = mkdtempSync(join(ROOT, 'build/simtest-'))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.path, name), text)
  }

  /** Runs Node in it. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return new Promise((resolve) => {
      const options = { cwd: this.path, env: { ...cleanEnvironment(), ...env }, timeout: 230_000 }
      execFile(process.execPath, args, options, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, text: `${stdout}\n${stderr}` })
      })
    })
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}
