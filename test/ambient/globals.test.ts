/** Every global that differs between a host and the machine: its host's inside, real outside, and put back afterwards. */
import nodeCrypto from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import fs from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import timers from 'node:timers'
import { scheduler as timersScheduler, setInterval as every, setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import workerThreads from 'node:worker_threads'
import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installAmbient } from '../../src/runtime/ambient/install.ts'
import type { HostOptions, SimHost } from '../../src/simulator/host.ts'
import { Simulation } from '../../src/simulator/simulation.ts'

const EPOCH = 1_700_000_000_000

/** Objects on which something is replaced. */
const PATCHED: readonly object[] = [
  globalThis,
  timers,
  timers.promises,
  Math,
  console,
  process,
  process.hrtime,
  AbortSignal,
  Date,
  Date.prototype,
  Intl.DateTimeFormat.prototype,
  Object.getPrototypeOf(performance) as object,
  Object.getPrototypeOf(nodeCrypto.webcrypto) as object,
  Object.getPrototypeOf(nodeCrypto.webcrypto.subtle) as object,
  Object.getPrototypeOf(timersScheduler) as object,
  nodeCrypto,
  fs,
  fs.promises,
  zlib,
  workerThreads,
  net.Socket.prototype,
  net.Server.prototype,
]

const snapshot = (): unknown[] => PATCHED.map((object) => Object.getOwnPropertyDescriptors(object))

let before: unknown[] = []
let during: unknown[] = []
let installed: Disposable
let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'p2p-ambient-'))
  writeFileSync(join(directory, 'a.txt'), 'text')
  before = snapshot()
  installed = installAmbient({ evenIfLate: true })
  during = snapshot()
})
afterAll(() => {
  installed[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

async function on<T>(program: (host: SimHost) => Promise<T>, options: HostOptions = {}, seed = 1): Promise<T> {
  await using sim = new Simulation({ seed, ambient: true })
  let result: { readonly value: T } | undefined
  sim.host('alice', options, async (host) => {
    result = { value: await program(host) }
  })
  const { report } = await sim.run({ forMs: 1e9 })
  if (!result) throw new Error(report)
  return result.value
}

/** The same program twice with one seed and once with another: what comes out is the seed's. */
async function drawn(program: () => unknown): Promise<unknown> {
  const first = await on(async () => program())
  expect(await on(async () => program())).toEqual(first)
  expect(await on(async () => program(), {}, 2)).not.toEqual(first)
  return first
}

describe('clocks', () => {
  test('show the time of the host', async () => {
    const seen = await on(
      async (host) => {
        await host.runtime.sleep(90_000.25)
        return [
          Date.now(),
          new Date().getTime(),
          new Date(0).getTime(),
          new Date(2020, 1).getFullYear(),
          Date() === new Date().toString(),
          new Date() instanceof Date,
          new Date().constructor === Date,
          performance.now(),
          performance.timeOrigin,
          performance.mark('here').startTime,
          process.uptime(),
          process.hrtime(),
          process.hrtime([1, 999_999_999]),
          process.hrtime.bigint(),
          new Intl.DateTimeFormat('en', { timeZone: 'UTC', dateStyle: 'short', timeStyle: 'medium' })
            .format()
            .replace(/\s/g, ' '),
          new Intl.DateTimeFormat('en', { timeZone: 'UTC' }).formatToParts()[0]?.value,
        ]
      },
      { clock: { offsetMs: 86_400_000 } },
    )
    const now = EPOCH + 86_400_000 + 90_000
    expect(seen).toEqual([
      now,
      now,
      0,
      2020,
      true,
      true,
      true,
      90_000.25,
      EPOCH + 86_400_000,
      90_000.25,
      90.00025,
      [90, 250_000],
      [88, 250_001],
      90_000_250_000n,
      '11/15/23, 10:14:50 PM',
      '11',
    ])
  })

  test('of two hosts differ, whoever reads them in between', async () => {
    await using sim = new Simulation({ seed: 1, ambient: true })
    const seen: number[] = []
    for (const [name, offsetMs] of [
      ['early', -1000],
      ['late', 1000],
    ] as const) {
      sim.host(name, { clock: { offsetMs } }, async () => {
        for (let i = 0; i < 3; i++) {
          await sleep(10)
          seen.push(Date.now() - EPOCH)
        }
      })
    }
    await sim.run()
    expect(seen.sort((a, b) => a - b)).toEqual([-990, -980, -970, 1010, 1020, 1030])
  })

  test('are real outside of hosts', async () => {
    const start = Date.now()
    expect(start).toBeGreaterThan(EPOCH + 1e9)
    expect(new Date().getTime()).toBeGreaterThanOrEqual(start)
    const since = process.hrtime.bigint()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(Number(process.hrtime.bigint() - since)).toBeGreaterThan(3e6)
    expect(new (class Later extends Date {})().getTime()).toBeGreaterThanOrEqual(start)
  })

  test('are inherited by subclasses', async () => {
    class Later extends Date {
      inAMinute(): number {
        return this.getTime() + 60_000
      }
    }
    expect(await on(async () => [new Later().inAMinute(), new Later() instanceof Later])).toEqual([
      EPOCH + 60_000,
      true,
    ])
  })
})

describe('timers', () => {
  test('run on the clock of the host, in order', async () => {
    const log: unknown[] = []
    await on(async ({ runtime }) => {
      const note = (name: string, ...rest: unknown[]): void => void log.push([name, runtime.now(), ...rest])
      setTimeout(note, 20, 'timeout', 1, 2)
      timers.setTimeout(() => note('node:timers'), 10)
      setImmediate(note, 'immediate')
      setTimeout(note, -5, 'negative')
      setTimeout(note, 2 ** 40, 'too long')
      clearTimeout(setTimeout(note, 5, 'cleared'))
      clearTimeout(Number(setTimeout(note, 5, 'cleared by number')))
      clearImmediate(setImmediate(note, 'cleared immediate'))
      const interval = setInterval(() => {
        note('interval')
        if (runtime.now() > 30) clearInterval(interval)
      }, 15)
      const refreshed = setTimeout(note, 25, 'refreshed')
      setTimeout(() => refreshed.refresh(), 20)
      {
        using disposed = setTimeout(note, 25, 'disposed')
        expect(disposed.hasRef()).toBe(true)
      }
      await promisify(setTimeout)(40)
      note('promisified')
      expect(await sleep(2, 'value')).toBe('value')
      await timersScheduler.wait(3)
      note('scheduler')
      let ticks = 0
      for await (const tick of every(4, 'tick')) {
        note(tick)
        if (++ticks === 2) break
      }
    })
    expect(log).toEqual(
      [
        ['immediate', 0],
        ['negative', 1],
        ['too long', 1],
        ['node:timers', 10],
        ['interval', 15],
        ['timeout', 20, 1, 2],
        ['interval', 30],
        ['promisified', 40],
        ['refreshed', 45],
        ['interval', 45],
        ['scheduler', 45],
        ['tick', 49],
        ['tick', 53],
      ].sort((a, b) => Number(a[1]) - Number(b[1])),
    )
  })

  test('end with their signals', async () => {
    const seen = await on(async ({ runtime }) => {
      const signal = AbortSignal.timeout(50)
      const error: unknown = await sleep(1000, undefined, { signal }).catch((reason: unknown) => reason)
      const { name, code, cause } = error as Error & { code: string; cause: Error }
      return [runtime.now(), name, code, cause.name, signal.aborted]
    })
    expect(seen).toEqual([50, 'AbortError', 'ABORT_ERR', 'TimeoutError', true])
  })

  test('that nobody waits for do not keep a run alive', async () => {
    await using sim = new Simulation({ seed: 1, ambient: true })
    sim.host('alice', async () => {
      setTimeout(() => {}, 1e9).unref()
      await new Promise(() => {})
    })
    const { ended, virtualMs } = await sim.run()
    expect(ended).toBe('idle')
    expect(virtualMs).toBeLessThanOrEqual(1e9)
  })

  test('die with their host', async () => {
    await using sim = new Simulation({ seed: 1, ambient: true })
    const log: number[] = []
    sim.host('alice', async () => {
      setInterval(() => log.push(Date.now() - EPOCH), 10)
      await new Promise<void>(() => {})
    })
    sim.at(35, () => sim.crash('alice'))
    await sim.run({ forMs: 100 })
    expect(log).toEqual([10, 20, 30])
  })

  test('refuse what is no function, as ever', async () => {
    await on(async () => {
      const set = setTimeout as (callback: unknown) => unknown
      expect(() => set(5)).toThrow(TypeError)
    })
  })
})

describe('randomness', () => {
  test.each<readonly [string, () => unknown]>([
    ['Math.random', () => [Math.random(), Math.random()]],
    ['crypto.getRandomValues', () => [...crypto.getRandomValues(new Uint32Array(3))]],
    ['crypto.randomUUID', () => crypto.randomUUID()],
    ['node:crypto randomUUID', () => nodeCrypto.randomUUID()],
    ['randomBytes', () => nodeCrypto.randomBytes(9).toString('hex')],
    ['randomBytes, calling back', async () => (await promisify(nodeCrypto.randomBytes)(9)).toString('hex')],
    ['randomFillSync', () => [...nodeCrypto.randomFillSync(new Uint8Array(8), 2)]],
    ['randomInt', () => [nodeCrypto.randomInt(1e9), nodeCrypto.randomInt(5, 1e9)]],
    ['node:crypto getRandomValues', () => [...nodeCrypto.getRandomValues(new Uint8Array(8))]],
  ])('of %s comes from the seed', async (_name, draw) => {
    expect(await drawn(draw)).toBeDefined()
  })

  test('keeps its shape', async () => {
    await on(async () => {
      expect(crypto.randomUUID()).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
      const filled = nodeCrypto.randomFillSync(new Uint16Array(4), 1, 2)
      expect([filled[0], filled[3]]).toEqual([0, 0])
      for (let i = 0; i < 200; i++) {
        expect(nodeCrypto.randomInt(3, 6)).toBeGreaterThanOrEqual(3)
        expect(nodeCrypto.randomInt(3, 6)).toBeLessThan(6)
      }
      expect(() => nodeCrypto.randomInt(5, 5)).toThrow(RangeError)
      expect(() => crypto.getRandomValues(new Float64Array(1) as never)).toThrow(/Float64Array|type/)
      expect(() => nodeCrypto.randomBytes(-1)).toThrow(RangeError)
    })
  })

  test('of third-party code leaves the stream of the application alone', async () => {
    const own = await on(async ({ runtime }) => runtime.random())
    const both = await on(async ({ runtime }) => {
      Math.random()
      return runtime.random()
    })
    expect(both).toBe(own)
  })

  test('is real outside of hosts', () => {
    expect(crypto.randomUUID()).not.toBe(crypto.randomUUID())
    expect(Math.random()).not.toBe(Math.random())
  })
})

describe('real work', () => {
  test('whose result depends on its input alone takes no virtual time', async () => {
    const seen = await on(async ({ runtime }) => {
      const file = join(directory, 'a.txt')
      const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(3))
      const handle = await fs.promises.open(file)
      const chunk = await handle.read(Buffer.alloc(2), 0, 2, 1)
      await handle.close()
      const zipped = await promisify(zlib.gzip)('aaaa')
      const key = await promisify(nodeCrypto.scrypt)('password', 'salt', 8)
      return [
        digest.byteLength,
        await fs.promises.readFile(file, 'utf8'),
        await promisify(fs.readFile)(file, 'utf8'),
        chunk.buffer.toString(),
        zlib.gunzipSync(zipped).toString(),
        (key as Buffer).length,
        await fs.promises.stat(join(directory, 'missing')).catch((error: NodeJS.ErrnoException) => error.code),
        runtime.now(),
      ]
    })
    expect(seen).toEqual([32, 'text', 'text', 'ex', 'aaaa', 8, 'ENOENT', 0])
  })

  test('streams of the web run as they are', async () => {
    const text = await on(async () => {
      const body = new ReadableStream({
        async pull(controller) {
          await sleep(5)
          controller.enqueue(new TextEncoder().encode(`${Date.now() - EPOCH} `))
          if (Date.now() - EPOCH >= 20) controller.close()
        },
      })
      return new Response(body.pipeThrough(new TransformStream())).text()
    })
    expect(text).toBe('5 10 15 20 ')
  })
})

test('a simulation may leave them aside', async () => {
  await using sim = new Simulation({ seed: 1, ambient: false })
  let now = 0
  sim.host('alice', () => {
    now = Date.now()
    expect(() => setTimeout(() => {}, 1)).toThrow(/host alice used a real timer/)
  })
  await expect(sim.run()).rejects.toThrow(/host alice used a real timer/)
  expect(now).toBeGreaterThan(EPOCH + 1e9)
})

test('everything is put back as it was', () => {
  installed[Symbol.dispose]()
  const after = snapshot()
  let replaced = 0
  for (const [index, object] of PATCHED.entries()) {
    const [was, is, then] = [before, during, after].map((all) => all[index] as Record<PropertyKey, PropertyDescriptor>)
    for (const key of Reflect.ownKeys(is ?? {})) {
      // What this library itself keeps there.
      if (object === globalThis && typeof key === 'symbol') continue
      const [a, b, c] = [was?.[key], is?.[key], then?.[key]]
      if (Object.is(a?.value, b?.value) && a?.get === b?.get) continue
      replaced++
      expect([key, c]).toEqual([key, a])
      expect([key, c?.value === a?.value, c?.get === a?.get]).toEqual([key, true, true])
    }
  }
  expect(replaced).toBeGreaterThan(100)
  const again = installAmbient({ evenIfLate: true })
  expect(snapshot()).not.toEqual(after)
  again[Symbol.dispose]()
  expect(Date.now()).toBeGreaterThan(EPOCH + 1e9)
})
