import { describe, expect, test } from 'vitest'
import { Drop, Fabric, NetworkKind, netstat, type Packet } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox, pair } from './support.ts'

describe('sockets', () => {
  test('a packet brings its payload by reference, its size and both addresses', () => {
    const { kernel, alice, bob } = pair({ latencyMs: 1 })
    const payload = { some: 'thing' }
    alice.socket.send(bob.socket.localAddress.toString(), payload, 1200)
    kernel.run()
    const [{ packet } = { packet: undefined }] = bob.arrivals
    expect(packet?.payload).toBe(payload)
    expect(packet).toMatchObject({
      source: alice.socket.localAddress,
      destination: bob.socket.localAddress,
      sizeBytes: 1200,
    })
  })

  test('a handler never runs inside send, even over perfect links', () => {
    const { kernel, alice, bob } = pair({})
    alice.socket.send(bob.socket.localAddress, 1, 1)
    expect(bob.arrivals).toHaveLength(0)
    kernel.run()
    expect(bob.arrivals).toHaveLength(1)
    expect(kernel.nowUs()).toBe(0)
  })

  test('packets without any delay keep their order and do not recurse', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    let left = 100_000
    const bounce = (packet: Packet): void => {
      if (left-- > 0) (left % 2 === 0 ? a : b).send(packet.source, packet.payload, 1)
    }
    const a = fabric.attach('a').bind(1, bounce)
    const b = fabric.attach('b').bind(1, bounce)
    b.send(a.localAddress, 0, 1)
    kernel.run()
    expect(fabric.counters).toEqual({ sent: 100_001, delivered: 100_001, dropped: 0, underWay: 0 })
  })

  test('a host reaches itself', () => {
    const { kernel, alice } = pair({ packetLoss: 1 })
    alice.socket.send(alice.socket.localAddress, 'me', 1)
    kernel.run()
    expect(alice.payloads()).toEqual(['me'])
  })

  test('a packet that was received stays as it is, whatever is sent afterwards', () => {
    const { kernel, alice, bob } = pair({})
    for (const payload of [1, 2, 3]) {
      alice.socket.send(bob.socket.localAddress, payload, payload)
      kernel.run()
    }
    expect(bob.arrivals.map(({ packet }) => [packet.payload, packet.sizeBytes])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ])
  })

  test('nobody there, nobody listening, a closed socket', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 1 })
    alice.socket.send('203.0.113.9:1', 'nobody', 1)
    alice.socket.send(fabric.book.socket(bob.socket.localAddress.ip, 9), 'no port', 1)
    alice.socket.send(bob.socket.localAddress, 'open', 1)
    kernel.run()
    alice.socket.send(bob.socket.localAddress, 'closed', 1)
    bob.socket.close()
    bob.socket.close()
    kernel.run()
    expect(bob.payloads()).toEqual(['open'])
    expect(fabric.dropped).toEqual({ 'no-host': 1, 'no-port': 2 })
    expect(failure(() => bob.socket.send(alice.socket.localAddress, 1, 1))).toContain('network')
    expect(bob.socket.isClosed).toBe(true)
  })

  test('a port is bound once, is free again after closing, and 0 takes free ones in order', () => {
    const { fabric } = pair({})
    const [alice] = fabric.interfaces()
    if (!alice) throw new Error('no host')
    expect(failure(() => alice.bind(7000, () => {}))).toContain('network')
    alice.closeSockets()
    expect(alice.sockets()).toEqual([])
    alice.bind(7000, () => {})
    alice.bind(49_153, () => {})
    const ports = [1, 2, 3].map(() => alice.bind(0, () => {}).localAddress.port)
    expect(ports).toEqual([49_152, 49_154, 49_155])
    expect(alice.sockets().map(({ port }) => port)).toEqual([7000, 49_153, ...ports])
  })

  test.each([-1, 65_536, 1.5, Number.NaN])('%d is no port', (port) => {
    const { fabric } = pair({})
    expect(failure(() => fabric.interfaces()[0]?.bind(port, () => {}))).toBe('invalid-configuration: port')
  })

  test.each([-1, 65_508, 0.5, Number.NaN])('%d is no size', (size) => {
    const { alice, bob, fabric } = pair({})
    expect(failure(() => alice.socket.send(bob.socket.localAddress, 0, size))).toBe('invalid-configuration: sizeBytes')
    expect(fabric.counters.sent).toBe(0)
  })

  test('an error thrown by a handler leaves the fabric whole', () => {
    const { kernel, fabric, alice, bob } = pair({})
    bob.socket.close()
    let calls = 0
    const throwing = fabric.interfaces()[1]?.bind(7000, () => {
      if (++calls === 1) throw new Error('of the application')
    })
    for (let i = 0; i < 3; i++) alice.socket.send(throwing?.localAddress ?? '', i, 1)
    expect(() => kernel.run()).toThrow('of the application')
    kernel.run()
    expect(calls).toBe(3)
    expect(fabric.counters).toMatchObject({ delivered: 3, underWay: 0 })
  })
})

describe('interfaces', () => {
  test('one that is down sends and receives nothing', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 })
    const [a, b] = fabric.interfaces()
    if (!a || !b) throw new Error('no hosts')
    alice.socket.send(bob.socket.localAddress, 'under way', 1)
    b.isUp = false
    kernel.run()
    b.isUp = true
    a.isUp = false
    alice.socket.send(bob.socket.localAddress, 'down', 1)
    a.isUp = true
    alice.socket.send(bob.socket.localAddress, 'up', 1)
    kernel.run()
    expect(bob.payloads()).toEqual(['up'])
    expect(fabric.dropped).toEqual({ 'interface-down': 2 })
  })

  test('addresses: the next free one, a given one, none twice', () => {
    const fabric = new Fabric(new TestKernel(), { publicPrefix: '10.0.0.0/29' })
    const ips = ['a', 'b'].map((name) => fabric.attach(name).ip.text)
    expect(ips).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(fabric.attach('c', { ip: '10.0.0.3' }).ip.text).toBe('10.0.0.3')
    expect(fabric.attach('d').ip.text).toBe('10.0.0.4')
    expect(fabric.attach('far', { ip: '2001:db8::1' }).ip.version).toBe(6)
    expect(failure(() => fabric.attach('e', { ip: '10.0.0.3' }))).toBe('invalid-configuration: ip')
    expect(failure(() => fabric.attach('e', { ip: '10.0.0' }))).toBe('invalid-configuration: ip')
    fabric.attach('e')
    fabric.attach('f')
    expect(failure(() => fabric.attach('g'))).toBe('limit-exceeded: addresses')
    expect(failure(() => fabric.attach('a', { ip: '10.9.9.9' }))).toBe('invalid-configuration: node')
    expect(failure(() => fabric.attach('h', { ip: '10.9.9.9', up: { latencyMs: -1 } }))).toContain('latencyMs')
    expect(fabric.attach('h', { ip: '10.9.9.9' }).ip.text).toBe('10.9.9.9')
  })

  test('IPv6 hosts reach each other, with 20 bytes more on the wire', () => {
    const { kernel, fabric } = pair({})
    const options = { up: { bandwidthLimitBitsPerSecond: 8_000_000 } }
    const a = mailbox(kernel, fabric.attach('a6', { ip: '2001:db8::a', ...options }))
    const b = mailbox(kernel, fabric.attach('b6', { ip: '2001:db8::b', ...options }))
    a.socket.send('[2001:db8::b]:7000', 'six', 1000 - 48)
    kernel.run()
    expect(b.arrivals.map(({ atUs, packet }) => [atUs, String(packet.source)])).toEqual([[1000, '[2001:db8::a]:7000']])
  })

  test('a host moves: new address, same sockets; what is under way to the old one is lost', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 })
    const bobInterface = fabric.interfaces()[1]
    if (!bobInterface) throw new Error('no host')
    const before = bob.socket.localAddress
    alice.socket.send(before, 'under way', 1)
    kernel.runFor(5000)
    fabric.move(bobInterface, { ip: '203.0.113.7', down: { latencyMs: 100 } })
    expect(bob.socket.localAddress.toString()).toBe('203.0.113.7:7000')
    kernel.run()
    alice.socket.send(before, 'to the old one', 1)
    alice.socket.send(bob.socket.localAddress, 'to the new one', 1)
    bob.socket.send(alice.socket.localAddress, 'from the new one', 1)
    kernel.run()
    expect(bob.payloads()).toEqual(['to the new one'])
    expect(alice.arrivals[0]?.packet.source).toBe(bob.socket.localAddress)
    expect(fabric.dropped).toEqual({ 'no-host': 1, 'link-down': 1 })
    // A move that cannot be leaves everything as it is.
    expect(failure(() => fabric.move(bobInterface, { down: { latencyMs: -1 } }))).toContain('latencyMs')
    expect(failure(() => fabric.move(bobInterface, { ip: alice.socket.localAddress.ip.text }))).toContain('ip')
    alice.socket.send(bob.socket.localAddress, 'still there', 1)
    kernel.run()
    expect(bob.payloads()).toEqual(['to the new one', 'still there'])
  })

  test('a packet on the last link of a host that moves does not reach its new address', () => {
    const { kernel, fabric, alice, bob } = pair({}, {}, { down: { latencyMs: 10, jitterMs: 1 } })
    const bobInterface = fabric.interfaces()[1]
    if (!bobInterface) throw new Error('no host')
    alice.socket.send(bob.socket.localAddress, 'on the last link', 1)
    fabric.move(bobInterface, {})
    kernel.run()
    expect(bob.payloads()).toEqual([])
    expect(fabric.dropped).toEqual({ 'no-host': 1 })
  })

  test('a host that is detached is gone, and its name and address can be used again', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 })
    const bobInterface = fabric.interfaces()[1]
    if (!bobInterface) throw new Error('no host')
    alice.socket.send(bob.socket.localAddress, 'under way', 1)
    fabric.detach(bobInterface)
    fabric.detach(bobInterface)
    kernel.run()
    expect(bob.socket.isClosed).toBe(true)
    expect(fabric.counters).toMatchObject({ delivered: 0, underWay: 0 })
    expect(failure(() => fabric.move(bobInterface, {}))).toBe('invalid-configuration: interface')
    const again = mailbox(kernel, fabric.attach('bob', { ip: bobInterface.ip.text }))
    alice.socket.send(bob.socket.localAddress, 'to the next', 1)
    kernel.run()
    expect(again.payloads()).toEqual(['to the next'])
  })

  test('several interfaces of one host are recorded under its index', () => {
    const kernel = new TestKernel({ keepRecords: true })
    const fabric = new Fabric(kernel)
    const wifi = mailbox(kernel, fabric.attach('phone', { host: 7 }))
    const mobile = mailbox(kernel, fabric.attach('phone/4g', { host: 7 }))
    wifi.socket.send(mobile.socket.localAddress, 0, 1)
    kernel.run()
    const hosts = kernel.audit.records.filter(({ kind }) => kind === NetworkKind.deliver || kind === NetworkKind.send)
    expect(hosts.map(({ host }) => host)).toEqual([7, 7])
  })
})

describe('the history', () => {
  test('says what was sent, delivered and dropped, when, where and why', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 3 }, { keepRecords: true })
    const from = alice.socket.localAddress.index
    const to = bob.socket.localAddress.index
    const nobody = fabric.book.parse('203.0.113.1:1').index
    alice.socket.send(bob.socket.localAddress, 0, 42)
    alice.socket.send('203.0.113.1:1', 0, 43)
    kernel.run()
    const kinds: number[] = [NetworkKind.send, NetworkKind.deliver, NetworkKind.drop]
    expect(kernel.audit.records.filter(({ kind }) => kinds.includes(kind))).toEqual([
      { atUs: 0, kind: NetworkKind.send, host: 0, a: from, b: to, c: 42, d: 0 },
      { atUs: 0, kind: NetworkKind.send, host: 0, a: from, b: nobody, c: 43, d: 1 },
      { atUs: 0, kind: NetworkKind.drop, host: 0, a: from, b: nobody, c: Drop['no-host'], d: 1 },
      { atUs: 3000, kind: NetworkKind.deliver, host: 1, a: from, b: to, c: 42, d: 0 },
    ])
  })

  test('is the same for the same seed, and another for another', () => {
    const run = (seed: string): number => {
      const { kernel, alice, bob } = pair({ latencyMs: 3, jitterMs: 2, packetLoss: 0.1 }, { seed })
      for (let i = 0; i < 200; i++) alice.socket.send(bob.socket.localAddress, 0, i)
      kernel.run()
      return kernel.audit.hash
    }
    expect(run('a')).toBe(run('a'))
    expect(run('a')).not.toBe(run('b'))
  })

  test('kinds and reasons are never used twice', () => {
    expect(new Set(Object.values(NetworkKind)).size).toBe(Object.keys(NetworkKind).length)
    expect(Math.min(...Object.values(NetworkKind))).toBeGreaterThanOrEqual(0x100)
    expect(Math.max(...Object.values(NetworkKind))).toBeLessThan(0x120)
    expect(new Set(Object.values(Drop)).size).toBe(Object.keys(Drop).length)
  })
})

test('netstat is plain data, complete and in order', () => {
  const kernel = new TestKernel()
  const fabric = new Fabric(kernel)
  const nat = { mapping: 'endpoint-independent', filtering: 'address-dependent' } as const
  const lan = fabric.addLan('home', { nat, up: { latencyMs: 1 }, down: { latencyMs: 1 } })
  const alice = mailbox(kernel, fabric.attach('alice', { lan }))
  const bob = mailbox(kernel, fabric.attach('bob', { down: { bandwidthLimitBitsPerSecond: 8_000_000 } }))
  alice.socket.send(bob.socket.localAddress, 0, 972)
  alice.socket.send(bob.socket.localAddress, 0, 1472)
  alice.socket.send(bob.socket.localAddress, 0, 1473)
  kernel.runFor(1000)
  const state = netstat(fabric)
  expect(structuredClone(state)).toEqual(state)
  expect(state).toMatchObject({
    packets: { sent: 3, delivered: 0, dropped: 1, underWay: 2 },
    dropped: { 'too-large': 1 },
    interfaces: [
      {
        name: 'alice',
        ip: '192.168.1.2',
        lan: 'home',
        isUp: true,
        sockets: [{ address: '192.168.1.2:7000', sentPackets: 3, receivedPackets: 0 }],
      },
      { name: 'bob', ip: '198.18.0.2', lan: undefined },
    ],
    nats: [
      {
        lan: 'home',
        outsideIp: '198.18.0.1',
        mapping: 'endpoint-independent',
        filtering: 'address-dependent',
        mappings: [
          { inside: '192.168.1.2:7000', outside: '198.18.0.1:7000', peers: ['198.18.0.2:7000'], expiresInMs: 29_999 },
        ],
      },
    ],
  })
  expect(state.links.map(({ from, to }) => `${from}>${to}`)).toEqual([
    'home/wan>internet',
    'internet>home/wan',
    'alice>home',
    'home>alice',
    'bob>internet',
    'internet>bob',
  ])
  expect(state.links.at(-1)).toMatchObject({ queuedBytes: 2500, sentPackets: 2, sentBytes: 2500, dropped: {} })
  kernel.run()
  expect(netstat(fabric)).toMatchObject({ packets: { delivered: 2, underWay: 0 } })
})
