import { describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../../src/core/config.ts'
import { HostNetwork, type HostSocket, type NetworkInterface, Topology } from '../../../src/simulator/network/index.ts'
import { SimulatorP2P } from '../../../src/simulator/simulator-p2p.ts'
import { Simulation } from '../../../src/simulator/simulation.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { mailbox } from './support.ts'

describe('a host with several interfaces', () => {
  function world() {
    const kernel = new TestKernel()
    const topology = new Topology(kernel, { defaultLatencyMs: 10, defaultPacketLoss: 0 })
    const [home, office] = [topology.lan({ prefix: '192.168.1.0/24' }), topology.lan({ prefix: '10.0.0.0/8' })]
    const all: NetworkInterface[] = [
      topology.host('laptop', { lan: home }),
      topology.host('laptop/dock', { lan: office, host: 0 }),
    ]
    const network = new HostNetwork({ interfaces: all })
    const server = mailbox(kernel, topology.host('server'))
    const printer = mailbox(kernel, topology.host('printer', { lan: office }))
    const from = (socket: HostSocket, to = server): string | undefined => {
      const before = to.arrivals.length
      socket.send(to.socket.localAddress, 'x', 1)
      kernel.run()
      return to.arrivals[before]?.packet.source.ip.text
    }
    return { kernel, topology, all, network, server, printer, from }
  }

  test('sends by the first that is up, and by the one in the destination’s network', () => {
    const it = world()
    const socket = it.network.bind(0, () => {})
    expect(it.from(socket)).toBe('198.18.0.1')
    expect(it.from(socket, it.printer)).toBe('10.0.0.2')
    for (const [i, iface] of it.all.entries()) iface.isUp = i === 1
    expect(it.from(socket)).toBe('198.18.0.2')
    expect(socket.localAddress.ip.text).toBe('10.0.0.2')
    for (const iface of it.all) iface.isUp = false
    expect(it.from(socket)).toBeUndefined()
    expect(it.topology.fabric.dropped).toEqual({ 'interface-down': 1 })
  })

  test('is bound on one port of all, or on none', () => {
    const it = world()
    const heard: unknown[] = []
    const socket = it.network.bind(7000, ({ payload, destination }) => heard.push([payload, destination.ip.text]))
    expect(socket.localAddresses.map(String)).toEqual(['192.168.1.2:7000', '10.0.0.2:7000'])
    it.printer.socket.send('10.0.0.2:7000', 'from the office', 1)
    it.kernel.run()
    expect(heard).toEqual([['from the office', '10.0.0.2']])
    socket.close()
    expect(it.all.map((iface) => iface.sockets().length)).toEqual([0, 0])
    it.all[1]?.bind(7000, () => {})
    expect(() => it.network.bind(7000, () => {})).toThrow(/port 7000 of laptop\/dock is in use/)
    expect(it.all[0]?.sockets()).toEqual([])
  })
})

describe('nodes', () => {
  const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

  /** Connects and exchanges, then says over what the selected path goes. */
  async function remoteOf(sim: Simulation, names: readonly [string, string], exchanges = 40): Promise<string[]> {
    const [server, client] = names.map((name) => sim.hosts.find((host) => host.name === name))
    const seen: string[] = []
    if (!server || !client) throw new Error('two hosts')
    void sim.perform(server, async () => {
      const p2p = await SimulatorP2P.create()
      for await (const connection of await p2p.listen()) {
        for await (const message of connection) await connection.send(message)
      }
    })
    void sim.perform(client, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create()
      await runtime.sleep(2000)
      const connection = await p2p.connect(server.id)
      for (let i = 0; i < exchanges; i++) {
        await connection.send(new Uint8Array(1))
        await connection.recv()
        await runtime.sleep(500)
        const path = connection.paths().find(({ selected }) => selected)
        seen.push(`${path?.kind} ${path?.remote}`)
      }
    })
    await sim.run({ forMs: exchanges * 1000 })
    return seen
  }

  /** A host with an interface behind a home's NAT and a public one, which are 10 and 20 ms away. */
  function twoWays(sim: Simulation, name: string): void {
    const host = sim.host(name, { lan: sim.lan({ nat: 'home' }), link: { latencyMs: 10 } })
    host.addInterface('public', { link: { latencyMs: 20 } })
  }

  test('answer from the address that was asked, and so are reached on each of them', async () => {
    await using sim = new Simulation({ seed: 1, config })
    twoWays(sim, 'server')
    const server = sim.hosts[0]
    if (!server) throw new Error('no host')
    let ticket = ''
    void sim.perform(server, async () => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      ticket = p2p.address().toString()
      await (await p2p.listen()).accept()
    })
    const remotes: string[] = []
    sim.host('client', { lan: sim.lan({ nat: 'home' }) }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      await runtime.sleep(1000)
      const connection = await p2p.connect(ticket)
      remotes.push(...connection.paths().map(({ remote }) => remote))
    })
    await sim.run({ forMs: 20_000 })
    expect(remotes).toEqual([`${server.interfaces[1]?.ip.text}:49152`])
  })

  test('look for a better path each minute, and take one that has become 5 ms better', async () => {
    await using sim = new Simulation({ seed: 1, config })
    const server = sim.host('server', { link: { latencyMs: 10 } })
    server.addInterface('second', { link: { latencyMs: 20 } })
    sim.host('client', { link: { latencyMs: 10 } })
    const [first, second] = server.interfaces.map((iface) => `direct ${iface.ip.text}:49152`)
    sim.at('10s', () => {
      const { graph } = sim.topology.fabric
      for (const [from, to] of [
        ['server', 'internet'],
        ['internet', 'server'],
      ] as const) {
        graph.updateLink(from, to, { latencyMs: 150 })
      }
    })
    const seen = await remoteOf(sim, ['server', 'client'], 200)
    expect([...new Set(seen)]).toEqual([first, second])
  })

  test('behind symmetric NATs with IPv6 find the direct path that IPv4 denies them', async () => {
    const last = async (ipv6: boolean): Promise<string | undefined> => {
      await using sim = new Simulation({ seed: 5, config })
      for (const name of ['a', 'b']) sim.host(name, { lan: sim.lan({ nat: 'symmetric', ipv6 }) })
      return (await remoteOf(sim, ['a', 'b'])).at(-1)
    }
    expect(await last(false)).toMatch(/^relay /)
    expect(await last(true)).toMatch(/^direct \[2001:db8:0:1::1\]/)
  })
})
