/** Traces for tests: of a writer of its own, and of small simulations. */
import { DefaultP2P, parseSimulatorConfig } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import type { SimulationResult, TraceOptions } from '@moosicbox/p2p/simulator'
import { parseTrace } from '@moosicbox/p2p/trace'
import type { TraceKind, TraceRecord, TraceRecordOf, WholeTrace } from '@moosicbox/p2p/trace'
import { TraceWriter } from '../../src/simulator/trace/writer.ts'

/** Bytes that were written, put together. */
export class Collected {
  readonly chunks: Uint8Array[] = []

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes)
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.chunks))
  }
}

export interface ManualWriter {
  readonly writer: TraceWriter
  readonly sink: Collected
  /** The time of what is recorded next. */
  timeUs: number
}

/** A writer whose clock is set by hand. */
export function manualWriter(maxBytes = 1_000_000): ManualWriter {
  const sink = new Collected()
  const manual: { timeUs: number } = { timeUs: 0 }
  const writer = new TraceWriter({
    sink,
    seed: 7n,
    node: 'v20.0.0',
    epochMs: 1_700_000_000_000,
    maxBytes,
    dropReasons: ['none', 'loss', 'partition'],
    nowUs: () => manual.timeUs,
    onFailure: (error) => {
      throw error
    },
  })
  return Object.assign(manual, { writer, sink })
}

export interface TracedRun {
  readonly result: SimulationResult
  readonly bytes: Uint8Array
  readonly trace: WholeTrace
}

export interface StoryOptions {
  readonly seed?: number
  readonly trace?: Omit<TraceOptions, 'to'> | 'none'
}

/** Two hosts at home behind NATs exchange messages and a stream; a partition and a crash get in their way. */
export async function tracedStory({ seed = 7, trace = {} }: StoryOptions = {}): Promise<TracedRun> {
  const sink = new Collected()
  const config = parseSimulatorConfig({})
  await using sim = new Simulation({ seed, config, ...(trace !== 'none' && { trace: { to: sink, ...trace } }) })
  sim.host('bob', { lan: sim.lan({ name: 'flat', nat: 'home', link: 'fibre' }) }, async (host) => {
    const p2p = await DefaultP2P.create()
    await p2p.register('bob')
    const listener = await p2p.listen()
    const connection = await listener.accept()
    host.log('somebody is here')
    for await (const message of connection) await connection.send(message)
  })
  sim.host('alice', { lan: sim.lan({ name: 'house', nat: 'home', link: 'cable' }) }, async (host) => {
    const p2p = await DefaultP2P.create()
    await host.runtime.sleep(1000)
    const connection = await p2p.connect(await p2p.discover('bob'))
    const sending = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await connection.send(new Uint8Array(20_000).fill(i))
    }
    const receiving = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await connection.recv()
    }
    await Promise.all([sending(), receiving()])
    host.log('all is well: ✓')
    await connection.end()
  })
  sim.host('carol', async (host) => {
    await host.runtime.sleep(60_000)
  })
  sim.at('1500ms', () => void sim.topology.fabric.graph.addPartition(['house']))
  sim.at('2500ms', () => sim.topology.fabric.graph.partitions()[0]?.heal())
  sim.faults.inject({ kind: 'crash', atMs: 3000, host: 'carol' })
  const result = await sim.run()
  await sim.close()
  const { bytes } = sink
  return {
    result,
    bytes,
    trace: trace === 'none' ? { header: {} as never, records: [], isTruncated: false } : parseTrace(bytes),
  }
}

/** The records of one kind. */
export function only<Kind extends TraceKind>(records: readonly TraceRecord[], kind: Kind): TraceRecordOf<Kind>[] {
  return records.filter((record) => record.kind === kind) as unknown as TraceRecordOf<Kind>[]
}
