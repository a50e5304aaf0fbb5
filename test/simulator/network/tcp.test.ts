import { describe, expect, test } from 'vitest'
import {
  Fabric,
  type NatOptions,
  natPreset,
  NetworkKind,
  netstat,
  type NetworkInterface,
  type Packet,
  type PacketProtocol,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, pair } from './support.ts'

const symmetric: NatOptions = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  portAllocation: 'random',
}

function boxOn(iface: NetworkInterface, protocol: PacketProtocol, port = 7000) {
  const packets: Packet[] = []
  const socket = iface.bind(port, (packet) => packets.push(packet), { protocol })
  return { socket, packets }
}

function world(nat: NatOptions) {
  const kernel = new TestKernel({ keepRecords: true })
  const fabric = new Fabric(kernel)
  const lan = fabric.addLan('home', { nat })
  const host = fabric.attach('host', { lan })
  const server = fabric.attach('server')
  return { kernel, fabric, lan, host, server }
}

describe('segments of TCP', () => {
  test('have ports of their own, and say what they are', () => {
    const { kernel, fabric, host, server } = world(natPreset('home'))
    const udp = boxOn(server, 'udp')
    const tcp = boxOn(server, 'tcp')
    const client = boxOn(host, 'tcp')
    client.socket.send(tcp.socket.localAddress, 'syn', 0)
    kernel.run()
    expect(udp.packets).toEqual([])
    expect(tcp.packets).toMatchObject([{ protocol: 'tcp', payload: 'syn' }])
    tcp.socket.send(tcp.packets[0]?.source ?? '', 'ack', 0)
    kernel.run()
    expect(client.packets).toMatchObject([{ protocol: 'tcp', payload: 'ack' }])
    expect(netstat(fabric).interfaces[1]?.sockets.map(({ protocol }) => protocol)).toEqual(['udp', 'tcp'])
    const kinds = kernel.audit.records.map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === NetworkKind.sendTcp)).toHaveLength(2)
    expect(kinds.filter((kind) => kind === NetworkKind.send || kind === NetworkKind.deliver)).toEqual([])
  })

  test('reach nobody who only listens to datagrams', () => {
    const { kernel, fabric, host, server } = world(natPreset('home'))
    boxOn(server, 'udp')
    boxOn(host, 'tcp').socket.send(`${server.ip.text}:7000`, 'syn', 0)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'no-port': 1 })
  })

  test('a closed socket frees the port of its protocol alone', () => {
    const { server } = world(natPreset('home'))
    const udp = boxOn(server, 'udp')
    boxOn(server, 'tcp').socket.close()
    expect(failure(() => boxOn(server, 'udp'))).toContain('network: udp port 7000')
    boxOn(server, 'tcp')
    expect(server.socketAt('udp', 7000)).toBe(udp.socket)
    expect(failure(() => server.bind(1, () => {}, { protocol: 'sctp' as 'tcp' }))).toBe(
      'invalid-configuration: protocol',
    )
  })

  test('pass where a firewall drops UDP', () => {
    const { kernel, fabric, host, server } = world(natPreset('udp-blocked'))
    for (const protocol of ['udp', 'tcp'] as const) {
      const there = boxOn(server, protocol)
      const here = boxOn(host, protocol)
      here.socket.send(there.socket.localAddress, 'out', 1)
      kernel.run()
      if (there.packets[0]) there.socket.send(there.packets[0].source, 'back', 1)
      kernel.run()
      expect(here.packets.map(({ payload }) => payload)).toEqual(protocol === 'tcp' ? ['back'] : [])
    }
    expect(fabric.dropped).toEqual({ 'udp-blocked': 1 })
  })

  test('have mappings of their own: what was sent over one protocol opens nothing for the other', () => {
    const { kernel, fabric, host, server } = world(natPreset('home'))
    const tcp = boxOn(server, 'tcp')
    const udp = boxOn(server, 'udp')
    boxOn(host, 'udp')
    boxOn(host, 'tcp').socket.send(tcp.socket.localAddress, 'syn', 0)
    kernel.run()
    udp.socket.send(tcp.packets[0]?.source ?? '', 'guess', 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'nat-unmapped': 1 })
    expect(netstat(fabric).nats[0]?.mappings.map(({ protocol }) => protocol)).toEqual(['tcp'])
  })

  test('a symmetric NAT draws ports for both from different streams', () => {
    const ports = (protocols: readonly PacketProtocol[]): number[] => {
      const { kernel, host, server } = world(symmetric)
      return protocols.map((protocol) => {
        const there = boxOn(server, protocol)
        boxOn(host, protocol).socket.send(there.socket.localAddress, 1, 1)
        kernel.run()
        return there.packets[0]?.source.port ?? 0
      })
    }
    const [udp, tcp] = ports(['udp', 'tcp'])
    expect(ports(['tcp', 'udp'])).toEqual([tcp, udp])
    expect(udp).not.toBe(tcp)
  })

  test.each([
    ['established', true, 7_440],
    ['without a reply', false, 240],
  ])('a connection %s is kept for RFC 5382’s time', (_name, isReplied, seconds) => {
    const { kernel, fabric, host, server } = world(natPreset('home'))
    const there = boxOn(server, 'tcp')
    const here = boxOn(host, 'tcp')
    here.socket.send(there.socket.localAddress, 'syn', 0)
    kernel.run()
    const outside = there.packets[0]?.source ?? ''
    if (isReplied) there.socket.send(outside, 'ack', 0)
    kernel.run()
    kernel.runFor(seconds * 1_000_000 - 1)
    expect(netstat(fabric).nats[0]?.mappings).toHaveLength(1)
    kernel.runFor(1)
    there.socket.send(outside, 'late', 1)
    kernel.run()
    expect(fabric.dropped).toEqual({ 'nat-unmapped': 1 })
  })

  test('ports are forwarded for one protocol', () => {
    const { kernel, fabric, lan, host, server } = world(natPreset('home'))
    const listening = boxOn(host, 'tcp')
    const outside = lan.forwardPort(host, 7000, 443, 'tcp')
    boxOn(server, 'tcp').socket.send(outside, 'syn', 0)
    boxOn(server, 'udp').socket.send(outside, 'datagram', 1)
    kernel.run()
    expect(listening.packets.map(({ payload }) => payload)).toEqual(['syn'])
    expect(fabric.dropped).toEqual({ 'nat-unmapped': 1 })
  })

  test('are cut to the MTU where datagrams would be dropped, and pay for each header', () => {
    const { kernel, fabric, alice, bob } = pair({ bandwidthLimitBitsPerSecond: 8_000_000 })
    const from = boxOn(fabric.interfaces()[0] as NetworkInterface, 'tcp')
    const to = boxOn(fabric.interfaces()[1] as NetworkInterface, 'tcp')
    alice.socket.send(bob.socket.localAddress, 'too large', 1473)
    from.socket.send(to.socket.localAddress, 'three', 2 * 1448 + 1)
    kernel.run()
    expect(to.packets).toHaveLength(1)
    expect(fabric.dropped).toEqual({ 'too-large': 1 })
    // A microsecond a byte, and 52 bytes of headers for each of the three.
    expect(kernel.nowUs()).toBe(2 * 1448 + 1 + 3 * 52)
  })

  test('rules see what they are', () => {
    const { kernel, fabric, host, server } = world(natPreset('home'))
    fabric.rules.add(({ packet }) => (packet.protocol === 'tcp' ? 'drop' : 'pass'))
    for (const protocol of ['udp', 'tcp'] as const) {
      boxOn(host, protocol).socket.send(boxOn(server, protocol).socket.localAddress, 1, 1)
    }
    kernel.run()
    expect(fabric.counters).toMatchObject({ delivered: 1, dropped: 1 })
  })
})
