/** A disk keeps what was synced, some first part of the rest, and nothing that was never written. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DiskState } from '../../src/simulator/disk.ts'
import { Simulation } from '../../src/simulator/index.ts'
import { TestKernel } from '../simulator/support/test-kernel.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (of: Uint8Array): string => new TextDecoder().decode(of)

function disk(seed: string, maxBytes?: number): DiskState {
  return new DiskState(new TestKernel({ seed }), 0, 'host', { maxBytes })
}

describe('without a crash', () => {
  test('it is a disk', () => {
    const it = disk('1')
    it.write('a/1', bytes('hello'))
    it.append('a/1', bytes(' world'))
    it.writeAt('a/1', 0, bytes('J'))
    it.writeAt('a/2', 2, bytes('x'))
    expect(text(it.read('a/1'))).toBe('Jello world')
    expect(text(it.read('a/1', 6, 3))).toBe('wor')
    expect([...it.read('a/2')]).toEqual([0, 0, 120])
    it.rename('a/1', 'b')
    expect(it.list()).toEqual(['a/2', 'b'])
    expect(it.list('a/')).toEqual(['a/2'])
    it.remove('a/2')
    expect(it.exists('a/2')).toBe(false)
    expect(it.usedBytes).toBe(11)
    it.write('b', bytes(''))
    expect(it.usedBytes).toBe(0)
  })

  test('what is not there, or does not fit, is an error that names it', () => {
    const it = disk('1', 10)
    expect(() => it.read('x')).toThrow('"x" on the disk of host cannot be read: there is no such file')
    expect(() => it.remove('x')).toThrow('cannot be removed')
    expect(() => it.rename('x', 'y')).toThrow('cannot be renamed')
    expect(() => it.fsync('x')).toThrow('cannot be synced')
    it.write('x', new Uint8Array(10))
    expect(() => it.append('x', new Uint8Array(1))).toThrow('the disk of 10 bytes is full')
    expect(it.sizeBytes('x')).toBe(10)
    it.write('x', new Uint8Array(10))
  })

  test('what is read is a copy', () => {
    const it = disk('1')
    const source = bytes('abc')
    it.write('x', source)
    source[0] = 0
    it.read('x')[1] = 0
    expect(text(it.read('x'))).toBe('abc')
  })
})

describe('a crash', () => {
  test('keeps all that was synced, and of the rest a first part', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 5 }), fc.nat({ max: 5 }), (seed, synced, unsynced) => {
        const it = disk(String(seed))
        let log = ''
        const write = (): void => {
          const part = `entry ${log.length};`
          it.append('log', bytes(part))
          log += part
        }
        it.append('log', bytes(''))
        for (let i = 0; i < synced; i++) write()
        it.fsync('log')
        const safe = log
        for (let i = 0; i < unsynced; i++) write()
        it.crash()
        const left = text(it.read('log'))
        expect(log.startsWith(left)).toBe(true)
        expect(left.startsWith(safe)).toBe(true)
      }),
    )
  })

  test('loses what was not synced in some seeds, in part in others, and not at all in others', () => {
    const left = new Set<number>()
    for (let seed = 0; seed < 50; seed++) {
      const it = disk(`${seed}`)
      it.write('x', bytes('old'))
      it.fsync('x')
      it.writeAt('x', 0, new Uint8Array(2048).fill(1))
      it.crash()
      left.add(it.sizeBytes('x'))
    }
    expect([...left].sort((a, b) => a - b)).toEqual([3, 512, 1024, 1536, 2048])
  })

  test('a file written anew and not synced may be empty: the classic', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const it = disk(`${seed}`)
      it.write('config', bytes('old'))
      it.fsync('config')
      it.write('config', bytes('new'))
      it.crash()
      seen.add(text(it.read('config')))
    }
    expect([...seen].sort()).toEqual(['', 'new', 'old'])
  })

  test('a file that is synced and then renamed is the old one or the new one', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const it = disk(`${seed}`)
      it.write('config', bytes('old'))
      it.fsync('config')
      it.write('config.tmp', bytes('new'))
      it.fsync('config.tmp')
      it.rename('config.tmp', 'config')
      it.crash()
      seen.add(text(it.read('config')))
    }
    expect([...seen].sort()).toEqual(['new', 'old'])
  })

  test('names that were synced stay', () => {
    for (let seed = 0; seed < 20; seed++) {
      const it = disk(`${seed}`)
      it.write('x', bytes('1'))
      it.fsync('x')
      it.rename('x', 'y')
      it.syncNames()
      it.crash()
      expect(it.list()).toEqual(['y'])
    }
  })

  test('twice loses no more than once', () => {
    for (let seed = 0; seed < 20; seed++) {
      const it = disk(`${seed}`)
      for (let i = 0; i < 10; i++) it.append('x', new Uint8Array(700).fill(i))
      it.crash()
      const left = it.list().map((name) => it.read(name))
      it.crash()
      expect(it.list().map((name) => it.read(name))).toEqual(left)
    }
  })
})

describe("a host's disk", () => {
  test('survives a crash but for what was not synced, and is gone when it is lost', async () => {
    const found: string[][] = []
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice', async (host) => {
      found.push(
        await Promise.all(host.disk.list().map(async (name) => `${name}: ${text(await host.disk.read(name))}`)),
      )
      await host.disk.append('boots', bytes('|'))
      await host.disk.fsync('boots')
      await new Promise(() => {})
    })
    sim.faults.inject({ kind: 'crash', atMs: 1000, forMs: 100, host: 'alice' })
    sim.faults.inject({ kind: 'restart', atMs: 2000, host: 'alice' })
    sim.faults.inject({ kind: 'restart', atMs: 3000, host: 'alice', disk: 'lost' })
    await sim.run({ forMs: 5000 })
    expect(found).toEqual([[], ['boots: |'], ['boots: ||'], []])
  })

  test('a sync that is under way when the power fails never ends', async () => {
    let synced = 0
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice', async ({ disk }) => {
      await disk.write('x', bytes('1'))
      await disk.fsync('x')
      synced++
    })
    sim.faults.inject({ kind: 'crash', atMs: 1, host: 'alice' })
    await sim.run({ forMs: 5000 })
    expect(synced).toBe(0)
  })

  test('its files are found by what reads files', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice', async ({ disk, runtime }) => {
      await disk.write('/data/track', bytes('0123456789'))
      await using file = await runtime.files.open('/data/track')
      expect(file.sizeBytes).toBe(10)
      expect(text(await file.read(3, 4))).toBe('3456')
    })
    expect((await sim.run()).ended).toBe('programs')
  })

  test('enters the hash', async () => {
    const run = async (content: string): Promise<string> => {
      await using sim = new Simulation({ seed: 1 })
      sim.host('alice', ({ disk }) => disk.write('x', bytes(content)))
      return (await sim.run()).hash
    }
    expect(await run('a')).toBe(await run('a'))
    expect(await run('a')).not.toBe(await run('b'))
  })
})
