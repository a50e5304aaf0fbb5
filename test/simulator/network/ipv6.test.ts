import { describe, expect, test } from 'vitest'
import {
  Fabric,
  type FirewallOptions,
  natPreset,
  netstat,
  type NetworkInterface,
  Topology,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox, type Mailbox } from './support.ts'

function world() {
  const kernel = new TestKernel()
  const topology = new Topology(kernel, { defaultLatencyMs: 10, defaultPacketLoss: 0 })
  return { kernel, topology, fabric: topology.fabric }
}

const texts = (iface: NetworkInterface): string[] => iface.ips.map(({ text }) => text)
const ip6Of = ({ socket }: Mailbox): string =>
  socket.localAddresses.find(({ ip }) => ip.version === 6)?.toString() ?? ''

/** A host behind a firewall, and two public ones with both kinds of address. */
function home(ipv6: FirewallOptions | true | 'open' = true) {
  const it = world()
  const lan = it.topology.lan({ name: 'home', ipv6 })
  const [inside, server, other] = [
    it.topology.host('inside', { lan }),
    it.topology.host('server', { ip6: true }),
    it.topology.host('other', { ip6: true }),
  ].map((iface) => mailbox(it.kernel, iface))
  if (!inside || !server || !other) throw new Error('three')
  const comesIn = (from: Mailbox, to = ip6Of(inside)): boolean => {
    const before = inside.arrivals.length
    from.socket.send(to, 'in', 10)
    it.kernel.run()
    return inside.arrivals.length > before
  }
  const goesOut = (to: Mailbox): string | undefined => {
    const before = to.arrivals.length
    inside.socket.send(ip6Of(to), 'out', 10)
    it.kernel.run()
    return to.arrivals[before]?.packet.source.toString()
  }
  return { ...it, lan, inside, server, other, comesIn, goesOut }
}

describe('addresses of both versions', () => {
  test('hosts of a LAN with IPv6 have both, public ones when asked, each LAN a /64 of its own', () => {
    const { topology } = world()
    const [one, two] = [topology.lan({ ipv6: true }), topology.lan({ ipv6: 'open' })]
    expect(texts(topology.host('a', { lan: one }))).toEqual(['192.168.1.2', '2001:db8:0:1::1'])
    expect(texts(topology.host('b', { lan: one }))).toEqual(['192.168.1.3', '2001:db8:0:1::2'])
    expect(texts(topology.host('c', { lan: two }))).toEqual(['192.168.1.2', '2001:db8:0:2::1'])
    expect(texts(topology.host('d', { lan: two, ip6: false }))).toEqual(['192.168.1.3'])
    expect(texts(topology.host('e', { ip6: true }))).toEqual(['198.18.0.3', '2001:db8::1'])
    expect(texts(topology.host('f', { ip: '2001:db8::7' }))).toEqual(['2001:db8::7'])
    expect(texts(topology.host('g'))).toEqual(['198.18.0.4'])
  })

  test('a socket sends from its address of the destination’s version', () => {
    const { kernel, topology, fabric } = world()
    const a = mailbox(kernel, topology.host('a', { ip6: true }))
    const b = mailbox(kernel, topology.host('b', { ip6: true }))
    for (const to of b.socket.localAddresses) a.socket.send(to, to.ip.version, 10)
    kernel.run()
    expect(b.arrivals.map(({ packet }) => [packet.payload, String(packet.source)])).toEqual([
      [4, '198.18.0.1:7000'],
      [6, '[2001:db8::1]:7000'],
    ])
    expect(netstat(fabric).interfaces[0]).toMatchObject({ ip: '198.18.0.1', ip6: '2001:db8::1' })
  })

  test('there is no way from one version to the other', () => {
    const { kernel, topology, fabric } = world()
    const v4 = mailbox(kernel, topology.host('v4'))
    const v6 = mailbox(kernel, topology.host('v6', { ip: '2001:db8::7' }))
    v4.socket.send(v6.socket.localAddress, 1, 1)
    v6.socket.send(v4.socket.localAddress, 1, 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'no-route': 2 })
  })

  test('a move brings new ones of both, and the old ones are nobody’s', () => {
    const { kernel, topology, fabric } = world()
    const phone = topology.host('phone', { lan: topology.lan({ ipv6: 'open' }) })
    const box = mailbox(kernel, phone)
    const server = mailbox(kernel, topology.host('server', { ip6: true }))
    const before = ip6Of(box)
    topology.move(phone, { lan: topology.lan({ ipv6: 'open' }) })
    expect(texts(phone)).toEqual(['192.168.1.2', '2001:db8:0:2::1'])
    server.socket.send(before, 'old', 1)
    server.socket.send(ip6Of(box), 'new', 1)
    kernel.run()
    expect(box.payloads()).toEqual(['new'])
    expect(fabric.dropped).toEqual({ 'no-host': 1 })
    topology.move(phone, {})
    expect(texts(phone)).toEqual(['198.18.0.4'])
  })

  test('mistakes', () => {
    const { topology } = world()
    const lan = topology.lan({ ipv6: true })
    const flat = topology.lan({ nat: 'cgnat' })
    expect(failure(() => topology.host('a', { lan: flat, ip6: true }))).toContain('invalid-configuration: ip')
    expect(failure(() => topology.host('a', { lan, ip6: '2001:db8:0:9::1' }))).toBe('invalid-configuration: ip')
    expect(failure(() => topology.host('a', { lan, ip6: '10.0.0.1' }))).toBe('invalid-configuration: ip')
    expect(failure(() => topology.host('a', { ip: '2001:db8::1', ip6: true }))).toBe('invalid-configuration: ip6')
    expect(failure(() => topology.lan({ behind: flat, ipv6: true }))).toBe('invalid-configuration: ipv6')
    expect(failure(() => topology.lan({ prefix6: '2001:db8:7::/64' }))).toBe('invalid-configuration: prefix6')
    expect(failure(() => topology.lan({ ipv6: true, prefix6: '10.0.0.0/8' }))).toBe('invalid-configuration: prefix6')
    topology.host('a', { lan, ip6: '2001:db8:0:1::7' })
    expect(failure(() => topology.host('b', { lan, ip6: '2001:db8:0:1::7' }))).toBe('invalid-configuration: ip')
  })
})

describe('the firewall of IPv6', () => {
  test('lets out what it likes, untranslated, and in only the answers', () => {
    const it = home()
    expect(it.comesIn(it.server)).toBe(false)
    expect(it.goesOut(it.server)).toBe(ip6Of(it.inside))
    expect(it.comesIn(it.server)).toBe(true)
    expect(it.comesIn(it.other)).toBe(false)
    expect(it.fabric.dropped).toEqual({ firewall: 2 })
    expect(netstat(it.fabric).firewalls).toMatchObject([{ lan: 'home', exchanges: [{ peers: [ip6Of(it.server)] }] }])
  })

  test('two hosts behind one each punch through, for their ports stay the same', () => {
    const { kernel, topology } = world()
    const [a, b] = ['a', 'b'].map((name) =>
      mailbox(kernel, topology.host(name, { lan: topology.lan({ nat: 'symmetric', ipv6: true }) })),
    )
    if (!a || !b) throw new Error('two')
    a.socket.send(ip6Of(b), 'first', 1)
    kernel.run()
    b.socket.send(ip6Of(a), 'second', 1)
    kernel.run()
    a.socket.send(ip6Of(b), 'third', 1)
    kernel.run()
    expect([a.payloads(), b.payloads()]).toEqual([['second'], ['third']])
  })

  test('with endpoint-independent filtering anybody may answer (RFC 6092, REC-11)', () => {
    const it = home({ filtering: 'endpoint-independent' })
    expect(it.comesIn(it.other)).toBe(false)
    it.goesOut(it.server)
    expect(it.comesIn(it.other)).toBe(true)
  })

  test('time-outs as a NAT’s', () => {
    const it = home({ mappingTimeoutMs: 10_000, unrepliedTimeoutMs: 5000 })
    it.goesOut(it.server)
    it.kernel.runFor(5_000_000)
    expect(it.comesIn(it.server)).toBe(false)
    it.goesOut(it.server)
    expect(it.comesIn(it.server)).toBe(true)
    it.kernel.runFor(9_000_000)
    expect(it.comesIn(it.server)).toBe(true)
    it.lan.firewall?.flush()
    expect(it.comesIn(it.server)).toBe(false)
  })

  test('open is no firewall; one that blocks UDP lets nothing through', () => {
    const open = home('open')
    expect(open.comesIn(open.server)).toBe(true)
    const blocked = home({ blocksUdp: true })
    expect(blocked.goesOut(blocked.server)).toBe(undefined)
    expect(blocked.fabric.dropped).toEqual({ 'udp-blocked': 1 })
  })

  test('layers apply one after the other; a LAN without IPv6 is where it ends', () => {
    const { kernel, topology, fabric } = world()
    const provider = topology.lan({ nat: 'cgnat', ipv6: 'open' })
    const flat = topology.lan({ behind: provider, ipv6: true })
    const phone = mailbox(kernel, topology.host('phone', { lan: flat }))
    const neighbour = mailbox(kernel, topology.host('neighbour', { lan: provider }))
    const server = mailbox(kernel, topology.host('server', { ip6: true }))
    server.socket.send(ip6Of(phone), 'not asked for', 1)
    neighbour.socket.send(ip6Of(phone), 'nor that', 1)
    server.socket.send(ip6Of(neighbour), 'but that', 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ firewall: 2 })
    expect(neighbour.payloads()).toEqual(['but that'])
    phone.socket.send(ip6Of(server), 'hello', 1)
    kernel.run()
    server.socket.send(server.arrivals[0]?.packet.source ?? '', 'answer', 1)
    kernel.run()
    expect(phone.payloads()).toEqual(['answer'])
  })

  test('a LAN can have IPv6 alone', () => {
    const { kernel, topology, fabric } = world()
    const lan = topology.lan({ name: 'six', nat: 'none', ipv6: true })
    const host = topology.host('host', { lan })
    expect(texts(host)).toEqual(['2001:db8:0:1::2'])
    const server = mailbox(kernel, topology.host('server', { ip6: true }))
    const box = mailbox(kernel, host)
    box.socket.send(ip6Of(server), 1, 1)
    box.socket.send(server.socket.localAddress, 2, 1)
    kernel.run()
    expect(server.payloads()).toEqual([1])
    expect(fabric.dropped).toEqual({ 'no-route': 1 })
  })

  test('the addresses of hosts that are gone are free', () => {
    const { kernel, topology, fabric } = world()
    const lan = topology.lan({ ipv6: 'open' })
    const host = topology.host('host', { lan })
    const text = host.ips[1]?.text ?? ''
    const server = mailbox(kernel, topology.host('server', { ip6: true }))
    fabric.detach(host)
    server.socket.send(`[${text}]:7000`, 1, 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'no-host': 1 })
    expect(topology.host('next', { lan, ip6: text }).ips[1]?.text).toBe(text)
  })
})

test('IPv6 can be translated as well: unique local addresses behind a public one', () => {
  const kernel = new TestKernel()
  const fabric = new Fabric(kernel)
  const lan = fabric.addLan('home', { nat: natPreset('home'), prefix: 'fd00::/64' })
  const host = mailbox(kernel, fabric.attach('host', { lan }))
  const server = mailbox(kernel, fabric.attach('server', { ip: '2001:db8::99' }))
  host.socket.send(server.socket.localAddress, 1, 1)
  kernel.run()
  expect(server.arrivals.map(({ packet }) => String(packet.source))).toEqual(['[2001:db8::1]:7000'])
})
