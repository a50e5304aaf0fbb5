/** What a simulation writes into its trace, and that it is the same simulation with and without. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseSimulatorConfig, P2PError } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { describeItems, parseTrace } from '@moosicbox/p2p/trace'
import { describe, expect, test } from 'vitest'
import { Collected, only, tracedStory } from './support.ts'

describe('a traced simulation', () => {
  test('has the same hash as one without, and the same bytes each time', async () => {
    const [traced, again, plain, detailed] = await Promise.all([
      tracedStory(),
      tracedStory(),
      tracedStory({ trace: 'none' }),
      tracedStory({ trace: { events: true } }),
    ])
    expect(plain.bytes).toHaveLength(0)
    expect(traced.result.hash).toBe(plain.result.hash)
    expect(detailed.result.hash).toBe(plain.result.hash)
    expect(Buffer.from(traced.bytes).equals(again.bytes)).toBe(true)
    expect((await tracedStory({ seed: 8 })).result.hash).not.toBe(plain.result.hash)
  })

  test('tells the seed, the Node it ran on, and how it ended', async () => {
    const { trace, result } = await tracedStory()
    expect(trace.header).toMatchObject({ seed: 7n, node: process.version, epochMs: 1_700_000_000_000 })
    const { hash, events } = result
    expect(trace.records.at(-1)).toMatchObject({ kind: 'ran', outcome: 'programs', hash, events })
  })

  test('tells the topology', async () => {
    const { records } = (await tracedStory()).trace
    const nodes = new Map(only(records, 'node').map((node) => [node.name, node]))
    const hosts = new Map(only(records, 'host').map((host) => [host.name, host]))
    expect([...hosts.keys()]).toEqual(['bob', 'alice', 'carol', 'relay:default'])
    expect(nodes.get('internet')?.type).toBe('core')
    expect(hosts.get('bob')?.node).toBe(nodes.get('bob')?.node)
    expect(hosts.get('bob')?.id).toMatch(/^[a-z0-9]{52}$/)
    expect(nodes.get('bob')?.lan).toBe((nodes.get('flat')?.node ?? NaN) + 1)
    const [nat] = only(records, 'router')
    expect(nat).toMatchObject({ name: 'flat', mapping: 'endpoint-independent' })
    expect(nat?.outside).toBe(nodes.get('flat/wan')?.node)
    const line = only(records, 'link').find(({ from }) => from === nodes.get('house/wan')?.node)
    expect(line).toMatchObject({ to: nodes.get('internet')?.node, active: 1 })
    const ips = only(records, 'attach').map(({ ip }) => ip)
    expect(ips).toContain('192.168.1.1')
    expect(ips.filter((ip) => ip.startsWith('198.18.')).length).toBeGreaterThanOrEqual(4)
  })

  test('tells the fate of every packet', async () => {
    const sink = new Collected()
    await using sim = new Simulation({ seed: 3, config: parseSimulatorConfig({}), trace: sink })
    const home = sim.lan({ nat: 'symmetric', link: 'wifi' })
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      sim.host(name, i === 0 ? { lan: home } : {}, async (host) => {
        const socket = host.network.bind(1000, ({ source }) => {
          if (i > 0) socket.send(source, 'pong', 50)
        })
        await host.runtime.sleep(10)
        const rounds = i === 0 ? 200 : 0
        for (let n = 0; n < rounds; n++) {
          for (const other of sim.hosts.slice(1)) socket.send(`${other.network.ip.toString()}:1000`, 'ping', 100)
          await host.runtime.sleep(10)
        }
        await host.runtime.sleep(1000)
      })
    }
    await sim.run()
    const { sent, delivered, dropped } = sim.topology.fabric.counters
    await sim.close()
    const { records } = parseTrace(sink.bytes)
    expect(only(records, 'sent')).toHaveLength(sent)
    expect(only(records, 'delivered')).toHaveLength(delivered)
    expect(only(records, 'dropped')).toHaveLength(dropped)
    expect(dropped).toBeGreaterThan(0)
    expect(only(records, 'dropped').every(({ reason }) => reason === 'loss')).toBe(true)

    // Each packet's hops join up in space and in time, from its sender to its receiver.
    const atNode = new Map(only(records, 'host').map(({ host, node }) => [host, node]))
    const nat = only(records, 'router')[0]
    const addresses = new Map(only(records, 'address').map(({ address, text }) => [address, text]))
    const gaps: unknown[] = []
    let translations = 0
    for (const start of only(records, 'sent')) {
      const own = records.filter((record) => 'packet' in record && record.packet === start.packet)
      let node = start.node
      let timeUs = start.timeUs
      for (const record of own.slice(1)) {
        const before = { node, timeUs }
        if (record.kind === 'translated') {
          translations++
          // Crossing the router takes no hop: the packet is now on its other side.
          const isRouter = node === nat?.inside || node === nat?.outside
          if (!isRouter || !addresses.get(record.from)?.startsWith('198.18.')) gaps.push({ record, before })
          node = (node === nat?.inside ? nat.outside : nat?.inside) ?? NaN
        } else if (record.kind === 'hop') {
          if (record.from !== node || record.timeUs + record.inUs !== timeUs) gaps.push({ record, before })
          node = record.to
          timeUs = record.timeUs + record.inUs + record.takesUs
        } else if (record.kind === 'delivered') {
          if (node !== atNode.get(record.host) || record.timeUs !== timeUs) gaps.push({ record, before })
        }
      }
      expect(['delivered', 'dropped']).toContain(own.at(-1)?.kind)
    }
    expect(gaps).toEqual([])
    expect(translations).toBeGreaterThan(100)
  })

  test('tells what the transport decides, and what packets hold', async () => {
    const { records, header } = (await tracedStory()).trace
    const connections = only(records, 'connection')
    expect(connections.map(({ role }) => role).toSorted()).toEqual(['client', 'server'])
    const [one, other] = only(records, 'connected')
    expect(one?.alpn).toBe('moosicbox/p2p/1')
    expect(other?.alpn).toBe(one?.alpn)
    const ids = only(records, 'host').map(({ id }) => id)
    expect(ids).toEqual(expect.arrayContaining([one?.peer, other?.peer]))
    expect(only(records, 'closed')).toContainEqual(expect.objectContaining({ by: 'local', reason: 'ended' }))
    const paths = only(records, 'path')
    expect(paths.some(({ route, selected }) => route === 'relay' && selected === 1)).toBe(true)
    expect(paths.some(({ route, selected }) => route === 'direct' && selected === 1)).toBe(true)
    const windows = only(records, 'window').map(({ windowBytes }) => windowBytes)
    expect(Math.max(...windows)).toBeGreaterThan(windows[0] ?? Infinity)
    // A second of partition in the middle of a transfer.
    expect(only(records, 'lost').length).toBeGreaterThan(0)
    expect(only(records, 'probe').length).toBeGreaterThan(0)
    // And why a window is what it is, and a datagram as large as it is.
    expect(only(records, 'windowSet')).toContainEqual(expect.objectContaining({ why: 'loss' }))
    expect(only(records, 'mtu').map(({ mtuBytes }) => mtuBytes)).toEqual(
      expect.arrayContaining([1326, 1389, 1420, 1452]),
    )
    const held = only(records, 'sent').map(({ items }) => describeItems(items, header))
    for (const part of ['Initial #0', 'CRYPTO', 'HANDSHAKE_DONE', 'STREAM stream=', 'ACK largest=', 'Relay hello']) {
      expect(held.filter((text) => text.includes(part)).length).toBeGreaterThan(0)
    }
    expect(held.filter((text) => text.includes('?'))).toEqual([])
    const streams = only(records, 'stream')
    expect(streams.filter(({ by }) => by === 'local').length).toBe(streams.filter(({ by }) => by === 'remote').length)
    expect(only(records, 'streamEnded').some(({ how }) => how === 'finished')).toBe(true)
  })

  test('tells what the applications and the scenario do', async () => {
    const { records } = (await tracedStory()).trace
    const hosts = new Map(only(records, 'host').map(({ host, name }) => [host, name]))
    expect(only(records, 'log').map(({ host, text }) => [hosts.get(host), text])).toEqual([
      ['bob', 'somebody is here'],
      ['alice', 'all is well: ✓'],
    ])
    expect(only(records, 'program').map(({ host, state }) => `${hosts.get(host)} ${state}`)).toEqual(
      expect.arrayContaining(['alice started', 'alice ended', 'carol crashed']),
    )
    expect(only(records, 'operation').map(({ timeUs }) => timeUs)).toEqual([1_500_000, 2_500_000, 3_000_000])
    expect(only(records, 'fault')).toMatchObject([{ timeUs: 3_000_000, fault: 'crash', began: 1 }])
    expect(only(records, 'partition').map(({ timeUs }) => timeUs)).toEqual([1_500_000])
    expect(only(records, 'heal').map(({ timeUs }) => timeUs)).toEqual([2_500_000])
    expect(only(records, 'dropped').some(({ reason }) => reason === 'partition')).toBe(true)
    const names = only(records, 'name').map(({ host, name, what }) => `${hosts.get(host) ?? ''} ${name} ${what}`)
    expect(names).toEqual(expect.arrayContaining([' bob registered', 'alice bob asked', 'alice bob found']))
    expect(only(records, 'relay').filter(({ what }) => what === 'attached').length).toBeGreaterThanOrEqual(2)
    expect(only(records, 'wake').length).toBeGreaterThan(20)
    expect(only(records, 'event')).toHaveLength(0)
  })

  test('records the whole history when asked to', async () => {
    const { trace, result } = await tracedStory({ trace: { events: true } })
    const events = only(trace.records, 'event')
    expect(events.filter(({ event }) => event === 1)).toHaveLength(result.events)
  })

  test('that grows too large says so', async () => {
    const { trace, bytes, result } = await tracedStory({ trace: { maxBytes: 70_000 } })
    expect(bytes.length).toBeLessThanOrEqual(70_000)
    expect(trace.records.slice(-2)).toMatchObject([{ kind: 'cut' }, { kind: 'ran', hash: result.hash }])
  })

  test('that fails tells why', async () => {
    const sink = new Collected()
    await using sim = new Simulation({ seed: 1, config: parseSimulatorConfig({}), trace: sink })
    sim.host('alice', () => {
      sim.log('now it happens')
      throw new Error('no milk')
    })
    await expect(sim.run()).rejects.toThrow('no milk')
    const { records } = parseTrace(sink.bytes)
    expect(records.slice(-2)).toMatchObject([
      { kind: 'failed', text: expect.stringContaining('host alice failed at 0 ms') },
      { kind: 'ran', outcome: 'failed' },
    ])
    expect(only(records, 'log')).toMatchObject([{ host: -1, text: 'now it happens' }])
  })

  test('goes into a file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'p2p-trace-'))
    try {
      const file = join(directory, 'run.p2ptrace')
      const sim = new Simulation({ seed: 1, config: parseSimulatorConfig({}), trace: file })
      sim.host('alice', (host) => host.log('hello'))
      const { hash } = await sim.run()
      expect(parseTrace(readFileSync(file)).records.at(-1)).toMatchObject({ kind: 'ran', hash })
      await sim.close()
      const missing = join(directory, 'no', 'such')
      expect(() => new Simulation({ seed: 1, trace: missing })).toThrow(/cannot open the trace .*no such file/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('whose sink fails ends the run with its error', async () => {
    const sink = {
      write: () => {
        throw P2PError.of('io', 'the disk is full', {})
      },
    }
    const sim = new Simulation({ seed: 1, config: parseSimulatorConfig({}), trace: { to: sink } })
    sim.host('alice', async (host) => {
      for (let i = 0; i < 10_000; i++) {
        host.log('a long line '.repeat(10))
        await host.runtime.sleep(1)
      }
    })
    await expect(sim.run()).rejects.toThrow('the disk is full')
    await sim.close()
  })

  test('refuses options that make no sense', () => {
    for (const trace of ['', { to: '' }, { to: {} as never }, { to: new Collected(), maxBytes: 10 }]) {
      expect(() => new Simulation({ seed: 1, trace })).toThrow(P2PError)
    }
  })
})
