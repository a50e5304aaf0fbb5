/**
 * Whether hosts share variables of modules: a run in which it is looked at after every turn of every host which variables
 * have changed. What is only read, and what is written as it was, does not show.
 *
 * @module
 */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { realNowMs } from '../runtime/settle.ts'
import { ModuleState } from '../runtime/module-state.ts'
import type { HostProgram } from '../simulator/index.ts'
import type { SharedStateObserver } from './run.ts'

/** A variable that hosts share. */
interface SharedVariable {
  readonly name: string
  readonly module: string
  /** Who changed it: hosts by name, and with the number of the start where that is not the first. */
  readonly writers: readonly string[]
}

/** What was found. */
interface SharedState {
  readonly variables: readonly SharedVariable[]
  /** Turns of hosts, and how many of them were looked at. */
  readonly turns: number
  readonly looked: number
}

/** Looking takes longer than running. */
const MAX_LOOK_MS = 20_000

/** Follows one run: best the very first, as what a cache has kept is not written again. */
export class SharedStateWatch implements SharedStateObserver {
  readonly #programs: HostProgram[] = []
  readonly #starts = new Map<string, number>()
  /** Hosts that have run since the last look, and what to call them. */
  readonly #ran = new Map<string, string>()
  readonly #writers = new Map<string, { readonly name: string; readonly module: string; readonly by: Set<string> }>()
  #state: ModuleState | undefined
  #lookedMs = 0
  #turns = 0
  #looked = 0

  /** A program of a host, before it starts. */
  program(program: HostProgram): void {
    this.#programs.push(program)
  }

  /** A host's program starts, for the `start`th time. */
  started(host: string, start: number): void {
    this.#starts.set(host, start)
    this.ran(host)
  }

  /** Code of a host runs. */
  ran(host: string): void {
    // What it can get at before it has run.
    this.#state ??= new ModuleState(this.#programs)
    const start = this.#starts.get(host) ?? 1
    this.#ran.set(host, start > 1 ? `${host} (its ${start}. start)` : host)
  }

  /** Code has run. */
  settled(): void {
    if (this.#ran.size === 0) return
    const hosts = [...this.#ran.values()]
    this.#ran.clear()
    this.#turns++
    if (!this.#state || this.#lookedMs > MAX_LOOK_MS) return
    this.#looked++
    const startMs = realNowMs()
    for (const { name, module } of this.#state.changes()) {
      // Of several that ran at once it is not known which it was.
      const [host, ...others] = hosts
      if (host === undefined || others.length > 0) continue
      const key = `${module}\0${name}`
      const entry = this.#writers.get(key) ?? { name, module, by: new Set<string>() }
      this.#writers.set(key, entry)
      entry.by.add(host)
    }
    this.#lookedMs += realNowMs() - startMs
  }

  /** What was found, in words; ends it. */
  end(): string | undefined {
    return describe(this.#found())
  }

  #found(): SharedState {
    this.#state?.[Symbol.dispose]()
    const variables = [...this.#writers.values()]
      .filter(({ by }) => by.size > 1)
      .map(({ name, module, by }) => ({ name, module: shortName(module), writers: [...by] }))
    return { variables, turns: this.#turns, looked: this.#looked }
  }
}

function shortName(module: string): string {
  const path = module.startsWith('file:') ? fileURLToPath(module) : module
  return path.startsWith('/') ? relative(process.cwd(), path) : path
}

function describe({ variables, turns, looked }: SharedState): string | undefined {
  if (variables.length === 0) return undefined
  const lines = variables.map(({ name, module, writers }) => `  ${name} in ${module}, changed by ${writers.join(', ')}`)
  const part = looked < turns ? ` (seen in the first ${looked} of ${turns} turns)` : ''
  return (
    `variables of modules are shared by hosts that would each have their own${part}:\n${lines.join('\n')}\n` +
    "Make them in the program of each host, or give programs as modules' URLs, which are loaded afresh"
  )
}
