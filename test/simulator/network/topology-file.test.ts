import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Lan,
  type LinkOptions,
  NAT_BEHAVIOURS,
  natPresets,
  linkPresets,
  netstat,
  REGIONS,
  Topology,
  type TopologyFile,
} from '../../../src/simulator/network/index.ts'
import { Simulation } from '../../../src/simulator/simulation.ts'
import { SimulatorP2P } from '../../../src/simulator/simulator-p2p.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox } from './support.ts'

const echo = async (): Promise<void> => {
  const p2p = await SimulatorP2P.create({ relay: 'disabled' })
  for await (const connection of await p2p.listen()) await connection.send(await connection.recv())
}

function topologyOf(file: unknown): Topology {
  const topology = new Topology(new TestKernel(), { defaultPacketLoss: 0 })
  topology.load(file)
  return topology
}

/** What there is to see of it, without counters. */
function shape(topology: Topology): unknown {
  const { graph } = topology.fabric
  return {
    nodes: graph
      .nodes()
      .map(({ name, kind, lan }) => `${kind} ${name} in ${lan?.name}`)
      .toSorted(),
    links: graph
      .links()
      .map(({ name, settings }) => ({ name, settings }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    interfaces: netstat(topology.fabric).interfaces,
    nats: netstat(topology.fabric).nats,
  }
}

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Whatever people may build. */
const links: fc.Arbitrary<LinkOptions> = fc.record(
  {
    latencyMs: fc.double({ min: 0, max: 500, noNaN: true }),
    metricMs: fc.integer({ min: 0, max: 100 }),
    jitterMs: fc.integer({ min: 0, max: 20 }),
    jitterDistribution: fc.constantFrom('uniform', 'normal', 'long-tail'),
    keepOrder: fc.boolean(),
    packetLoss: fc.oneof(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constant({ goodToBad: 0.01, badToGood: 0.2, lossInBad: 0.9 }),
    ),
    corruption: fc.double({ min: 0, max: 1, noNaN: true }),
    duplication: fc.constant(0.1),
    bandwidthLimitBitsPerSecond: fc.integer({ min: 1, max: 1_000_000_000 }),
    queueMs: fc.integer({ min: 1, max: 500 }),
    mtuBytes: fc.integer({ min: 1200, max: 9000 }),
    isActive: fc.boolean(),
  },
  { requiredKeys: [] },
)
const line = fc.oneof(
  fc.constantFrom(...linkPresets.map(({ name }) => name)),
  links,
  fc.record({ up: links, down: links }),
)
const nat = fc.oneof(
  fc.constantFrom(...natPresets.map(({ name }) => name)),
  fc.record({
    mapping: fc.constantFrom(...NAT_BEHAVIOURS),
    filtering: fc.constantFrom(...NAT_BEHAVIOURS),
    portAllocation: fc.constantFrom('preserve' as const, 'sequential' as const, 'random' as const),
    mappingTimeoutMs: fc.integer({ min: 1, max: 100_000 }),
    portMapping: fc.boolean(),
  }),
)
const region = fc.constantFrom(...REGIONS)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })

interface Plan {
  readonly lans: readonly {
    nat: (typeof nat extends fc.Arbitrary<infer T> ? T : never) | 'none'
    link: typeof line extends fc.Arbitrary<infer T> ? T : never
    behind: number | undefined
    region: (typeof REGIONS)[number] | undefined
    ipv6: boolean
  }[]
  readonly hosts: readonly {
    lan: number | undefined
    region: (typeof REGIONS)[number] | undefined
    link: (typeof line extends fc.Arbitrary<infer T> ? T : never) | undefined
    second: boolean
  }[]
  readonly cores: number
  readonly changes: readonly { link: number; options: LinkOptions; removes: boolean }[]
}

const plans: fc.Arbitrary<Plan> = fc.record({
  lans: fc.array(
    fc.record({
      nat: fc.oneof(nat, fc.constant('none' as const)),
      link: line,
      behind: maybe(fc.nat(3)),
      region: maybe(region),
      ipv6: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  hosts: fc.array(
    fc.record({ lan: maybe(fc.nat(3)), region: maybe(region), link: maybe(line), second: fc.boolean() }),
    { minLength: 1, maxLength: 5 },
  ),
  cores: fc.nat(3),
  changes: fc.array(fc.record({ link: fc.nat(100), options: links, removes: fc.boolean() }), { maxLength: 4 }),
})

function build(plan: Plan): Topology {
  const topology = new Topology(new TestKernel())
  const { graph } = topology.fabric
  const lans: Lan[] = []
  for (const { behind, region: where, ipv6, link, nat: wanted } of plan.lans) {
    const outer = behind === undefined ? undefined : lans[behind]
    // There is nothing to translate to where there is only IPv6.
    const options = { link, nat: outer && !outer.realm.has(4) ? ('none' as const) : wanted }
    const hasIpv6 = ipv6 && (outer === undefined || outer.realm.has(6))
    const prefix = options.nat === 'none' ? undefined : `10.${lans.length}.0.0/16`
    lans.push(topology.lan({ ...options, prefix, behind: outer, region: outer ? undefined : where, ipv6: hasIpv6 }))
  }
  for (let i = 0; i < plan.cores; i++) {
    graph.addNode(`core-${i}`)
    graph.connectNodes(`core-${i}`, i === 0 ? 'internet' : `core-${i - 1}`, { latencyMs: i }, { latencyMs: 2 * i })
  }
  for (const [i, { lan, region: where, link, second }] of plan.hosts.entries()) {
    const home = lan === undefined ? undefined : lans[lan]
    topology.host(`host-${i}`, { lan: home, region: home ? undefined : where, link, host: i })
    if (second && plan.cores > 0) topology.host(`host-${i}/mobile`, { core: 'core-0', host: i })
  }
  for (const { link, options, removes } of plan.changes) {
    const all = graph.links()
    const { from, to } = all[link % all.length] ?? {}
    if (!from || !to) continue
    if (removes && from.kind === 'core' && to.kind === 'core') graph.disconnectNodes(from.name, to.name)
    else graph.updateLink(from.name, to.name, { ...options, queueBytes: undefined })
  }
  return topology
}

describe('topologies as JSON', () => {
  test('any topology comes back the same, and is written the same again', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const built = build(plan)
        const file = throughJson(built) as TopologyFile
        const loaded = topologyOf(file)
        expect(throughJson(loaded)).toEqual(file)
        // A link between two nodes of the internet's middle that was taken away is one that is down.
        const gone = new Set(
          (file.links ?? []).filter(({ isActive }) => isActive === false).map((it) => `${it.from}>${it.to}`),
        )
        const known = new Set(built.fabric.graph.links().map(({ name }) => name))
        const seen = shape(loaded) as { links: { name: string }[] }
        const links = seen.links.filter(({ name }) => known.has(name) || !gone.has(name))
        expect({ ...seen, links }).toEqual(shape(built))
      }),
      { numRuns: 200 },
    )
  })

  test('people write them with presets and names, and read them with the line that came of it', () => {
    const topology = topologyOf({
      version: 1,
      lans: [
        { name: 'provider', nat: 'cgnat', region: 'london' },
        { name: 'flat', behind: 'provider', link: 'fibre', portMapping: true },
      ],
      hosts: [
        { name: 'laptop', lan: 'flat', link: 'wifi' },
        {
          name: 'phone',
          interfaces: [
            { lan: 'flat', link: 'wifi' },
            { name: '4g', lan: 'provider', link: '4g' },
          ],
        },
        { name: 'eu-relay', kind: 'relay', region: 'frankfurt' },
      ],
      nodes: [{ name: 'exchange' }],
      links: [{ from: 'internet', to: 'exchange', latencyMs: 3 }],
    })
    const file = topology.toJSON()
    expect(file.lans?.map(({ nat: it, behind, region: where }) => [it, behind, where])).toEqual([
      ['cgnat', undefined, 'london'],
      [
        { ...natPresets.find(({ name }) => name === 'home'), name: undefined, portMapping: true },
        'provider',
        undefined,
      ],
    ])
    expect(file.hosts.map(({ name, kind, interfaces }) => [name, kind, interfaces?.map((it) => it.name)])).toEqual([
      ['laptop', undefined, undefined],
      ['phone', undefined, [undefined, '4g']],
      ['eu-relay', 'relay', undefined],
    ])
    expect(file.links).toEqual([{ from: 'internet', to: 'exchange', latencyMs: 3 }])
    const [, wifi, mobile] = topology.fabric.interfaces()
    expect([wifi?.name, wifi?.host, mobile?.name, mobile?.host]).toEqual(['phone', 1, 'phone/4g', 1])
    const kernel = new TestKernel()
    const again = new Topology(kernel)
    const interfaces = again.load(throughJson(file))
    const boxes = interfaces.map((iface) => mailbox(kernel, iface))
    boxes[0]?.socket.send(boxes[3]?.socket.localAddress ?? '', 'hello', 10)
    kernel.run()
    expect(boxes[3]?.payloads()).toEqual(['hello'])
  })

  const valid = { version: 1, hosts: [{ name: 'a' }] }
  test.each([
    ['no object', [], 'topology'],
    ['null', null, 'topology'],
    ['another version', { ...valid, version: 2 }, 'topology.version'],
    ['no hosts', { version: 1, hosts: [] }, 'topology.hosts'],
    ['hosts missing', { version: 1 }, 'topology.hosts'],
    ['hosts that are no list', { version: 1, hosts: { a: {} } }, 'topology.hosts'],
    ['an unknown field', { ...valid, cables: [] }, 'topology.cables'],
    ['an unknown field of a host', { version: 1, hosts: [{ name: 'a', speed: 1 }] }, 'topology.hosts[0].speed'],
    ['a host without a name', { version: 1, hosts: [{}] }, 'topology.hosts[0].name'],
    ['a name twice', { ...valid, lans: [{ name: 'a' }] }, 'topology.hosts[0].name'],
    [
      'a host without an interface',
      { version: 1, hosts: [{ name: 'a', interfaces: [] }] },
      'topology.hosts[0].interfaces',
    ],
    [
      'an interface beside the list of them',
      { version: 1, hosts: [{ name: 'a', link: 'wifi', interfaces: [{}] }] },
      'topology.hosts[0].link',
    ],
    ['a LAN that is not there', { version: 1, hosts: [{ name: 'a', lan: 'home' }] }, 'topology.hosts[0]: lan'],
    ['a LAN behind itself', { ...valid, lans: [{ name: 'x', behind: 'x' }] }, 'topology.lans[0]: lan'],
    ['a LAN as a number', { version: 1, hosts: [{ name: 'a', lan: 5 }] }, 'topology.hosts[0].lan'],
    [
      'a bad latency',
      { version: 1, hosts: [{ name: 'a', link: { latencyMs: -1 } }] },
      'topology.hosts[0]: link a up: latencyMs',
    ],
    [
      'an MTU below 1200',
      { version: 1, hosts: [{ name: 'a', link: { mtuBytes: 1199 } }] },
      'topology.hosts[0]: link a up: mtuBytes',
    ],
    [
      'a bad loss',
      { ...valid, links: [{ from: 'a', to: 'internet', packetLoss: 2 }] },
      'topology.links[0]: link a>internet: packetLoss',
    ],
    ['a link to nowhere', { ...valid, links: [{ from: 'a', to: 'b' }] }, 'topology.links[0]: node'],
    ['a link without an end', { ...valid, links: [{ from: 'a' }] }, 'topology.links[0].to'],
    [
      'an address twice',
      {
        version: 1,
        hosts: [
          { name: 'a', ip: '1.2.3.4' },
          { name: 'b', ip: '1.2.3.4' },
        ],
      },
      'topology.hosts[1]: ip',
    ],
    ['an unknown NAT', { ...valid, lans: [{ name: 'x', nat: 'sieve' }] }, 'topology.lans[0]: nat'],
    ['an unknown region', { version: 1, hosts: [{ name: 'a', region: 'mars' }] }, 'topology.hosts[0]: region'],
    ['a node of an odd kind', { ...valid, nodes: [{ name: 'x', kind: 'host' }] }, 'topology.nodes[0].kind'],
    ['a bad index', { version: 1, hosts: [{ name: 'a', host: -1 }] }, 'topology.hosts[0].host'],
    ['null for an option', { ...valid, lans: [{ name: 'x', nat: null }] }, 'topology.lans[0].nat'],
    [
      'a latency as text',
      { version: 1, hosts: [{ name: 'a', link: { latencyMs: '5' } }] },
      'topology.hosts[0]: link a up: latencyMs',
    ],
    ['an address that is a number', { version: 1, hosts: [{ name: 'a', ip6: 5 }] }, 'topology.hosts[0]: ip'],
    [
      'a link twice',
      {
        ...valid,
        links: [
          { from: 'a', to: 'internet' },
          { from: 'a', to: 'internet' },
        ],
      },
      'topology.links[1]',
    ],
  ])('%s is refused', (_name, file, where) => {
    expect(failure(() => topologyOf(file))).toBe(`invalid-configuration: ${where}`)
  })

  test('garbage of any shape is refused in so many words, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(failure(() => topologyOf(value))).toContain('invalid-configuration: topology')
      }),
      // What cannot be turned into text, as JSON may hold it.
      { examples: [[[{ toString: '' }]], [{ toString: null }], [{ version: { toString: 1, valueOf: 2 } }]] },
    )
  })
})

describe('a simulation from a file', () => {
  const file = {
    version: 1,
    lans: [{ name: 'home', nat: 'home', link: 'fibre' }],
    hosts: [
      { name: 'laptop', lan: 'home' },
      {
        name: 'phone',
        interfaces: [
          { lan: 'home', link: 'wifi' },
          { name: '4g', link: '4g' },
        ],
      },
      { name: 'eu', kind: 'relay', region: 'frankfurt' },
    ],
  }

  test('has its hosts, relays and interfaces, and runs the programs it is given', async () => {
    await using sim = new Simulation({ seed: 1 })
    const ran: string[] = []
    sim.load(file, { laptop: (host) => void ran.push(host.name) })
    expect(sim.hosts.map(({ name, interfaces }) => [name, interfaces.map((iface) => iface.name)])).toEqual([
      ['laptop', ['laptop']],
      ['phone', ['phone', 'phone/4g']],
      ['eu', ['eu']],
    ])
    await sim.run({ forMs: 10 })
    expect(ran).toEqual(['laptop'])
    const saved = throughJson(sim.topology) as TopologyFile
    await using again = new Simulation({ seed: 1 })
    again.load(saved)
    expect(throughJson(again.topology)).toEqual(saved)
  })

  test('power fails on all interfaces of a host', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.load(file)
    const phone = sim.hosts[1]
    phone?.interfaces[1]?.bind(7, () => {})
    sim.crash('phone')
    expect(phone?.interfaces.map(({ isUp }) => isUp)).toEqual([false, false])
    expect(phone?.interfaces[1]?.sockets()).toEqual([])
    sim.restart('phone')
    expect(phone?.interfaces.map(({ isUp }) => isUp)).toEqual([true, true])
  })

  test('hosts with the same index that are not the same are not made one', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.topology.host('plain')
    sim.host('whole').addInterface('4g')
    expect(sim.topology.toJSON().hosts.map(({ name, interfaces }) => [name, interfaces?.map((it) => it.name)])).toEqual(
      [
        ['plain', undefined],
        ['whole', [undefined, '4g']],
      ],
    )
  })

  test('hosts have the programs that they are given, whatever their names', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.load({ version: 1, hosts: [{ name: 'constructor' }, { name: 'toString' }] }, {})
    expect(sim.hosts.map(({ program }) => program)).toEqual(['none', 'none'])
  })

  test('knows the default relay again', async () => {
    await using sim = new Simulation({ seed: 1 })
    const { url } = sim.defaultRelay
    sim.host('a')
    const saved = throughJson(sim.topology)
    await using again = new Simulation({ seed: 1 })
    again.load(saved)
    expect(again.defaultRelay.url).toBe(url)
    expect(again.hosts).toHaveLength(2)
  })

  test('what machines are is saved, too, and makes the same history', async () => {
    const run = async (build: (sim: Simulation) => void): Promise<{ hash: string; saved: unknown; seen: string }> => {
      await using sim = new Simulation({ seed: 1 })
      build(sim)
      const { hash } = await sim.run({ forMs: 60_000 })
      return { hash, saved: throughJson(sim), seen: String(sim.netstat()) }
    }
    const first = await run((sim) => {
      const home = sim.lan({ name: 'home', nat: 'home' })
      sim.host('box', { lan: home, portMapping: true, processingMs: 0.25 }, echo)
      sim.host('watch', { clock: { offsetMs: -5000, driftPpm: 50 } })
      sim.relay('eu', { scheme: 'http', port: 4000, rateLimit: { bytesPerSecond: 1_000_000 }, processingMs: 2 })
    })
    expect(first.saved).toMatchObject({
      hosts: [
        { name: 'box', portMapping: true, processingMs: 0.25 },
        { name: 'watch', clock: { offsetMs: -5000, driftPpm: 50 } },
        {
          name: 'eu',
          relay: { scheme: 'http', port: 4000, rateLimit: { bytesPerSecond: 1_000_000 } },
          processingMs: 2,
        },
      ],
    })
    expect(first.seen).toMatch(/http:.*:4000/)
    const again = await run((sim) => sim.load(first.saved, { box: echo }))
    expect(again).toEqual(first)
  })

  test.each([
    [{ clock: { driftPpm: 'fast' } }, 'topology.hosts[0]: driftPpm'],
    [{ portMapping: 1 }, 'topology.hosts[0]: portMapping'],
    [{ processingMs: -1 }, 'topology.hosts[0]: processingMs'],
    [{ relay: { scheme: 'http' } }, 'topology.hosts[0]: relay'],
    [{ kind: 'relay', relay: [] }, 'topology.hosts[0]: options of a relay'],
    [
      { kind: 'relay', relay: { allow: true } },
      'topology.hosts[0]: a relay has no option "allow"; known are scheme, port, rateLimit',
    ],
    [{ kind: 'relay', relay: { port: 'http' } }, 'topology.hosts[0]: port'],
    [{ proccessingMs: 1 }, 'topology.hosts[0].proccessingMs'],
  ])('refuses a machine that makes no sense: %j', async (machine, setting) => {
    await using sim = new Simulation({ seed: 1 })
    expect(failure(() => sim.load({ version: 1, hosts: [{ name: 'a', ...machine }] }))).toBe(
      `invalid-configuration: ${setting}`,
    )
  })

  test('a topology alone knows no machines', () => {
    expect(failure(() => topologyOf({ version: 1, hosts: [{ name: 'a', processingMs: 1 }] }))).toBe(
      'invalid-configuration: topology.hosts[0].processingMs',
    )
  })

  test('refuses programs for hosts that are not in it', async () => {
    await using sim = new Simulation({ seed: 1 })
    expect(failure(() => sim.load(file, { tablet: () => {} }))).toBe('invalid-configuration: programs')
  })
})
