/** The walls of the house: which room may import which, and who may touch time, randomness and the machine. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '../../src')

/** What each room may import besides itself. `index` is the front door, which composes. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  runtime: ['core'],
  discovery: ['core'],
  reflector: ['core'],
  relay: ['core', 'runtime'],
  router: ['core'],
  testing: ['core'],
  trace: ['core'],
  backend: ['core'],
  cli: ['core', 'iroh', 'reflector', 'relay', 'simtest', 'trace'],
  ambient: ['runtime'],
  simulator: ['core', 'runtime'],
  simtest: ['core', 'runtime', 'router', 'simulator', 'testing'],
  iroh: ['core', 'runtime'],
  index: ['core', 'runtime', 'router', 'discovery', '#backend'],
}

/** Packages from npm or Node that a room may import; `*` is every room. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '*': ['node:crypto'],
  core: [],
  runtime: [
    'node:async_hooks',
    'node:fs',
    'node:fs/promises',
    'node:inspector',
    'node:module',
    'node:path',
    'node:process',
    'node:timers',
    'node:timers/promises',
    'node:url',
    'node:util',
    'node:vm',
    'node:worker_threads',
  ],
  discovery: [
    'bittorrent-dht',
    'dns-packet',
    'node:dgram',
    'node:dns/promises',
    'node:events',
    'node:fs/promises',
    'node:net',
    'node:os',
    'node:path',
  ],
  reflector: [],
  relay: ['node:http', 'node:https', 'node:net', 'node:stream', 'ws', '@noble/hashes/blake3.js'],
  router: ['rou3', 'mrmime', 'find-my-way'],
  testing: ['fast-check', 'node:assert', 'node:assert/strict'],
  simulator: [],
  trace: [],
  backend: [],
  cli: [
    'node:fs',
    'node:fs/promises',
    'node:path',
    'node:process',
    'node:url',
    'node:util',
    'node:stream',
    'node:stream/promises',
  ],
  simtest: [
    'fast-check',
    'node:fs',
    'node:module',
    'node:path',
    'node:test',
    'node:url',
    'node:worker_threads',
    'node:util',
    'node:os',
  ],
  iroh: [
    '@number0/iroh',
    'node:dns/promises',
    'node:http',
    'node:https',
    'node:module',
    'node:os',
    'node:tls',
    'node:worker_threads',
  ],
}

/** The machine's clock, timers and randomness. Only `src/runtime` may name them. */
const FORBIDDEN =
  /(?<![.\w#])(?:new Date\b|Date\.|Date\(|performance\b|setTimeout\b|setInterval\b|setImmediate\b|queueMicrotask\b|process\.(?:nextTick|hrtime|uptime|_tickCallback)|Math\.random\b|(?<!\s{2})randomBytes\(|randomUUID\b|getRandomValues\b|randomInt\b)/

/** Declared exceptions: file to what it may use, and why. */
const EXCEPTIONS: Readonly<Record<string, { readonly pattern: RegExp; readonly why: string }>> = {}

interface Module {
  readonly file: string
  readonly room: string
  readonly text: string
  readonly imports: readonly string[]
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1')
}

const modules: Module[] = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()
  .map((file) => {
    const text = withoutComments(readFileSync(join(SOURCE, file), 'utf8'))
    const room = file.includes('/') ? (file.split('/')[0] ?? '') : 'index'
    const imports = [
      ...text.matchAll(
        /(?:^|\n)\s*(?:(?:import|export)\b[^'\n]*(?:\n[^'\n]*)*?\bfrom\s+|import\s+)'([^']+)'|\bimport\('([^']+)'\)/g,
      ),
    ].map((match) => match[1] ?? match[2] ?? '')
    return { file, room, text, imports }
  })

function roomOf(module: Module, specifier: string): string {
  const target = relative(SOURCE, join(SOURCE, dirname(module.file), specifier))
  return target.includes('/') ? (target.split('/')[0] ?? '') : 'index'
}

describe('the walls', () => {
  test('there is a rule for every room', () => {
    expect(modules.length).toBeGreaterThan(10)
    expect(modules.filter((module) => !(module.room in ALLOWED)).map((module) => module.file)).toEqual([])
  })

  test('rooms import only those they stand on', () => {
    const breaches = modules.flatMap((module) =>
      module.imports
        .filter((specifier) => specifier.startsWith('.') || specifier.startsWith('#'))
        .map((specifier) => (specifier.startsWith('#') ? specifier : roomOf(module, specifier)))
        .filter((room) => room !== module.room && !(ALLOWED[module.room] ?? []).includes(room))
        .map((room) => `${module.file} imports ${room}`),
    )
    expect(breaches).toEqual([])
  })

  test('rooms import only the packages they declare', () => {
    const breaches = modules.flatMap((module) =>
      module.imports
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('#'))
        .filter((name) => !(PACKAGES['*'] ?? []).includes(name) && !(PACKAGES[module.room] ?? []).includes(name))
        .map((name) => `${module.file} imports ${name}`),
    )
    expect(breaches).toEqual([])
  })

  test('nothing outside src/runtime touches clock, timers or randomness', () => {
    const breaches = modules
      .filter((module) => module.room !== 'runtime')
      .flatMap((module) =>
        module.text
          .split('\n')
          .filter((line) => FORBIDDEN.test(line.replace(EXCEPTIONS[module.file]?.pattern ?? /(?!)/, '')))
          .map((line) => `${module.file}: ${line.trim()}`),
      )
    expect(breaches).toEqual([])
  })

  test('nothing iterates in an order that an engine may choose', () => {
    const breaches = modules.flatMap((module) =>
      module.text
        .split('\n')
        .filter((line) => /for \((?:const|let|var) \S+ in /.test(line))
        .map((line) => `${module.file}: ${line.trim()}`),
    )
    expect(breaches).toEqual([])
  })

  test('the simulator decides order and size with exact arithmetic only', () => {
    const inexact = /Math\.(?:cbrt|pow|exp|expm1|log|log2|log10|log1p|sin|cos|tan|atan2?|hypot)\b|\*\*(?!\/)/
    const breaches = modules
      .filter((module) => module.room === 'simulator')
      .flatMap((module) =>
        module.text
          .split('\n')
          .filter((line) => inexact.test(line))
          .map((line) => `${module.file}: ${line.trim()}`),
      )
    expect(breaches).toEqual([])
  })
})
