import { describe, expect, test } from 'vitest'
import { Fabric, NetworkKind, type NatOptions, netstat, Topology } from '../../../src/simulator/network/index.ts'
import { Simulation } from '../../../src/simulator/simulation.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { type Mailbox, mailbox } from './support.ts'

const open: NatOptions = { mapping: 'endpoint-independent', filtering: 'endpoint-independent' }

/** Four hosts: two in one home with a server port open, two public. */
function world() {
  const kernel = new TestKernel({ keepRecords: true })
  const fabric = new Fabric(kernel)
  const home = fabric.addLan('home', { nat: open, up: { latencyMs: 5 }, down: { latencyMs: 5 } })
  const line = { up: { latencyMs: 10 }, down: { latencyMs: 10 } }
  const hosts: Record<string, Mailbox> = {
    tv: mailbox(kernel, fabric.attach('tv', { lan: home, up: { latencyMs: 1 }, down: { latencyMs: 1 } })),
    pc: mailbox(kernel, fabric.attach('pc', { lan: home, up: { latencyMs: 1 }, down: { latencyMs: 1 } })),
    web: mailbox(kernel, fabric.attach('web', line)),
    db: mailbox(kernel, fabric.attach('db', line)),
  }
  const interfaces = new Map(fabric.interfaces().map((iface) => [iface.name, iface]))
  const tv = interfaces.get('tv')
  const pc = interfaces.get('pc')
  if (!tv || !pc) throw new Error('no hosts')
  const outside = { tv: home.forwardPort(tv, 7000, 7001), pc: home.forwardPort(pc, 7000, 7002) }
  /** Who can send to whom now, one packet each. */
  const reach = (): string[] => {
    const pairs: string[] = []
    for (const [from, sender] of Object.entries(hosts)) {
      for (const [to, receiver] of Object.entries(hosts)) {
        if (from === to) continue
        const isHome = (name: string): boolean => name === 'tv' || name === 'pc'
        const address = to === 'tv' || to === 'pc' ? outside[to] : receiver.socket.localAddress
        const before = receiver.arrivals.length
        sender.socket.send(isHome(from) && isHome(to) ? receiver.socket.localAddress : address, from, 10)
        kernel.run()
        if (receiver.arrivals.length > before) pairs.push(`${from}>${to}`)
      }
    }
    return pairs
  }
  return { kernel, fabric, hosts, home, outside, reach }
}

const everybody = 'tv>pc tv>web tv>db pc>tv pc>web pc>db web>tv web>pc web>db db>tv db>pc db>web'
const without = (...cut: string[]): string[] => everybody.split(' ').filter((pair) => !cut.includes(pair))

describe('partitions', () => {
  test.each([
    ['two hosts', ['web'], ['db'], undefined, ['web>db', 'db>web']],
    ['one way', ['web'], ['db'], 'a-to-b', ['web>db']],
    ['a home, which stands for its hosts', ['home'], ['web'], undefined, ['tv>web', 'pc>web', 'web>tv', 'web>pc']],
    ['a home one way', ['home'], ['web'], 'a-to-b', ['tv>web', 'pc>web']],
    ['into a home one way', ['web'], ['home'], 'a-to-b', ['web>tv', 'web>pc']],
    ['one host behind a NAT', ['tv'], ['web'], undefined, ['tv>web', 'web>tv']],
    ['two hosts of one home', ['tv'], ['pc'], undefined, ['tv>pc', 'pc>tv']],
    [
      'one host from all others',
      ['tv'],
      undefined,
      undefined,
      ['tv>pc', 'tv>web', 'tv>db', 'pc>tv', 'web>tv', 'db>tv'],
    ],
    [
      'two hosts, which still reach each other, from all others',
      ['tv', 'web'],
      undefined,
      undefined,
      ['tv>pc', 'tv>db', 'web>pc', 'web>db', 'pc>tv', 'pc>web', 'db>tv', 'db>web'],
    ],
    [
      'a home from the internet',
      ['home'],
      ['internet'],
      undefined,
      ['tv>web', 'tv>db', 'pc>web', 'pc>db', 'web>tv', 'web>pc', 'db>tv', 'db>pc'],
    ],
  ] as const)('%s', (_, groupA, groupB, direction, cut) => {
    const { fabric, reach } = world()
    expect(reach()).toEqual(without())
    const partition = fabric.graph.addPartition(groupA, groupB, { direction })
    expect(reach()).toEqual(without(...cut))
    partition.heal()
    expect(reach()).toEqual(without())
  })

  test('overlap, and each heals by itself, in any order and more than once', () => {
    const { fabric, reach } = world()
    const first = fabric.graph.addPartition(['web'], ['db', 'tv'])
    const second = fabric.graph.addPartition(['db'], ['web', 'pc'])
    expect(reach()).toEqual(without('web>db', 'db>web', 'web>tv', 'tv>web', 'db>pc', 'pc>db'))
    fabric.graph.healPartition(first)
    first.heal()
    expect(reach()).toEqual(without('web>db', 'db>web', 'db>pc', 'pc>db'))
    expect(fabric.graph.partitions()).toEqual([second])
    second[Symbol.dispose]()
    expect(reach()).toEqual(without())
  })

  test('healing restores exactly what was there, and keeps what has changed meanwhile', () => {
    const { kernel, fabric, reach } = world()
    fabric.graph.updateLink('db', 'internet', { isActive: false })
    const settings = (): unknown => fabric.graph.links().map(({ name, settings }) => [name, settings])
    const paths = (): unknown =>
      ['tv', 'web', 'db'].map((name) => fabric.graph.findPath(name, 'web')?.links.map((link) => link.name))
    const before = [settings(), paths(), reach()]
    const partition = fabric.graph.addPartition(['home', 'db'], ['web'])
    expect(fabric.graph.findPath('tv', 'web')).toBeUndefined()
    reach()
    partition.heal()
    expect([settings(), paths(), reach()]).toEqual(before)

    const again = fabric.graph.addPartition(['web'], ['db'])
    fabric.graph.updateLink('db', 'internet', { isActive: true, latencyMs: 33 })
    again.heal()
    expect(fabric.graph.link('db', 'internet').settings).toMatchObject({ isActive: true, latencyUs: 33_000 })
    expect(reach()).toEqual(without())
    const kinds = kernel.audit.records.map(({ kind, a }) => [kind, a])
    expect(kinds).toContainEqual([NetworkKind.partition, 1])
    expect(kinds).toContainEqual([NetworkKind.heal, 1])
  })

  test('a host added later to a LAN is cut as well', () => {
    const { kernel, fabric, hosts, home } = world()
    using partition = fabric.graph.addPartition(['home'], ['web'])
    const late = mailbox(kernel, fabric.attach('late', { lan: home }))
    const { web, db } = hosts
    if (web) late.socket.send(web.socket.localAddress, 'late', 1)
    if (db) late.socket.send(db.socket.localAddress, 'late', 1)
    kernel.run()
    expect([web?.arrivals.length, db?.arrivals.length, partition.direction]).toEqual([0, 1, 'both'])
  })

  test('a LAN stands for the LANs behind it', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const provider = fabric.addLan('provider', { nat: open, prefix: '100.64.0.0/10' })
    const flat = fabric.addLan('flat', { nat: open, lan: provider })
    const phone = fabric.attach('phone', { lan: flat })
    const neighbour = fabric.attach('neighbour', { lan: provider })
    const server = mailbox(kernel, fabric.attach('server'))
    const cut = (...group: string[]): unknown[] => {
      const before = server.arrivals.length
      using partition = fabric.graph.addPartition(group, ['server'])
      for (const host of [phone, neighbour])
        host.bind(0, () => {}).send(server.socket.localAddress, host.name, partition.id)
      kernel.run()
      return server.payloads().slice(before)
    }
    expect(cut('provider')).toEqual([])
    expect(cut('flat')).toEqual(['neighbour'])
    expect(cut('phone')).toEqual(['neighbour'])
    expect(cut('neighbour')).toEqual(['phone'])
  })

  test('a host is cut off with all of its interfaces, one interface alone by its name', async () => {
    await using sim = new Simulation({ seed: 1, config: { defaultPacketLoss: 0 } })
    const phone = sim.host('phone')
    const mobile = phone.addInterface('4g', { link: '4g' })
    sim.host('server')
    const { graph } = sim.topology.fabric
    const cut = (): string[] => ['phone', 'phone/4g'].filter((name) => !graph.findPath(name, 'server'))
    {
      using _ = graph.addPartition(['phone'], ['server'])
      expect(cut()).toEqual(['phone', 'phone/4g'])
      expect(graph.findPath('phone', 'phone/4g')).toBeDefined()
    }
    {
      using _ = graph.addPartition(['server'])
      expect(cut()).toEqual(['phone', 'phone/4g'])
    }
    using _ = graph.addPartition([mobile.name])
    expect(cut()).toEqual(['phone/4g'])
  })

  test('a region stands for what hangs on it', () => {
    const topology = new Topology(new TestKernel())
    topology.host('berlin', { region: 'frankfurt' })
    topology.host('tv', { lan: topology.lan({ name: 'flat', region: 'frankfurt' }) })
    topology.host('uluru', { region: 'sydney' })
    topology.host('nowhere')
    const { graph } = topology.fabric
    const cut = (from: string): string[] =>
      ['berlin', 'tv', 'uluru', 'nowhere'].filter((to) => !graph.findPath(from, to))
    const apart = graph.addPartition(['region:frankfurt'], ['region:sydney'])
    expect([cut('berlin'), cut('tv'), cut('uluru'), cut('nowhere')]).toEqual([
      ['uluru'],
      ['uluru'],
      ['berlin', 'tv'],
      [],
    ])
    apart.heal()
    graph.addPartition(['region:frankfurt'])
    expect([cut('berlin'), cut('uluru')]).toEqual([
      ['uluru', 'nowhere'],
      ['berlin', 'tv'],
    ])
  })

  test('what cuts one packet under way does not cut the next that is like it', () => {
    const { kernel, fabric, hosts } = world()
    const { web, db } = hosts
    const other = mailbox(kernel, fabric.attach('other', { down: { latencyMs: 10, jitterMs: 1 } }))
    if (!web || !db) throw new Error('no hosts')
    web.socket.send(db.socket.localAddress, 'first', 1)
    kernel.run()
    web.socket.send(other.socket.localAddress, 'second', 1)
    fabric.graph.addPartition(['internet'], ['db'])
    kernel.run()
    expect(other.payloads()).toEqual(['second'])
  })

  test('packets under way when it starts are cut; those sent after it has healed are not', () => {
    const { kernel, fabric, hosts } = world()
    const { web, db } = hosts
    if (!web || !db) throw new Error('no hosts')
    web.socket.send(db.socket.localAddress, 'under way', 1)
    kernel.runFor(15_000)
    const partition = fabric.graph.addPartition(['web'], ['db'])
    web.socket.send(db.socket.localAddress, 'during', 1)
    kernel.runFor(15_000)
    partition.heal()
    web.socket.send(db.socket.localAddress, 'after', 1)
    kernel.run()
    expect(db.payloads()).toEqual(['after'])
    expect(fabric.dropped).toEqual({ partition: 2 })
    expect(netstat(fabric)).toMatchObject({
      partitions: [],
      packets: { sent: 3, delivered: 1, dropped: 2, underWay: 0 },
    })
  })

  test('in a mesh only links that cross are cut, and packets go around', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    for (const name of ['a', 'b', 'c']) fabric.graph.addNode(name)
    fabric.graph.connectNodes('a', 'b', { latencyMs: 1 })
    fabric.graph.connectNodes('b', 'c', { latencyMs: 1 })
    fabric.graph.connectNodes('a', 'c', { latencyMs: 10 })
    expect(fabric.graph.findPath('a', 'c')?.nodes).toEqual(['a', 'b', 'c'])
    const partition = fabric.graph.addPartition(['a'], ['b'])
    expect(fabric.graph.findPath('a', 'c')?.nodes).toEqual(['a', 'c'])
    expect(fabric.graph.findPath('a', 'b')).toBeUndefined()
    partition.heal()
    expect(fabric.graph.findPath('a', 'c')?.nodes).toEqual(['a', 'b', 'c'])
  })
})
