import { describe, expect, test } from 'vitest'
import {
  Fabric,
  type Lan,
  NAT_BEHAVIOURS,
  type NatOptions,
  natPreset,
  natPresets,
  netstat,
  NetworkKind,
} from '../../../src/simulator/network/index.ts'
import { resolveNatOptions } from '../../../src/simulator/network/nat-options.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox, type Mailbox } from './support.ts'

const cone: NatOptions = { mapping: 'endpoint-independent', filtering: 'endpoint-independent' }
const home: NatOptions = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' }
const symmetric: NatOptions = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  portAllocation: 'random',
}

interface World {
  readonly kernel: TestKernel
  readonly fabric: Fabric
  readonly lan: Lan
  readonly host: Mailbox
  readonly server: Mailbox
  readonly other: Mailbox
}

/** A host behind a NAT, two public ones, links without delay. */
function world(nat: NatOptions): World {
  const kernel = new TestKernel({ keepRecords: true })
  const fabric = new Fabric(kernel)
  const lan = fabric.addLan('home', { nat })
  return {
    kernel,
    fabric,
    lan,
    host: mailbox(kernel, fabric.attach('host', { lan })),
    server: mailbox(kernel, fabric.attach('server')),
    other: mailbox(kernel, fabric.attach('other')),
  }
}

/** Sends from one to another, settles, and says under which address it came. */
function sendTo({ kernel }: World, from: Mailbox, to: Mailbox): string | undefined {
  const before = to.arrivals.length
  from.socket.send(to.socket.localAddress, 'x', 10)
  kernel.runFor(0)
  return to.arrivals[before]?.packet.source.toString()
}

/** Whether a packet from outside to that address comes in. */
function comesIn({ kernel, host }: World, from: Mailbox, address: string | undefined): boolean {
  const before = host.arrivals.length
  from.socket.send(address ?? '', 'y', 10)
  kernel.runFor(0)
  return host.arrivals.length > before
}

describe('mapping', () => {
  test('what leaves has the outside address, and answers come back to the inside one', () => {
    const it = world(home)
    expect(sendTo(it, it.host, it.server)).toBe('198.18.0.1:7000')
    it.server.socket.send(it.server.arrivals[0]?.packet.source ?? '', 'answer', 1)
    it.kernel.run()
    expect(it.host.arrivals[0]?.packet).toMatchObject({
      source: it.server.socket.localAddress,
      destination: it.host.socket.localAddress,
    })
    expect(it.host.socket.localAddress.toString()).toBe('192.168.1.2:7000')
    const mappings = it.kernel.audit.records.filter(({ kind }) => kind === NetworkKind.natMapping)
    expect(mappings).toHaveLength(1)
  })

  test.each([
    ['endpoint-independent', [true, true, true]],
    ['address-dependent', [true, true, false]],
    ['address-and-port-dependent', [true, false, false]],
  ] as const)('%s: the same port for the same peer, another port of it, another peer', (mapping, same) => {
    const it = world({ ...symmetric, mapping })
    const second = mailbox(it.kernel, it.fabric.interfaces()[1] ?? it.fabric.attach('x'), 7001)
    const first = sendTo(it, it.host, it.server)
    const ports = [it.server, second, it.other].map((peer) => sendTo(it, it.host, peer))
    expect(ports.map((port) => port === first)).toEqual(same)
  })

  test('two inside ports, or hosts, never share an outside port', () => {
    for (const portAllocation of ['preserve', 'sequential', 'random'] as const) {
      const it = world({ ...home, portAllocation })
      const neighbour = mailbox(it.kernel, it.fabric.attach('neighbour', { lan: it.lan }))
      const [hostInterface] = it.fabric.interfaces()
      if (!hostInterface) throw new Error('no host')
      const second = mailbox(it.kernel, hostInterface, 7001)
      const addresses = [it.host, neighbour, second].map((from) => sendTo(it, from, it.server))
      expect(new Set(addresses).size).toBe(3)
    }
  })
})

describe('filtering', () => {
  test.each([
    ['endpoint-independent', [true, true, true]],
    ['address-dependent', [true, true, false]],
    ['address-and-port-dependent', [true, false, false]],
  ] as const)('%s lets in: who was sent to, another port of it, anybody', (filtering, expected) => {
    for (const mapping of NAT_BEHAVIOURS) {
      const it = world({ mapping, filtering, portAllocation: 'random' })
      const serverInterface = it.fabric.interfaces().find(({ name }) => name === 'server')
      if (!serverInterface) throw new Error('no server')
      const second = mailbox(it.kernel, serverInterface, 7001)
      const outside = sendTo(it, it.host, it.server)
      expect([it.server, second, it.other].map((from) => comesIn(it, from, outside))).toEqual(expected)
      expect(it.fabric.dropped['nat-filtered'] ?? 0).toBe(expected.filter((isIn) => !isIn).length)
    }
  })

  test('nothing comes in to a port nobody has sent from, nor to the router itself', () => {
    const it = world(cone)
    sendTo(it, it.host, it.server)
    expect(comesIn(it, it.server, '198.18.0.1:7001')).toBe(false)
    it.host.socket.send('192.168.1.1:53', 'router', 1)
    it.kernel.run()
    expect(it.fabric.dropped).toEqual({ 'nat-unmapped': 1, 'no-port': 1 })
  })

  test('a firewall that blocks UDP lets nothing through, in either direction', () => {
    const it = world(natPreset('udp-blocked'))
    expect(sendTo(it, it.host, it.server)).toBeUndefined()
    expect(comesIn(it, it.server, '198.18.0.1:7000')).toBe(false)
    expect(it.fabric.dropped).toEqual({ 'udp-blocked': 2 })
  })
})

describe('port allocation', () => {
  test('preserve keeps the port where it is free, else takes the next', () => {
    const it = world(home)
    const neighbours = ['n1', 'n2'].map((name) => mailbox(it.kernel, it.fabric.attach(name, { lan: it.lan })))
    const low = mailbox(it.kernel, it.fabric.attach('low', { lan: it.lan }), 80)
    const addresses = [it.host, ...neighbours, low].map((from) => sendTo(it, from, it.server))
    expect(addresses.map((address) => address?.split(':')[1])).toEqual(['7000', '7001', '7002', '80'])
  })

  test('a preserved port is shared by the peers of one host, never by two hosts', () => {
    const it = world({ ...symmetric, portAllocation: 'preserve' })
    const neighbour = mailbox(it.kernel, it.fabric.attach('neighbour', { lan: it.lan }))
    const ports = [it.host, neighbour].map((from) =>
      [it.server, it.other].map((to) => sendTo(it, from, to)?.split(':')[1]),
    )
    expect(ports).toEqual([
      ['7000', '7000'],
      ['7001', '7002'],
    ])
  })

  test('sequential counts up, past ports in use', () => {
    const it = world({ ...symmetric, portAllocation: 'sequential' })
    const [hostInterface] = it.fabric.interfaces()
    if (!hostInterface) throw new Error('no host')
    it.lan.forwardPort(hostInterface, 9999, 1026)
    const ports = [it.server, it.other].map((peer) => sendTo(it, it.host, peer)?.split(':')[1])
    const third = mailbox(it.kernel, it.fabric.attach('third'))
    expect([...ports, sendTo(it, it.host, third)?.split(':')[1]]).toEqual(['1024', '1025', '1027'])
  })

  test('random ports are spread over 1024..65535, and the same for the same seed', () => {
    const portsOf = (): number[] => {
      const it = world({ ...symmetric, mappingTimeoutMs: 1 })
      return Array.from({ length: 2000 }, () => {
        const port = Number(sendTo(it, it.host, it.server)?.split(':')[1])
        it.kernel.runFor(10_000)
        return port
      })
    }
    const ports = portsOf()
    expect(portsOf()).toEqual(ports)
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(1024)
    expect(Math.max(...ports)).toBeLessThanOrEqual(65_535)
    expect(ports.filter((port) => port < 33_280).length / ports.length).toBeCloseTo(0.5, 1)
    expect(new Set(ports).size).toBeGreaterThan(1900)
  })
})

describe('time-outs', () => {
  const quick: NatOptions = { ...home, portAllocation: 'random', mappingTimeoutMs: 300_000, unrepliedTimeoutMs: 30_000 }

  test('30 s without a reply', () => {
    const it = world(quick)
    const outside = sendTo(it, it.host, it.server)
    it.kernel.runFor(29_999_999)
    expect(comesIn(it, it.server, outside)).toBe(true)
    const again = world(quick)
    const gone = sendTo(again, again.host, again.server)
    again.kernel.runFor(30_000_000)
    expect(comesIn(again, again.server, gone)).toBe(false)
    expect(again.fabric.dropped).toEqual({ 'nat-unmapped': 1 })
  })

  test('300 s after a reply, kept alive by packets both ways', () => {
    const it = world(quick)
    const outside = sendTo(it, it.host, it.server)
    expect(comesIn(it, it.server, outside)).toBe(true)
    it.kernel.runFor(299_000_000)
    expect(comesIn(it, it.server, outside)).toBe(true)
    it.kernel.runFor(299_000_000)
    expect(sendTo(it, it.host, it.server)).toBe(outside)
    it.kernel.runFor(299_999_999)
    expect(comesIn(it, it.server, outside)).toBe(true)
    it.kernel.runFor(300_000_000)
    expect(comesIn(it, it.server, outside)).toBe(false)
    expect(sendTo(it, it.host, it.server)).not.toBe(outside)
  })

  test('without refreshing by packets from outside only those from inside count', () => {
    const it = world({ ...quick, refreshOnInbound: false })
    const outside = sendTo(it, it.host, it.server)
    comesIn(it, it.server, outside)
    it.kernel.runFor(29_000_000)
    comesIn(it, it.server, outside)
    it.kernel.runFor(1_000_000)
    expect(comesIn(it, it.server, outside)).toBe(false)
  })

  test('each peer has a time of its own: a filter closes while the mapping lives on', () => {
    const it = world(quick)
    const outside = sendTo(it, it.host, it.other)
    it.kernel.runFor(20_000_000)
    expect(sendTo(it, it.host, it.server)).toBe(outside)
    it.kernel.runFor(15_000_000)
    expect(comesIn(it, it.other, outside)).toBe(false)
    expect(comesIn(it, it.server, outside)).toBe(true)
    expect(it.fabric.dropped).toEqual({ 'nat-filtered': 1 })
    // And opens again, for an unreplied time.
    expect(sendTo(it, it.host, it.other)).toBe(outside)
    it.kernel.runFor(29_999_999)
    expect(comesIn(it, it.other, outside)).toBe(true)
  })

  test('a peer that answered once and was forgotten has to answer again', () => {
    const it = world(quick)
    const outside = sendTo(it, it.host, it.other)
    comesIn(it, it.other, outside)
    for (let i = 0; i < 11; i++) {
      it.kernel.runFor(29_000_000)
      sendTo(it, it.host, it.server)
    }
    expect(comesIn(it, it.other, outside)).toBe(false)
    expect(sendTo(it, it.host, it.other)).toBe(outside)
    it.kernel.runFor(29_000_000)
    sendTo(it, it.host, it.server)
    it.kernel.runFor(1_000_000)
    expect(comesIn(it, it.other, outside)).toBe(false)
  })

  test('an idle network has no events', () => {
    const it = world(quick)
    sendTo(it, it.host, it.server)
    expect(it.kernel.pending).toBe(0)
  })

  test('a NAT is bounded: what is over makes room, what is alive does not', () => {
    const it = world({ ...quick, maxSessions: 10 })
    const [hostInterface] = it.fabric.interfaces()
    if (!hostInterface) throw new Error('no host')
    const sockets = Array.from({ length: 12 }, () => mailbox(it.kernel, hostInterface, 0))
    const arrived = (): number => sockets.filter((from) => sendTo(it, from, it.server) !== undefined).length
    expect(arrived()).toBe(10)
    expect(it.fabric.dropped).toEqual({ 'nat-full': 2 })
    it.kernel.runFor(30_000_000)
    expect(arrived()).toBe(10)
    it.kernel.runFor(30_000_000)
    for (const socket of hostInterface.sockets().slice(1)) socket.close()
    sockets.splice(0, 12, ...Array.from({ length: 12 }, () => mailbox(it.kernel, hostInterface, 0)))
    expect(arrived()).toBe(10)
    expect(it.lan.nat?.snapshot()).toHaveLength(10)
  })

  test('thousands of short flows leave nothing behind', () => {
    const it = world({ ...symmetric, mappingTimeoutMs: 1000 })
    for (let i = 0; i < 5000; i++) {
      sendTo(it, it.host, i % 2 === 0 ? it.server : it.other)
      it.kernel.runFor(1_000_000)
    }
    expect(it.server.arrivals.length + it.other.arrivals.length).toBe(5000)
    expect(it.lan.nat?.snapshot()).toHaveLength(0)
  })

  test('a flush, as by a restart, gives new ports', () => {
    const it = world(quick)
    const outside = sendTo(it, it.host, it.server)
    expect(comesIn(it, it.server, outside)).toBe(true)
    it.lan.nat?.flush()
    expect(comesIn(it, it.server, outside)).toBe(false)
    expect(sendTo(it, it.host, it.server)).not.toBe(outside)
  })
})

describe('hairpinning', () => {
  test.each([true, false])('%j', (hairpinning) => {
    const it = world({ ...cone, hairpinning })
    const neighbour = mailbox(it.kernel, it.fabric.attach('neighbour', { lan: it.lan }), 8000)
    const outside = sendTo(it, neighbour, it.server)
    it.host.socket.send(outside ?? '', 'around', 1)
    it.kernel.run()
    // RFC 4787, REQ-9: with the outside source address.
    expect(neighbour.arrivals.map(({ packet }) => String(packet.source))).toEqual(
      hairpinning ? ['198.18.0.1:7000'] : [],
    )
    expect(it.fabric.dropped).toEqual(hairpinning ? {} : { 'nat-hairpin': 1 })
    if (!hairpinning) return
    neighbour.socket.send(neighbour.arrivals[0]?.packet.source ?? '', 'back', 1)
    it.kernel.run()
    expect(it.host.payloads()).toEqual(['back'])
  })

  test('the filter holds for it too', () => {
    const it = world({ ...home, hairpinning: true })
    const neighbour = mailbox(it.kernel, it.fabric.attach('neighbour', { lan: it.lan }), 8000)
    const outside = sendTo(it, neighbour, it.server)
    it.host.socket.send(outside ?? '', 'around', 1)
    it.kernel.run()
    expect(neighbour.arrivals).toHaveLength(0)
    expect(it.fabric.dropped).toEqual({ 'nat-filtered': 1 })
  })
})

describe('private networks', () => {
  test('may have the same addresses, and stay apart', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const server = mailbox(kernel, fabric.attach('server'))
    const boxes = ['one', 'two'].map((name) => {
      const lan = fabric.addLan(name, { nat: home })
      const pc = mailbox(kernel, fabric.attach(`${name}/pc`, { lan }))
      return { pc, tv: mailbox(kernel, fabric.attach(`${name}/tv`, { lan })) }
    })
    const [one, two] = boxes
    if (!one || !two) throw new Error('two homes')
    expect(one.tv.socket.localAddress).toBe(two.tv.socket.localAddress)
    one.pc.socket.send(one.tv.socket.localAddress, 'from one', 1)
    two.pc.socket.send(two.tv.socket.localAddress, 'from two', 1)
    for (const { pc } of boxes) pc.socket.send(server.socket.localAddress, 'hello', 1)
    kernel.run()
    expect(one.tv.payloads()).toEqual(['from one'])
    expect(two.tv.payloads()).toEqual(['from two'])
    expect(server.arrivals.map(({ packet }) => String(packet.source))).toEqual(['198.18.0.2:7000', '198.18.0.3:7000'])
  })

  test('a private address means nobody outside its network', () => {
    const it = world(home)
    it.server.socket.send('192.168.1.2:7000', 'in', 1)
    it.host.socket.send('192.168.1.77:7000', 'nobody here', 1)
    it.kernel.run()
    expect(it.fabric.dropped).toEqual({ 'no-host': 2 })
  })

  test('a home behind a provider’s NAT: two translations each way', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const provider = fabric.addLan('provider', { nat: natPreset('cgnat'), prefix: '100.64.0.0/10' })
    const flat = fabric.addLan('flat', { nat: home, lan: provider })
    const phone = mailbox(kernel, fabric.attach('phone', { lan: flat }))
    const server = mailbox(kernel, fabric.attach('server'))
    phone.socket.send(server.socket.localAddress, 'up', 1)
    kernel.run()
    const source = server.arrivals[0]?.packet.source
    expect(source?.ip.text).toBe('198.18.0.1')
    expect(flat.nat?.outsideIp.text).toBe('100.64.0.2')
    server.socket.send(source ?? '', 'down', 1)
    kernel.run()
    expect(phone.payloads()).toEqual(['down'])
    expect(netstat(fabric).nats.map(({ lan, mappings }) => [lan, mappings.length])).toEqual([
      ['provider', 1],
      ['flat', 1],
    ])
    expect(fabric.graph.findPath('phone', 'server')?.nodes).toEqual([
      'phone',
      'flat',
      'flat/wan',
      'provider',
      'provider/wan',
      'internet',
      'server',
    ])
    expect(fabric.graph.findPath('server', 'phone')?.nodes.toReversed()).toEqual(
      fabric.graph.findPath('phone', 'server')?.nodes,
    )
    // The outer filter is open, the inner one is not.
    mailbox(kernel, fabric.attach('stranger')).socket.send(source ?? '', 'in', 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'nat-filtered': 1 })
    expect(flat.nat?.snapshot()[0]?.peers).toEqual([server.socket.localAddress.toString()])
  })

  test('neighbours behind one provider reach each other only where it hairpins', () => {
    for (const hairpinning of [true, false]) {
      const kernel = new TestKernel()
      const fabric = new Fabric(kernel)
      const provider = fabric.addLan('provider', { nat: { ...cone, hairpinning }, prefix: '100.64.0.0/10' })
      const boxes = ['one', 'two'].map((name) => {
        const lan = fabric.addLan(name, { nat: cone, lan: provider })
        return mailbox(kernel, fabric.attach(`${name}/pc`, { lan }), name === 'one' ? 7001 : 7002)
      })
      const [one, two] = boxes
      const server = mailbox(kernel, fabric.attach('server'))
      two?.socket.send(server.socket.localAddress, 'hello', 1)
      kernel.run()
      one?.socket.send(server.arrivals[0]?.packet.source ?? '', 'neighbour', 1)
      kernel.run()
      expect(two?.payloads()).toEqual(hairpinning ? ['neighbour'] : [])
    }
  })

  test('a LAN without a NAT has addresses of the network around it', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const office = fabric.addLan('office', { up: { latencyMs: 4 }, down: { latencyMs: 6 } })
    const line = { up: { latencyMs: 1 }, down: { latencyMs: 1 } }
    const desk = mailbox(kernel, fabric.attach('desk', { lan: office, ...line }))
    const printer = mailbox(kernel, fabric.attach('printer', { lan: office, ...line }))
    const server = mailbox(kernel, fabric.attach('server', line))
    server.socket.send(desk.socket.localAddress, 'in', 1)
    desk.socket.send(printer.socket.localAddress, 'across', 1)
    kernel.run()
    expect(desk.arrivals.map(({ atUs }) => atUs)).toEqual([8000])
    expect(printer.arrivals.map(({ atUs, packet }) => [atUs, String(packet.source)])).toEqual([
      [2000, '198.18.0.1:7000'],
    ])
    expect(office.nat).toBeUndefined()
  })

  test('a host moves from home to mobile: its address changes, its old mapping stays behind', () => {
    const it = world(cone)
    const outside = sendTo(it, it.host, it.server)
    const mobile = it.fabric.addLan('mobile', { nat: natPreset('cgnat'), prefix: '100.64.0.0/10' })
    const [hostInterface] = it.fabric.interfaces()
    if (!hostInterface) throw new Error('no host')
    it.fabric.move(hostInterface, { lan: mobile })
    expect(it.host.socket.localAddress.toString()).toBe('100.64.0.2:7000')
    expect(comesIn(it, it.server, outside)).toBe(false)
    const roamed = sendTo(it, it.host, it.server)
    expect(roamed).toMatch(/^198\.18\.0\.4:/)
    expect(comesIn(it, it.server, roamed)).toBe(true)
    expect(it.fabric.dropped).toEqual({ 'no-host': 1 })
  })
})

describe('forwarded ports', () => {
  test('let anybody in, for good, and the host comes out of them', () => {
    const it = world(symmetric)
    const [hostInterface] = it.fabric.interfaces()
    if (!hostInterface) throw new Error('no host')
    const address = it.lan.forwardPort(hostInterface, 7000, 80)
    expect(address).toBe('198.18.0.1:80')
    it.kernel.runFor(1e12)
    it.lan.nat?.flush()
    expect(comesIn(it, it.other, address)).toBe(true)
    expect(sendTo(it, it.host, it.server)).toBe(address)
    it.kernel.runFor(1e12)
    expect(comesIn(it, it.other, address)).toBe(true)
    expect(it.lan.nat?.snapshot()).toMatchObject([{ outside: address, expiresInMs: Number.POSITIVE_INFINITY }])
  })

  test('mistakes', () => {
    const it = world(home)
    const [host, server] = it.fabric.interfaces()
    if (!host || !server) throw new Error('no hosts')
    const neighbour = it.fabric.attach('neighbour', { lan: it.lan })
    it.lan.forwardPort(host, 7000)
    expect(failure(() => it.lan.forwardPort(neighbour, 7000))).toBe('invalid-configuration: outsidePort')
    expect(failure(() => it.lan.forwardPort(host, 0, 5))).toBe('invalid-configuration: port')
    expect(failure(() => it.lan.forwardPort(host, 5, 65_536))).toBe('invalid-configuration: outsidePort')
    expect(failure(() => it.lan.forwardPort(server, 7000, 5))).toContain('unsupported')
    expect(failure(() => it.fabric.addLan('office').forwardPort(server, 7000))).toContain('unsupported')
  })
})

describe('ports that hosts ask for', () => {
  const asking = (nat: NatOptions = symmetric) => {
    const it = world({ ...nat, portMapping: true })
    const iface = it.fabric.interfaces()[0]
    if (!iface) throw new Error('a host')
    return { ...it, iface }
  }

  test('are forwarded to it, for anybody, and it leaves by them', () => {
    const it = asking()
    const outside = it.lan.mapPort(it.iface, 7000)
    expect(outside).toBe('198.18.0.1:7000')
    expect(comesIn(it, it.other, outside)).toBe(true)
    expect(sendTo(it, it.host, it.server)).toBe(outside)
  })

  test('only where the router does so', () => {
    const it = world(symmetric)
    const [iface] = it.fabric.interfaces()
    expect(iface && it.lan.mapPort(iface, 7000)).toBe(undefined)
  })

  test('are the next free ones where others have them', () => {
    const it = asking(home)
    const second = it.fabric.attach('second', { lan: it.lan })
    expect(it.lan.mapPort(it.iface, 7000)).toBe('198.18.0.1:7000')
    expect(it.lan.mapPort(second, 7000)).toBe('198.18.0.1:7001')
    expect(it.lan.mapPort(second, 80)).toBe('198.18.0.1:1024')
    expect(it.lan.mapPort(it.iface, 7000, { protocol: 'tcp' })).toBe('198.18.0.1:7000')
  })

  test('are lent for a time, which asking again extends, and gone after a restart', () => {
    const it = asking()
    const outside = it.lan.mapPort(it.iface, 7000, { lifetimeMs: 1000 })
    it.kernel.runFor(600_000)
    expect(it.lan.mapPort(it.iface, 7000, { lifetimeMs: 1000 })).toBe(outside)
    it.kernel.runFor(600_000)
    expect(comesIn(it, it.other, outside)).toBe(true)
    it.kernel.runFor(400_001)
    expect(comesIn(it, it.other, outside)).toBe(false)
    expect(sendTo(it, it.host, it.server)).not.toBe(outside)
    const anew = it.lan.mapPort(it.iface, 7000)
    expect(comesIn(it, it.other, anew)).toBe(true)
    it.lan.nat?.flush()
    expect(comesIn(it, it.other, anew)).toBe(false)
  })

  test('are of no use behind a second NAT', () => {
    const { kernel, fabric } = asking()
    const provider = fabric.addLan('provider', { nat: natPreset('cgnat'), prefix: '100.64.0.0/10' })
    const flat = fabric.addLan('flat', { lan: provider, nat: { ...home, portMapping: true } })
    const phone = fabric.attach('phone', { lan: flat })
    const box = mailbox(kernel, phone)
    const outside = flat.mapPort(phone, 7000)
    expect(outside).toBe('100.64.0.2:7000')
    fabric
      .attach('stranger')
      .bind(1, () => {})
      .send(outside ?? '', 1, 1)
    kernel.run()
    expect(box.arrivals).toEqual([])
    expect(fabric.dropped).toEqual({ 'no-host': 1 })
  })

  test('mistakes', () => {
    const it = asking()
    const foreign = it.fabric.attach('foreign')
    expect(failure(() => it.lan.mapPort(foreign, 7000))).toContain('unsupported')
    expect(failure(() => it.lan.mapPort(it.iface, 0))).toBe('invalid-configuration: port')
    expect(failure(() => it.lan.mapPort(it.iface, 1, { lifetimeMs: Number.NaN }))).toBe(
      'invalid-configuration: lifetimeMs',
    )
  })
})

describe('validation', () => {
  test.each([
    ['mapping', { mapping: 'none' }],
    ['filtering', { filtering: undefined }],
    ['portAllocation', { portAllocation: 'any' }],
    ['mappingTimeoutMs', { mappingTimeoutMs: 0 }],
    ['mappingTimeoutMs', { mappingTimeoutMs: Number.NaN }],
    ['unrepliedTimeoutMs', { unrepliedTimeoutMs: -1 }],
    ['maxSessions', { maxSessions: 0 }],
    ['hairpinning', { hairpinning: 'yes' }],
    ['hairpin', { hairpin: true }],
  ])('%s: %j', (field, change) => {
    const options = { ...home, ...change } as NatOptions
    const fabric = new Fabric(new TestKernel())
    expect(failure(() => fabric.addLan('lan', { nat: options }))).toBe(
      `invalid-configuration: the NAT of lan: ${field}`,
    )
    expect(fabric.graph.nodes().map(({ name }) => name)).toEqual(['internet'])
    expect(failure(() => resolveNatOptions(options, 'it'))).toBe(`invalid-configuration: it: ${field}`)
  })

  test('a LAN’s prefix, and addresses in it', () => {
    const fabric = new Fabric(new TestKernel())
    expect(failure(() => fabric.addLan('lan', { nat: home, prefix: '10.0.0.1/8' }))).toBe(
      'invalid-configuration: prefix',
    )
    const lan = fabric.addLan('lan', { nat: home, prefix: '10.0.0.0/30' })
    expect(failure(() => fabric.attach('a', { lan, ip: '192.168.1.5' }))).toBe('invalid-configuration: ip')
    expect(fabric.attach('a', { lan, ip: '10.0.0.2' }).ip.text).toBe('10.0.0.2')
    expect(failure(() => fabric.attach('b', { lan }))).toBe('limit-exceeded: addresses')
    const elsewhere = new Fabric(new TestKernel())
    expect(failure(() => elsewhere.attach('c', { lan }))).toBe('invalid-configuration: lan')
    expect(failure(() => fabric.addLan('lan'))).toBe('invalid-configuration: node')
    const names = (): string[] => fabric.graph.nodes().map(({ name }) => name)
    const before = names()
    fabric.graph.addNode('x/wan')
    expect(failure(() => fabric.addLan('x', { nat: home }))).toBe('invalid-configuration: node')
    expect(failure(() => fabric.addLan('y', { nat: home, prefix: '10.0.0.0/31' }))).toBe('limit-exceeded: addresses')
    expect(failure(() => fabric.addLan('z', { nat: home, prefix: 'fd00::/64', ip: '203.0.113.1' }))).toBe(
      'invalid-configuration: ip',
    )
    expect(names()).toEqual([...before, 'x/wan'])
  })

  test('presets are valid, frozen, and found by name', () => {
    for (const preset of natPresets) {
      expect(resolveNatOptions(preset, preset.name).mapping).toBe(preset.mapping)
      expect(Object.isFrozen(preset)).toBe(true)
      expect(natPreset(preset.name)).toBe(preset)
    }
    expect(failure(() => natPreset('nat'))).toBe('invalid-configuration: nat')
    expect(resolveNatOptions(natPreset('home'), 'home')).toMatchObject({
      mappingTimeoutUs: 300_000_000,
      unrepliedTimeoutUs: 30_000_000,
      hairpinning: false,
    })
    expect(resolveNatOptions(natPreset('corporate'), 'corporate').mappingTimeoutUs).toBe(120_000_000)
  })
})
