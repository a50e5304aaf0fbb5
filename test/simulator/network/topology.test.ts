import { describe, expect, test } from 'vitest'
import {
  type LinkInput,
  linkPresets,
  natPresets,
  resolveLine,
  resolveLinkOptions,
  Topology,
  type TopologyOptions,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox } from './support.ts'

function world(options: TopologyOptions = {}) {
  const kernel = new TestKernel()
  return { kernel, topology: new Topology(kernel, options) }
}

describe('the default link', () => {
  test.each([50, 0, 0.001, 7.333, 50.001])('%d ms from host to host, to the microsecond, both ways', (latencyMs) => {
    const { kernel, topology } = world({ defaultLatencyMs: latencyMs, defaultPacketLoss: 0 })
    const a = mailbox(kernel, topology.host('a'))
    const b = mailbox(kernel, topology.host('b'))
    a.socket.send(b.socket.localAddress, 0, 1)
    b.socket.send(a.socket.localAddress, 0, 1)
    kernel.run()
    expect([...a.arrivals, ...b.arrivals].map(({ atUs }) => atUs)).toEqual([
      Math.round(latencyMs * 1000),
      Math.round(latencyMs * 1000),
    ])
  })

  test.each([0.01, 0.3])('loses %d in all', (packetLoss) => {
    const { kernel, topology } = world({ defaultPacketLoss: packetLoss })
    const a = mailbox(kernel, topology.host('a'))
    const b = mailbox(kernel, topology.host('b'))
    for (let i = 0; i < 100_000; i++) a.socket.send(b.socket.localAddress, i, 1)
    kernel.run()
    const loss = 1 - b.arrivals.length / 100_000
    expect(Math.abs(loss - packetLoss)).toBeLessThan(5 * Math.sqrt((packetLoss * (1 - packetLoss)) / 100_000))
  })

  test('is 50 ms and 1 % when nothing else is said', () => {
    const { topology } = world()
    const { up, down } = topology.defaultLine
    expect([up.latencyMs, down.latencyMs]).toEqual([25, 25])
    const kept = (1 - Number(up.packetLoss)) * (1 - Number(down.packetLoss))
    expect(kept).toBeCloseTo(0.99, 12)
  })

  test('a LAN has half of it too: home to home is one default link and the wires', () => {
    const { kernel, topology } = world({ defaultPacketLoss: 0 })
    const server = topology.host('server', { lan: topology.lan() })
    const box = mailbox(kernel, server)
    const lan = topology.lan({ nat: 'full-cone' })
    const open = mailbox(kernel, topology.host('open', { lan }))
    const outside = lan.forwardPort(topology.host('second', { lan }), 9)
    open.socket.send('198.18.0.1:1', 'opens the mapping', 1)
    kernel.run()
    const start = kernel.nowUs()
    box.socket.send(outside.replace(':9', ':7000'), 0, 1)
    kernel.run()
    expect(open.arrivals.map(({ atUs }) => atUs - start)).toEqual([50_200])
  })

  test.each([
    ['defaultLatencyMs', -1],
    ['defaultLatencyMs', Number.NaN],
    ['defaultPacketLoss', 1.1],
    ['defaultPacketLoss', Number.NaN],
    ['publicPrefix', 'public'],
  ])('%s = %j is refused', (name, value) => {
    expect(failure(() => world({ [name]: value }))).toBe(`invalid-configuration: ${name}`)
  })
})

describe('hosts and LANs', () => {
  test('in few words: homes, a provider, an office, public hosts', () => {
    const { topology } = world()
    const provider = topology.lan({ name: 'provider', nat: 'cgnat' })
    const flat = topology.lan({ behind: provider, link: 'fibre' })
    const office = topology.lan({ name: 'office', nat: 'none' })
    const custom = topology.lan({
      nat: { mapping: 'address-dependent', filtering: 'address-dependent' },
      prefix: '10.1.0.0/16',
      ip: '203.0.113.80',
    })
    const hosts = [
      topology.host('phone', { lan: flat, link: 'wifi' }),
      topology.host('desk', { lan: office }),
      topology.host('box', { lan: custom, ip: '10.1.2.3', host: 42 }),
      topology.host('server', { link: { latencyMs: 1 } }),
    ]
    expect(hosts.map(({ name, ip, host }) => `${name} ${ip.text} ${host}`)).toEqual([
      'phone 192.168.1.2 0',
      'desk 198.18.0.2 1',
      'box 10.1.2.3 42',
      'server 198.18.0.3 3',
    ])
    expect(topology.fabric.lans().map(({ name, nat }) => [name, nat?.outsideIp.text])).toEqual([
      ['provider', '198.18.0.1'],
      ['lan-1', '100.64.0.2'],
      ['office', undefined],
      ['lan-2', '203.0.113.80'],
    ])
    expect(topology.fabric.graph.link('server', 'internet').latencyMs).toBe(1)
    expect(topology.fabric.graph.link('phone', 'lan-1').settings.bandwidthLimitBitsPerSecond).toBe(100_000_000)
  })

  test('a host keeps an address that it is given again on another line', () => {
    const topology = new Topology(new TestKernel())
    const host = topology.host('a', { ip: '198.18.0.9', ip6: '2001:db8::9' })
    topology.move(host, { ip: '198.18.0.9', ip6: '2001:db8::9', link: '4g' })
    expect(host.ips.map(String)).toEqual(['198.18.0.9', '2001:db8::9'])
    expect(failure(() => topology.host('b', { ip: '198.18.0.9' }))).toBe('invalid-configuration: ip')
  })

  test('a host moves to another line', () => {
    const { kernel, topology } = world()
    const phone = topology.host('phone', { lan: topology.lan(), link: 'wifi' })
    const box = mailbox(kernel, phone)
    topology.move(phone, { lan: topology.lan({ name: 'mobile', nat: 'cgnat' }), link: '4g' })
    expect(box.socket.localAddress.ip.text).toBe('100.64.0.2')
    expect(topology.fabric.graph.link('phone', 'mobile').latencyMs).toBe(26.5)
  })

  test('mistakes', () => {
    const { topology } = world()
    const lan = topology.lan()
    topology.host('a', { lan })
    expect(failure(() => topology.lan({ nat: 'nat' as 'home' }))).toBe('invalid-configuration: nat')
    expect(failure(() => topology.lan({ link: '6g' as '5g' }))).toBe('invalid-configuration: link')
    expect(failure(() => topology.lan({ nat: 'none', prefix: '10.0.0.0/8' }))).toBe('invalid-configuration: prefix')
    expect(failure(() => topology.host('a'))).toBe('invalid-configuration: node')
    expect(failure(() => topology.host('b', { link: { up: {} } as LinkInput }))).toBe('invalid-configuration: link')
    expect(failure(() => topology.host('b', { link: { latencyMs: -1 } }))).toContain('latencyMs')
    expect(failure(() => topology.host('b', { link: 5 as LinkInput }))).toBe('invalid-configuration: link')
    topology.host('b')
  })
})

describe('presets', () => {
  test.each(linkPresets.map((preset) => [preset.name, preset] as const))(
    '%s is valid, frozen and has a source',
    (name, preset) => {
      for (const options of [preset.up, preset.down]) {
        const settings = resolveLinkOptions(options, name)
        expect(settings.latencyUs).toBeGreaterThan(0)
        expect(settings.bandwidthLimitBitsPerSecond).toBeGreaterThanOrEqual(1_000_000)
        expect(Object.isFrozen(options)).toBe(true)
      }
      expect(preset.source.length).toBeGreaterThan(40)
      expect(resolveLine(name)).toBe(preset)
    },
  )

  test('every NAT preset and every line makes a LAN whose hosts reach a server', () => {
    for (const nat of natPresets.filter(({ blocksUdp }) => !blocksUdp)) {
      for (const { name } of linkPresets) {
        const { kernel, topology } = world({ defaultPacketLoss: 0 })
        const server = mailbox(kernel, topology.host('server'))
        const host = mailbox(kernel, topology.host('host', { lan: topology.lan({ nat, link: name }) }))
        host.socket.send(server.socket.localAddress, 'x', 1200)
        kernel.run()
        // The line may lose it; nothing else may.
        expect(topology.fabric.dropped).toEqual(server.arrivals.length === 1 ? {} : { loss: 1 })
      }
    }
  })
})
