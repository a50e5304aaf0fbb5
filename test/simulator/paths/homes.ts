/** Two homes and relays, on the whole stack: what applications notice of them. */
import { parseSimulatorConfig } from '../../../src/core/config.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { NatPresetName, RelayHost, SimHost, SimulatorConnection } from '../../../src/simulator/index.ts'

export const PERFECT = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0' })
const ALPN = 'raw'
const REQUEST_BYTES = 100

export interface Homes {
  readonly sim: Simulation
  readonly relay: RelayHost
  readonly client: SimHost
  readonly server: SimHost
}

export interface HomesOptions {
  readonly seed: number
  /** Of client and server; `none` is without a NAT. */
  readonly nats: readonly [NatPresetName | 'none', NatPresetName | 'none']
  /** One way from a home to the core of the network, where the relay is. */
  readonly latencyMs: number
  readonly packetLoss?: number
}

/**
 * A client that connects after 5 s, and a server that answers 100 bytes with 100 bytes, and an upload with a byte.
 * `program` runs when the connection is there.
 */
export function homes(
  { seed, nats, latencyMs, packetLoss = 0 }: HomesOptions,
  program: (connection: SimulatorConnection, client: SimHost, p2p: SimulatorP2P) => Promise<void>,
): Homes {
  const sim = new Simulation({ seed, config: PERFECT })
  const relay = sim.relay('relay', { link: { up: {}, down: {} } })
  const line = { latencyMs, packetLoss }
  const place = (nat: NatPresetName | 'none'): object =>
    nat === 'none' ? { link: { up: line, down: line } } : { lan: sim.lan({ nat, link: { up: line, down: line } }) }
  const server = sim.host('server', place(nats[1]), async () => {
    const p2p = await SimulatorP2P.create({ relay: [relay.url] })
    for await (const connection of await p2p.listen('', { alpns: [ALPN] })) void serve(connection)
  })
  const client = sim.host('client', place(nats[0]), async (host) => {
    const p2p = await SimulatorP2P.create({ relay: [relay.url] })
    await host.runtime.sleep(5_000)
    await program(await p2p.connect(server.id, { alpn: ALPN }), host, p2p)
  })
  return { sim, relay, client, server }
}

async function serve(connection: SimulatorConnection): Promise<void> {
  const echo = async (): Promise<void> => {
    for (;;) {
      const stream = await connection.acceptStream()
      void (async (): Promise<void> => {
        for (let part = await stream.read(65_536); part; part = await stream.read(65_536)) await stream.write(part)
        await stream.finish()
      })().catch(() => {})
    }
  }
  const uploads = async (): Promise<void> => {
    for (;;) {
      const upload = await connection.acceptReceiveStream()
      await upload.readToEnd(100_000_000)
      const answer = await connection.openSendStream()
      await answer.write(Uint8Array.of(1))
      await answer.finish()
    }
  }
  await Promise.allSettled([echo(), uploads()])
}

/** Milliseconds of requests, one after the other, until `enough` says so. */
export async function requests(
  connection: SimulatorConnection,
  { runtime }: SimHost,
  enough: (times: readonly number[]) => boolean,
): Promise<number[]> {
  const stream = await connection.openStream()
  const times: number[] = []
  while (!enough(times)) {
    const startMs = runtime.now()
    await stream.write(new Uint8Array(REQUEST_BYTES))
    await stream.readExactly(REQUEST_BYTES)
    times.push(runtime.now() - startMs)
  }
  return times
}

/** Milliseconds until the server has said that it has it all. */
export async function upload(connection: SimulatorConnection, { runtime }: SimHost, bytes: number): Promise<number> {
  const startMs = runtime.now()
  const stream = await connection.openSendStream()
  await stream.write(new Uint8Array(bytes))
  await stream.finish()
  await (await connection.acceptReceiveStream()).readToEnd(1)
  return runtime.now() - startMs
}

export const selected = (connection: SimulatorConnection): string =>
  connection.paths().find((path) => path.selected)?.kind ?? 'none'

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.slice().sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
