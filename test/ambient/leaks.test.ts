/** Hosts that reach for something real are told, with the host, the thing and the line. */
import childProcess from 'node:child_process'
import nodeCrypto from 'node:crypto'
import dgram from 'node:dgram'
import dns from 'node:dns'
import fs, { mkdtempSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import zlib from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { Simulation } from '../../src/simulator/simulation.ts'
import { SimulatorP2P } from '../../src/simulator/simulator-p2p.ts'
import type { SimulationOptions } from '../../src/simulator/simulation-options.ts'

const captured = { setTimeout, setImmediate, readFile: fs.readFile, gzip: zlib.gzip }

async function failure(program: () => unknown, options: SimulationOptions = {}): Promise<string> {
  await using sim = new Simulation({ seed: 1, ...options })
  sim.host('alice', async ({ runtime }) => {
    await runtime.sleep(1)
    await program()
  })
  return await sim.run({ forMs: 1000 }).then(
    ({ ended }) => ended,
    (error: unknown) => (error as Error).message,
  )
}

/** One line each, so that the line is known. */
const USES: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['setTimeout', () => setTimeout(() => {}, 1), /a real timer, setTimeout; use runtime\.sleep/],
  ['setInterval', () => setInterval(() => {}, 1), /a real timer, setInterval/],
  ['setImmediate', () => setImmediate(() => {}), /a real timer, setImmediate/],
  ['timers/promises', () => sleep(1), /a real timer, timers\/promises/],
  ['AbortSignal.timeout', () => AbortSignal.timeout(5), /AbortSignal\.timeout/],
  ['a file', () => fs.promises.readFile('package.json'), /fs\.promises\.readFile; wrap it in runtime\.bridge/],
  ['a file, calling back', () => fs.readFile('package.json', () => {}), /fs\.readFile/],
  ['a written file', () => fs.promises.writeFile('/nowhere/x', ''), /a real file \(fs\.promises\.writeFile\)/],
  ['a stream of a file', () => fs.createReadStream('package.json'), /a real file \(fs\.createReadStream\)/],
  ['a file written at once', () => fs.writeFileSync('/nowhere/x', ''), /a real file \(fs\.writeFileSync\)/],
  ['a file added to', () => fs.appendFileSync('/nowhere/x', ''), /a real file \(fs\.appendFileSync\)/],
  ['a file opened to write', () => fs.openSync('/nowhere/x', 'w'), /a real file \(fs\.openSync\)/],
  ['a file opened by bits', () => fs.openSync('/nowhere/x', fs.constants.O_RDWR), /a real file \(fs\.openSync\)/],
  ['an open file', () => fs.writeSync(99, 'x'), /a real file \(fs\.writeSync\)/],
  [
    'a directory',
    () => fs.mkdirSync('/nowhere/x'),
    /a real file \(fs\.mkdirSync\); keep it in memory or on host\.disk/,
  ],
  ['files taken away in a loop', () => ['/nowhere/x'].forEach(fs.unlinkSync), /a real file \(fs\.unlinkSync\)/],
  ['a shell', () => childProcess.execSync('true'), /a real process \(child_process\.execSync\)/],
  ['a program', () => childProcess.execFileSync('true'), /a real process \(child_process\.execFileSync\)/],
  ['a process waited for', () => childProcess.spawnSync('true'), /a real process \(child_process\.spawnSync\)/],
  ['a socket', () => net.connect(1, '127.0.0.1'), /a real socket/],
  ['a server', () => net.createServer().listen(0), /a real server/],
  ['UDP', () => dgram.createSocket('udp4'), /a real UDP socket/],
  ['DNS', () => dns.promises.lookup('localhost'), /a real look-up/],
  ['fetch', () => fetch('http://127.0.0.1:1'), /a real request \(fetch\); use p2p\.fetch/],
  [
    'WebSocket',
    () => (typeof WebSocket === 'function' ? new WebSocket('ws://127.0.0.1:1') : fetch('x:')),
    /a real (?:socket|request)/,
  ],
  ['a process', () => childProcess.spawn('true'), /a real process/],
  ['a thread', () => new Worker('', { eval: true }), /a real thread/],
  ['zlib', () => zlib.gzip('x', () => {}), /zlib\.gzip/],
  ['a stream of zlib', () => zlib.createGzip(), /zlib in the background/],
  ['CompressionStream', () => new CompressionStream('gzip'), /CompressionStream/],
  ['crypto.subtle', () => crypto.subtle.digest('SHA-256', new Uint8Array(1)), /crypto\.subtle\.digest/],
  ['scrypt', () => nodeCrypto.scrypt('a', 'b', 8, () => {}), /crypto\.scrypt/],
  ['a new key', () => nodeCrypto.generateKeyPairSync('ed25519'), /real random keys/],
  ['MessageChannel', () => new MessageChannel(), /MessageChannel/],
]

describe('a host that uses', () => {
  test.each(USES)('%s fails the run', async (_name, use, told) => {
    const message = await failure(use)
    expect(message).toMatch(/^host alice failed at 1 ms of virtual time with seed 1: host alice used /)
    expect(message).toMatch(told)
    expect(message).toMatch(/\(leaks\.test\.ts:\d+\)$/)
  })

  test('a file written as the reaction of a promise is told, though no line has done it', async () => {
    const write = (): Promise<void> => Promise.resolve('/nowhere/x').then(fs.unlinkSync)
    expect(await failure(write)).toMatch(/host alice used a real file \(fs\.unlinkSync\)/)
  })

  test('what is written synchronously is told once, and done where that is enough', async () => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const path = join(mkdtempSync(join(tmpdir(), 'p2p-leaks-')), 'file')
    try {
      expect(await failure(() => fs.appendFileSync(path, 'kept'), { leaks: 'warn' })).toBe('programs')
      expect(emit.mock.calls.map(([message]) => message)).toEqual([
        expect.stringMatching(/^host alice used a real file \(fs\.appendFileSync\); .* \(leaks\.test\.ts:\d+\)$/),
      ])
      expect(fs.readFileSync(path, 'utf8')).toBe('kept')
    } finally {
      emit.mockRestore()
      fs.rmSync(dirname(path), { recursive: true })
    }
  })

  test('it is told although it catches the error', async () => {
    const hide = (): void => {
      try {
        setTimeout(() => {}, 1)
      } catch {
        // Nobody is to know.
      }
    }
    expect(await failure(hide)).toMatch(/used a real timer/)
  })

  test('it may, when nobody minds', async () => {
    expect(await failure(() => clearTimeout(setTimeout(() => {}, 1)), { leaks: 'off' })).toBe('programs')
  })

  test('it is warned of it, once a line', async () => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    try {
      const often = (): void => {
        for (let i = 0; i < 3; i++) clearTimeout(setTimeout(() => {}, 1))
      }
      expect(await failure(often, { leaks: 'warn' })).toBe('programs')
      expect(emit.mock.calls.map(([message]) => message)).toEqual([
        expect.stringMatching(/^host alice used a real timer, setTimeout; .* \(leaks\.test\.ts:\d+\)$/),
      ])
    } finally {
      emit.mockRestore()
    }
  })

  test('nothing real but prints is left alone', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    expect(await failure(() => console.log('hello'), { traceLeaks: true })).toBe('programs')
    expect(log).toHaveBeenCalledWith('hello')
    log.mockRestore()
    expect(await failure(() => console.error(''), { traceLeaks: true })).toBe('programs')
  })
})

test('what is only read, printed, or written by this library itself is nobody’s leak', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'p2p-leaks-'))
  const read = (): void => {
    fs.readFileSync('package.json')
    fs.readdirSync('src')
    expect(fs.existsSync('package.json') && fs.statSync('package.json').isFile()).toBe(true)
    for (const flags of [undefined, 'r', fs.constants.O_RDONLY]) {
      const file = fs.openSync('package.json', flags as 'r')
      fs.readSync(file, new Uint8Array(10))
      fs.closeSync(file)
    }
    fs.writeSync(1, '')
    process.stdout.write('')
  }
  try {
    const trace = join(folder, 'run.p2ptrace')
    // Enough for the trace to be written while the host's code runs.
    const talk = async (): Promise<void> => {
      read()
      const { currentHost } = sim
      for (let i = 0; i < 2000; i++) currentHost?.log('x'.repeat(200))
    }
    await using sim = new Simulation({ seed: 1, trace })
    sim.host('alice', talk)
    expect((await sim.run({ forMs: 1000 })).ended).toBe('programs')
    expect(fs.statSync(trace).size).toBeGreaterThan(100_000)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})

test('tracing leaves alone what is synchronous, and the nodes of this library', async () => {
  const work = async (): Promise<void> => {
    await using p2p = await SimulatorP2P.create()
    await p2p.listen()
    zlib.gunzipSync(zlib.gzipSync('text'))
    nodeCrypto.scryptSync('a', 'b', 8)
    nodeCrypto.createHash('sha256').update('x').digest()
    fs.readFileSync('package.json')
  }
  expect(await failure(work, { traceLeaks: true })).toBe('programs')
})

describe('what was captured before', () => {
  const CAPTURED: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['setTimeout', () => clearTimeout(captured.setTimeout(() => {}, 1)), /a real timer \(Timeout\)/],
    ['setImmediate', () => clearImmediate(captured.setImmediate(() => {})), /a real timer \(Immediate\)/],
    ['readFile', () => captured.readFile('package.json', () => {}), /a real file \(FSREQCALLBACK\)/],
    ['gzip', () => captured.gzip('x', () => {}), /zlib in the background \(ZLIB\)/],
  ]
  test.each(CAPTURED)('is not seen by the guards, but by tracing: %s', async (_name, use, told) => {
    expect(await failure(use)).toBe('programs')
    const message = await failure(use, { traceLeaks: true })
    expect(message).toMatch(told)
    expect(message).toMatch(/host alice used .*\(leaks\.test\.ts:\d+\)$/)
  })
})

test('a policy that nobody knows is refused', () => {
  expect(() => new Simulation({ leaks: 'sometimes' as never })).toThrow(/leaks.*'error', 'warn' or 'off'/)
})

test('outside of hosts everything is as ever, while a simulation runs too', async () => {
  await using sim = new Simulation({ seed: 1 })
  sim.host('alice', ({ runtime }) => runtime.bridge('waiting', () => sleep(5)))
  sim.at(1, async () => {
    clearTimeout(setTimeout(() => {}, 1))
    expect((await crypto.subtle.digest('SHA-256', new Uint8Array(1))).byteLength).toBe(32)
  })
  expect((await sim.run({ forMs: 100 })).ended).toBe('programs')
})
