import { describe, expect, test } from 'vitest'
import {
  NetworkGraph,
  regionRoundTripMs,
  type RegionName,
  REGIONS,
  Topology,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox } from './support.ts'

function world() {
  const kernel = new TestKernel()
  return { kernel, topology: new Topology(kernel, { defaultLatencyMs: 50, defaultPacketLoss: 0 }) }
}

describe('regions', () => {
  test('are as far from each other as published, the same both ways, and nothing from themselves', () => {
    expect(regionRoundTripMs('london', 'frankfurt')).toBe(13)
    expect(regionRoundTripMs('frankfurt', 'london')).toBe(13)
    expect(regionRoundTripMs('sydney', 'sao-paulo')).toBe(327.5)
    for (const a of REGIONS) {
      expect(regionRoundTripMs(a, a)).toBe(0)
      for (const b of REGIONS) {
        expect(regionRoundTripMs(a, b)).toBe(regionRoundTripMs(b, a))
        expect(regionRoundTripMs(a, b) > 5).toBe(a !== b)
      }
    }
  })

  test('packets between hosts take that time, whatever the order in which regions are first used', () => {
    for (const order of [REGIONS, REGIONS.toReversed()]) {
      const { kernel, topology } = world()
      const boxes = new Map(order.map((region) => [region, mailbox(kernel, topology.host(region, { region }))]))
      for (const a of REGIONS) {
        for (const b of REGIONS) {
          const start = kernel.nowUs()
          boxes.get(a)?.socket.send(boxes.get(b)?.socket.localAddress ?? '', a, 1)
          kernel.run()
          const took = (boxes.get(b)?.arrivals.at(-1)?.atUs ?? 0) - start
          // A quarter of a millisecond of wire at each end; a host reaches itself at once.
          expect(took).toBe(a === b ? 0 : regionRoundTripMs(a, b) * 500 + 500)
        }
      }
    }
  })

  test('hosts of no region are the default line away from each, and nobody goes through their place', () => {
    const { kernel, topology } = world()
    topology.host('far', { region: 'sydney' })
    topology.host('near', { region: 'london' })
    topology.host('nowhere')
    const { graph } = topology.fabric
    expect(graph.findPath('far', 'near')?.latencyMs).toBe(131)
    expect(graph.findPath('far', 'near')?.nodes).not.toContain('internet')
    expect(graph.findPath('nowhere', 'near')).toMatchObject({ latencyMs: 25.25 })
    expect(kernel.nowUs()).toBe(0)
  })

  test('a cut between two is routed around over a third', () => {
    const { topology } = world()
    for (const region of ['london', 'frankfurt', 'madrid'] as const) topology.host(region, { region })
    const { graph } = topology.fabric
    graph.updateLink('region:london', 'region:frankfurt', { isActive: false })
    expect(graph.findPath('london', 'frankfurt')?.latencyMs).toBe((27 + 29) / 2 + 0.5)
    expect(graph.findPath('frankfurt', 'london')?.latencyMs).toBe(13 / 2 + 0.5)
  })

  test('LANs and moving hosts have one too', () => {
    const { topology } = world()
    const lan = topology.lan({ name: 'home', region: 'tokyo', link: { latencyMs: 2 } })
    topology.host('inside', { lan })
    const phone = topology.host('phone', { region: 'osaka' })
    const { graph } = topology.fabric
    expect(graph.findPath('inside', 'phone')?.latencyMs).toBe(2 + 4.5 + 0.25)
    topology.move(phone, { region: 'madrid' })
    expect(graph.findPath('inside', 'phone')?.latencyMs).toBeCloseTo(2 + 128.25 + 0.25, 9)
  })

  test('mistakes', () => {
    const { topology } = world()
    const lan = topology.lan()
    expect(failure(() => topology.host('a', { region: 'atlantis' as RegionName }))).toBe(
      'invalid-configuration: region',
    )
    expect(failure(() => topology.host('a', { region: 'tokyo', lan }))).toBe('invalid-configuration: region')
    expect(failure(() => topology.lan({ region: 'tokyo', behind: lan }))).toBe('invalid-configuration: region')
    expect(failure(() => topology.fabric.attach('a', { core: 'nowhere' }))).toBe('invalid-configuration: node')
    expect(failure(() => topology.fabric.attach('a', { core: 'lan-1' }))).toBe('invalid-configuration: core')
    expect(failure(() => topology.fabric.attach('a', { kind: 'router' as 'host' }))).toBe('invalid-configuration: kind')
  })
})

describe('the metric', () => {
  test('is what routing goes by, so that the ways there and back can differ over links that are the same', () => {
    const graph = new NetworkGraph(new TestKernel())
    for (const name of ['a', 'b', 'c']) graph.addNode(name)
    graph.connectNodes('a', 'b', { latencyMs: 10 })
    graph.connectNodes('a', 'c', { latencyMs: 10 })
    graph.connectNodes('c', 'b', { latencyMs: 10 })
    graph.updateLink('a', 'b', { metricMs: 100 })
    expect(graph.findPath('a', 'b')).toMatchObject({ nodes: ['a', 'c', 'b'], latencyMs: 20 })
    expect(graph.findPath('b', 'a')).toMatchObject({ nodes: ['b', 'a'], latencyMs: 10 })
    graph.updateLink('a', 'b', { metricMs: undefined })
    expect(graph.findPath('a', 'b')?.nodes).toEqual(['a', 'b'])
  })

  test('must be a time', () => {
    const graph = new NetworkGraph(new TestKernel())
    graph.addNode('a')
    graph.addNode('b')
    expect(failure(() => graph.connectNodes('a', 'b', { metricMs: -1 }))).toContain('metricMs')
  })
})
