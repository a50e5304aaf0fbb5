/** The walls of the house: which room may import which, and who may touch time, randomness and the machine. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '../../src')

/** What each room may import besides itself. `index` is the front door, which composes. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  runtime: ['core'],
  discovery: ['core', 'runtime'],
  reflector: ['core'],
  relay: ['core', 'runtime'],
  router: ['core'],
  testing: ['core'],
  trace: ['core'],
  backend: ['core'],
  cli: ['core', 'iroh', 'reflector', 'relay', 'simtest', 'trace'],
  ambient: ['runtime'],
  simulator: ['core', 'runtime'],
  simtest: ['core', 'runtime', 'simulator'],
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
  router: ['rou3'],
  testing: ['fast-check', 'node:assert/strict'],
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
const NAMES = [
  String.raw`new Date\b|Date[.(]|performance\b`,
  String.raw`(?:set|clear)(?:Timeout|Interval|Immediate)\b|queueMicrotask\b|AbortSignal\.timeout\b`,
  String.raw`process\.(?:nextTick|hrtime|uptime|_tickCallback)`,
  String.raw`Math\.random\b|(?<!\s{2})randomBytes\(|randomUUID\b|getRandomValues\b|randomInt\b`,
  String.raw`\w*[cC]rypto\.(?:random\w+|getRandomValues|generate\w+)\b`,
].join('|')
/** A method or property of the same name is somebody else's, unless it is one of the global object. */
const FORBIDDEN = new RegExp(
  String.raw`(?:(?<![.\w#])|\b(?:globalThis|global|self)(?:\??\.|(?:\?\.)?\[['"\x60]))(?:${NAMES})`,
)

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

  test.each([
    'const late = AbortSignal.timeout(5)',
    'AbortSignal.any([signal, AbortSignal.timeout(5)])',
    'globalThis.setTimeout(work, 5)',
    'globalThis?.setTimeout(work, 5)',
    "globalThis['setInterval'](work, 5)",
    'globalThis?.[`setInterval`](work, 5)',
    'global.performance.now()',
    'new globalThis.Date()',
    'const { setTimeout: later } = globalThis',
    "Reflect.get(globalThis, 'setImmediate')",
    'clearTimeout(timer)',
    'return crypto.randomUUID()',
    'nodeCrypto.randomBytes(8)',
    'globalThis.crypto.getRandomValues(bytes)',
    'const nowMs = Date.now()',
    'await new Promise((resolve) => setTimeout(resolve, 1))',
  ])('the wall knows %s', (line) => {
    expect(line).toMatch(FORBIDDEN)
  })

  test.each([
    'this.#timer = runtime.setTimer(5, work)',
    'this.#setTimeout(5)',
    'runtime.randomBytes(8)',
    '  randomBytes(length: number): Uint8Array {',
    'sim.performance.now',
  ])('the wall lets %s pass', (line) => {
    expect(line).not.toMatch(FORBIDDEN)
  })

  test('nobody is allowed what nobody uses', () => {
    const used = (room: string): ReadonlySet<string> =>
      new Set(
        modules
          .filter((module) => room === '*' || module.room === room)
          .flatMap((module) => module.imports.map((name) => (name.startsWith('.') ? roomOf(module, name) : name))),
      )
    const unused = [ALLOWED, PACKAGES].flatMap((allowances) =>
      Object.entries(allowances).flatMap(([room, names]) => {
        const here = used(room)
        return names.filter((name) => !here.has(name)).map((name) => `${room} may import ${name}, and does not`)
      }),
    )
    expect(unused).toEqual([])
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

  test('what a simulation is made of assigns no function as it is written', () => {
    // V8 makes `a.b = () => …` in its old generation, where it keeps all that it sees until that is marked: whole
    // simulations then survive the collections of a sweep. A function that has a name, or is an argument, does not.
    const written = /(?:\.#?\w+|\w\[\w+\]) (?:\?\?)?= (?:async )?(?:\([^()]*\)(?:: [^=]+)? =>|\w+ =>|function\b)/g
    // Once a process.
    const once = ['simulator/default-world.ts', 'simulator/held-endpoint.ts']
    const breaches = modules
      .filter(({ room, file }) => (room === 'core' || room === 'simulator') && !once.includes(file))
      .concat(modules.filter(({ file }) => file === 'runtime/settle.ts'))
      .flatMap(({ file, text }) => [...text.matchAll(written)].map(([found]) => `${file}: ${found}`))
    expect(breaches).toEqual([])
  })
})
