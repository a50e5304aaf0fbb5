/** A peer that has forgotten a connection of which this side hears nothing, as its machine has started again. */
import { expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { P2PResponse, P2PRouter, request, serve } from '../../src/router/index.ts'
import { Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import type { SimHost } from '../../src/simulator/index.ts'

const SLOW_MS = 3_000

const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '10', SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

/** A client and a server that answers `/` at once and `/slow` late. */
function pair(client: (p2p: SimulatorP2P, server: SimHost, sim: Simulation) => Promise<void>): Simulation {
  const sim = new Simulation({ seed: 1, config })
  const server = sim.host('server', async (host) => {
    const router = new P2PRouter()
      .route('GET', '/', (asked) => P2PResponse.text(asked.remoteNodeId.fmtShort()))
      .route('GET', '/slow', async () => {
        await host.runtime.sleep(SLOW_MS)
        return P2PResponse.text('at last')
      })
    await serve(await SimulatorP2P.create(), router)
  })
  sim.host('client', async (host) => {
    const p2p = await SimulatorP2P.create()
    await host.runtime.sleep(100)
    await client(p2p, server, sim)
    await p2p.close()
  })
  return sim
}

const ask = async (p2p: SimulatorP2P, server: SimHost, path: string, deadlineMs: number): Promise<string> => {
  try {
    const answer = await request(p2p, server.id, { path, deadlineMs })
    return await answer.text()
  } catch (error) {
    if (P2PError.is(error)) return error.code
    throw error
  }
}

test('one request pays for it, and not every one until the connection has been idle for too long', async () => {
  const heard: string[] = []
  await using sim = pair(async (p2p, server) => {
    heard.push(await ask(p2p, server, '/', 2000))
    server.crash()
    server.restart()
    await p2p.runtime.sleep(1000)
    heard.push(await ask(p2p, server, '/', 2000), await ask(p2p, server, '/', 2000))
  })
  await sim.run({ forMs: 60_000 })
  expect(heard[0]).toMatch(/^[0-9a-f]{10}$/)
  expect(heard.slice(1)).toEqual(['timeout', heard[0]])
})

test('a connection over which others are answered stays', async () => {
  let connections = 0
  await using sim = pair(async (p2p, server, world) => {
    await ask(p2p, server, '/', 2000)
    const slow = ask(p2p, server, '/slow', 1000)
    await ask(p2p, server, '/', 2000)
    expect(await slow).toBe('timeout')
    await ask(p2p, server, '/', 2000)
    connections = world.netstat().nodes.flatMap((node) => node.connections).length
  })
  await sim.run({ forMs: 60_000 })
  // Its two ends.
  expect(connections).toBe(2)
})
