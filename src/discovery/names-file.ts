/**
 * A JSON file of names: `{ "home": "<ticket or node id>", … }`, small enough to be read whenever somebody asks.
 *
 * @module
 */
import { mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { P2PError } from '../core/errors.ts'

/** Some 5,000 names with addresses; a file beyond this is not what it should be. */
const MAX_FILE_BYTES = 1_048_576

const NO_NAMES: ReadonlyMap<string, unknown> = new Map()

/** What is found when the file is not there. */
export type Missing = 'is-empty' | 'is-an-error'

/** Reads and replaces the file; what it says about names is checked by whoever asks for one. */
export class NamesFile {
  /** The absolute path. */
  readonly path: string
  readonly #missing: Missing
  /** What was read last, so that what has not changed is not read a second time. */
  #last: { readonly text: string; readonly names: ReadonlyMap<string, unknown> } | undefined
  /** Changes of this process wait for each other. */
  #changes: Promise<void> = Promise.resolve()

  constructor(path: string, missing: Missing) {
    this.path = resolve(path)
    this.#missing = missing
  }

  /**
   * Names and what stands behind them, as yet unchecked; the same object as before when the file is the same.
   *
   * @param name what is asked for, for the error
   * @throws P2PError `discovery-failed`
   */
  async read(name: string): Promise<ReadonlyMap<string, unknown>> {
    let text: string
    try {
      const { size } = await stat(this.path)
      if (size > MAX_FILE_BYTES) throw this.failure(name, `it has ${size} bytes, and ${MAX_FILE_BYTES} are the most`)
      text = await readFile(this.path, 'utf8')
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOENT' && this.#missing === 'is-empty') return NO_NAMES
      const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code ?? 'unknown error'})`
      throw P2PError.is(error) ? error : this.failure(name, why, error)
    }
    if (this.#last?.text === text) return this.#last.names
    let content: unknown
    try {
      content = JSON.parse(text)
    } catch (error) {
      throw this.failure(name, `it is no JSON (${(error as Error).message})`, error)
    }
    if (typeof content !== 'object' || content === null || Array.isArray(content)) {
      throw this.failure(name, 'it should hold an object, {"name": "ticket or node id"}')
    }
    const names = new Map(Object.entries(content))
    this.#last = { text, names }
    return names
  }

  /**
   * Sets one name. Readers see the file before or after, never in between; of two processes that change it at the same
   * moment, the later one may undo what the earlier one did.
   *
   * @throws P2PError `discovery-failed`
   */
  async set(name: string, ticket: string): Promise<void> {
    const change = this.#changes.then(async () => {
      const names = new Map(await this.read(name)).set(name, ticket)
      try {
        await replaceFile(this.path, `${JSON.stringify(Object.fromEntries(names), undefined, 2)}\n`)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
        throw this.failure(name, `it cannot be written (${code})`, error)
      }
    })
    this.#changes = change.catch(() => undefined)
    return change
  }

  /** The error that names the file, and what is wrong with it. */
  failure(name: string, why: string, cause?: unknown): P2PError {
    return P2PError.of('discovery-failed', `the file of names ${this.path}: ${why}`, { query: name }, { cause })
  }
}

/** Writes beside the file and renames; a directory of its own makes the temporary name unique. */
async function replaceFile(path: string, text: string): Promise<void> {
  const directory = await mkdtemp(join(dirname(path), `.${basename(path)}-`))
  try {
    const temporary = join(directory, 'new')
    const handle = await open(temporary, 'wx', 0o644)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
