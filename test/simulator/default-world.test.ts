import { afterEach, describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { ambient } from '../../src/simulator/ambient.ts'
import { DefaultWorld } from '../../src/simulator/default-world.ts'

/** A world of its own, not the process's. */
function world(env: Record<string, string> = {}): DefaultWorld {
  return new DefaultWorld(parseSimulatorConfig({ SIMULATOR_SEED: '1', ...env }))
}

afterEach(() => {
  ambient().world = undefined
})

describe('the default world', () => {
  test('keeps real time', async () => {
    const { runtime } = world().addHost()
    const start = performance.now()
    await Promise.all([runtime.sleep(30), runtime.sleep(60.5)])
    const realMs = performance.now() - start
    expect(runtime.now()).toBeGreaterThanOrEqual(60.5)
    expect(realMs).toBeGreaterThanOrEqual(60)
    expect(realMs).toBeLessThan(1000)
  })

  test('moves with code that never waits', () => {
    const { runtime } = world().addHost()
    const [realStart, start] = [performance.now(), runtime.now()]
    while (performance.now() - realStart < 5);
    expect(runtime.now() - start).toBeGreaterThanOrEqual(4.9)
  })

  test('goes as fast as SIMULATOR_TIME_MULTIPLIER says', async () => {
    const { runtime } = world({ SIMULATOR_TIME_MULTIPLIER: '1000' }).addHost()
    const start = performance.now()
    await runtime.sleep(60_000)
    const realMs = performance.now() - start
    expect(realMs).toBeGreaterThanOrEqual(59)
    expect(realMs).toBeLessThan(1000)
  })

  test('runs events in virtual order, each at its own time, however late it is', async () => {
    const { runtime } = world().addHost()
    const log: number[] = []
    for (const delay of [3, 1, 2]) {
      runtime.setTimer(delay, () => {
        log.push(delay)
        // Due long before the alarm can go off again.
        runtime.setTimer(0.1, () => log.push(delay + 0.1))
      })
    }
    const start = performance.now()
    while (performance.now() - start < 10);
    await runtime.sleep(20)
    expect(log).toEqual([1, 1.1, 2, 2.1, 3, 3.1])
  })

  test('does not stand still for real work, and shows the disk as it is', async () => {
    const { runtime } = world().addHost()
    const file = await runtime.files.open(import.meta.filename)
    expect(file.sizeBytes).toBeGreaterThan(1000)
    expect(file.modifiedMs).not.toBe(1_700_000_000_000)
    expect((await file.read(0, 6)).length).toBe(6)
    await file.close()
  })

  test('is one a process, made from the environment', () => {
    const first = DefaultWorld.join()
    expect(DefaultWorld.join()).toBe(first)
    expect(first.addHost().name).toBe('node-1')
    expect(first.addHost().name).toBe('node-2')
    ambient().world = undefined
    process.env['SIMULATOR_TIME_MULTIPLIER'] = 'fast'
    try {
      expect(() => DefaultWorld.join()).toThrow(/SIMULATOR_TIME_MULTIPLIER = "fast"/)
    } finally {
      delete process.env['SIMULATOR_TIME_MULTIPLIER']
    }
  })
})
