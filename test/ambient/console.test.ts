/** What hosts print: in the trace at its time, where that is asked for. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { installAmbient } from '../../src/runtime/ambient/install.ts'
import { Simulation } from '../../src/simulator/simulation.ts'
import { parseTrace } from '../../src/trace/index.ts'

const real = console.log
let printed: unknown[][] = []
let installed: Disposable
beforeAll(() => {
  console.log = (...values: unknown[]): void => void printed.push(values)
  installed = installAmbient({ evenIfLate: true })
})
afterAll(() => {
  installed[Symbol.dispose]()
  console.log = real
})
beforeEach(() => {
  printed = []
})

async function run(console: 'print' | 'trace' | 'both' | undefined): Promise<string[]> {
  const chunks: Uint8Array[] = []
  const sim = new Simulation({ seed: 1, ambient: true, console, trace: { write: (bytes) => void chunks.push(bytes) } })
  sim.host('alice', async ({ runtime }) => {
    await runtime.sleep(10)
    globalThis.console.log('%d of %s', 7, 'nine')
  })
  await sim.run()
  await sim.close()
  return parseTrace(Buffer.concat(chunks)).records.flatMap((record) =>
    record.kind === 'log' ? [`${record.host} ${record.timeUs} ${record.text}`] : [],
  )
}

test.each([
  [undefined, [], 1],
  ['print', [], 1],
  ['trace', ['0 10000 7 of nine'], 0],
  ['both', ['0 10000 7 of nine'], 1],
] as const)('%s: in the trace %j, printed %i times', async (where, lines, times) => {
  expect(await run(where)).toEqual(lines)
  expect(printed).toEqual(Array.from({ length: times }, () => ['%d of %s', 7, 'nine']))
})

test('outside of hosts it is printed', () => {
  globalThis.console.log('outside')
  expect(printed).toEqual([['outside']])
})

test('anything else is refused', () => {
  expect(() => new Simulation({ seed: 1, console: 'paper' as 'print' })).toThrow(/console = "?paper"?/)
})
