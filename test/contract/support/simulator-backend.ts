/** Two or three hosts of a simulated internet; the body of a case is the program of one of them, in virtual time. */
import assert from 'node:assert/strict'
import { parseSimulatorConfig } from '../../../src/core/config.ts'
import { P2PError } from '../../../src/core/errors.ts'
import { testSigningKey } from '../../../src/core/keys.ts'
import { natPresets, Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { HostOptions, NatPresetName, SimHost } from '../../../src/simulator/index.ts'
import type { ContractBackend } from '../../../src/testing/index.ts'

const NATS = natPresets.map(({ name }) => name)
const HOUR_MS = 3_600_000
/** After this long nothing of a closed node can be under way any more. */
const QUIET_MS = 300_000

export interface SimulatorBackendOptions {
  readonly seed?: number
  /** Probability that a packet is lost. @default 0 */
  readonly loss?: number
  /** The NAT that each host is behind, each at home; they find each other over a relay. @default none, and no relay */
  readonly nat?: NatPresetName
  readonly scale?: Partial<ContractBackend['scale']>
  /** Told the history's hash after each case. */
  readonly onHash?: (hash: string) => void
}

export function simulatorBackend(options: SimulatorBackendOptions = {}): ContractBackend {
  const { seed = 1, loss = 0, nat } = options
  return {
    name: ['the simulator', loss > 0 && `${loss * 100} % of all packets lost`, nat && `each host behind ${nat}`]
      .filter(Boolean)
      .join(', '),
    seed,
    scale: { runs: 8, maxBytes: 1_048_576, many: 30, beyondWindowsBytes: 1_500_000, ...options.scale },
    // A network of its own kind is not asked to be of another.
    ...(!nat && { abilities: { latency: true, nats: NATS } }),
    run: async (body, { latencyMs, nats } = {}) => {
      const config = parseSimulatorConfig({
        SIMULATOR_DEFAULT_PACKET_LOSS: String(loss),
        ...(latencyMs !== undefined && { SIMULATOR_DEFAULT_LATENCY_MS: String(latencyMs) }),
      })
      await using sim = new Simulation({ seed, config })
      const hosts = new Map<string, SimHost>()
      const place = (own: string | undefined = nat): HostOptions =>
        own === undefined ? {} : { lan: sim.lan({ nat: own as NatPresetName }) }
      sim.host('a', place(nats?.[0]), async (host) => {
        hosts.set('a', host)
        await body({
          create: async (name, nodeOptions) => {
            const there = hosts.get(name)
            assert(there)
            return SimulatorP2P.create({
              host: there,
              secretKey: testSigningKey(name),
              relay: nat || nats ? 'default' : 'disabled',
              ...nodeOptions,
            })
          },
        })
      })
      hosts.set('b', sim.host('b', place(nats?.[1])))
      hosts.set('c', sim.host('c', place()))
      try {
        const { waiting } = await sim.run({ forMs: HOUR_MS })
        assert.deepEqual(waiting, [], 'the case waits for something that never happens')
      } catch (error) {
        throw P2PError.is(error, 'program-failed') ? error.cause : error
      }
      options.onHash?.(sim.hash)
      const { events } = await sim.run({ forMs: QUIET_MS })
      const after = await sim.run({ forMs: HOUR_MS })
      assert.equal(after.events, events, 'a closed node is still busy')
      for (const host of hosts.values())
        assert.equal(host.network.sockets().length, 0, `sockets of ${host.name} left open`)
    },
  }
}
