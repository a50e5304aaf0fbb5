/**
 * Seeds that once failed: a small file to be committed, whose seeds are tried before any others.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { invalidConfiguration, parseSeed } from '../core/config.ts'
import { writeWhole } from './whole-file.ts'

interface CorpusFile {
  readonly format: 'moosicbox-p2p-seeds'
  readonly version: 1
  /** By the names of tests: decimal seeds, oldest first. */
  readonly tests: Readonly<Record<string, readonly string[]>>
}

const EMPTY: CorpusFile = { format: 'moosicbox-p2p-seeds', version: 1, tests: {} }

function pathOf(corpus: string | URL): string {
  return corpus instanceof URL ? fileURLToPath(corpus) : corpus
}

function read(corpus: string | URL): CorpusFile {
  const path = pathOf(corpus)
  if (!existsSync(path)) return EMPTY
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidConfiguration('corpus', path, `cannot be read: ${why}`)
  }
  const file = value as Partial<CorpusFile>
  if (file?.format !== 'moosicbox-p2p-seeds' || file.version !== 1 || typeof file.tests !== 'object') {
    throw invalidConfiguration(
      'corpus',
      path,
      'is no corpus: { "format": "moosicbox-p2p-seeds", "version": 1, "tests": {} }',
    )
  }
  return file as CorpusFile
}

/**
 * The seeds of a test that once failed; none when there is no such file.
 *
 * @throws P2PError `invalid-configuration` when it is no corpus
 */
export function corpusSeeds(corpus: string | URL | undefined, test: string): bigint[] {
  if (corpus === undefined) return []
  const seeds = read(corpus).tests[test] ?? []
  if (!Array.isArray(seeds)) throw invalidConfiguration('corpus', pathOf(corpus), `the seeds of ${test} are no list`)
  return seeds.map((seed) => parseSeed(String(seed), `corpus ${pathOf(corpus)}`))
}

/** That there is no such file, in a line; undefined where there is, or none was asked for. */
export function missingCorpus(corpus: string | URL | undefined): string | undefined {
  if (corpus === undefined || existsSync(pathOf(corpus))) return undefined
  return `corpus ${pathOf(corpus)} does not exist: no seeds that once failed are tried first`
}

/** Adds seeds that have failed to a corpus, in order, each once; makes the file when there is none. */
export function addToCorpus(corpus: string | URL, test: string, seeds: readonly bigint[]): void {
  const file = read(corpus)
  const known = file.tests[test] ?? []
  const added = seeds.map(String).filter((seed) => !known.includes(seed))
  if (added.length === 0) return
  const tests = { ...file.tests, [test]: [...known, ...new Set(added)] }
  writeWhole(pathOf(corpus), `${JSON.stringify({ ...file, tests }, undefined, 2)}\n`)
}
