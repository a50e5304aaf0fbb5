import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fabric, type Link, NetworkGraph } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure, mailbox } from './support.ts'

function graphOf(links: readonly (readonly [string, string, number])[]): NetworkGraph {
  const graph = new NetworkGraph(new TestKernel())
  for (const [from, to] of links) for (const name of [from, to]) if (!graph.hasNode(name)) graph.addNode(name)
  for (const [from, to, latencyMs] of links) graph.connectOneWay(from, to, { latencyMs })
  return graph
}

/** By Bellman and Ford, who know of no leaves. */
function distance(links: readonly Link[], from: string, to: string): number {
  const best = new Map([[from, 0]])
  for (let round = 0; round < 10; round++) {
    for (const link of links) {
      const there = (best.get(link.from.name) ?? Number.POSITIVE_INFINITY) + link.latencyMs
      if (there < (best.get(link.to.name) ?? Number.POSITIVE_INFINITY)) best.set(link.to.name, there)
    }
  }
  return best.get(to) ?? Number.POSITIVE_INFINITY
}

describe('paths', () => {
  test('the least latency wins, over more links', () => {
    const graph = graphOf([
      ['a', 'd', 30],
      ['a', 'b', 10],
      ['b', 'c', 5],
      ['c', 'd', 10],
    ])
    const path = graph.findPath('a', 'd')
    expect(path).toMatchObject({ nodes: ['a', 'b', 'c', 'd'], latencyMs: 25 })
    expect(path?.links.map(({ name }) => name)).toEqual(['a>b', 'b>c', 'c>d'])
    expect(graph.findPath('d', 'a')).toBeUndefined()
    expect(graph.findPath('a', 'a')).toEqual({ nodes: ['a'], links: [], latencyMs: 0 })
  })

  test('among equals fewer links win, then names, whatever the order of adding', () => {
    const links = [
      ['a', 'x', 10],
      ['x', 'z', 10],
      ['a', 'm', 10],
      ['m', 'z', 10],
      ['a', 'b', 5],
      ['b', 'c', 5],
      ['c', 'z', 10],
    ] as const
    fc.assert(
      fc.property(fc.shuffledSubarray([...links], { minLength: links.length }), (shuffled) => {
        expect(graphOf(shuffled).findPath('a', 'z')?.nodes).toEqual(['a', 'm', 'z'])
      }),
    )
  })

  test('each direction has its own', () => {
    const graph = graphOf([
      ['a', 'b', 1],
      ['b', 'c', 1],
      ['c', 'a', 1],
    ])
    expect(graph.findPath('a', 'c')?.nodes).toEqual(['a', 'b', 'c'])
    expect(graph.findPath('c', 'a')?.nodes).toEqual(['c', 'a'])
  })

  test('are found anew when a link comes, goes, changes or is down', () => {
    const graph = graphOf([
      ['a', 'b', 10],
      ['b', 'd', 10],
      ['a', 'c', 15],
      ['c', 'd', 15],
    ])
    const nodes = (): readonly string[] | undefined => graph.findPath('a', 'd')?.nodes
    expect(nodes()).toEqual(['a', 'b', 'd'])
    graph.updateLink('b', 'd', { isActive: false })
    expect(nodes()).toEqual(['a', 'c', 'd'])
    graph.updateLink('b', 'd', { isActive: true })
    expect(nodes()).toEqual(['a', 'b', 'd'])
    graph.updateLink('a', 'b', { latencyMs: 100 })
    expect(nodes()).toEqual(['a', 'c', 'd'])
    graph.connectOneWay('a', 'd', { latencyMs: 20 })
    expect(nodes()).toEqual(['a', 'd'])
    graph.disconnectNodes('a', 'd')
    graph.removeNode('c')
    expect(nodes()).toEqual(['a', 'b', 'd'])
    graph.removeNode('b')
    expect(nodes()).toBeUndefined()
  })

  test('any graph: as short as an independent computation says, and made of its links', () => {
    const names = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6']
    const node = fc.integer({ min: 0, max: names.length - 1 })
    const links = fc.uniqueArray(fc.tuple(node, node, fc.integer({ min: 0, max: 5 })), {
      selector: ([from, to]) => `${from}>${to}`,
      maxLength: 25,
    })
    fc.assert(
      fc.property(links, (all) => {
        const graph = new NetworkGraph(new TestKernel())
        for (const name of names) graph.addNode(name)
        const far = Number.POSITIVE_INFINITY
        const best = names.map((_, i) => names.map((_, j) => (i === j ? 0 : far)))
        for (const [from, to, latencyMs] of all) {
          if (from === to) continue
          graph.connectOneWay(`n${from}`, `n${to}`, { latencyMs })
          const row = best[from] ?? []
          row[to] = latencyMs
        }
        for (const k of names.keys())
          for (const row of best)
            for (const j of names.keys()) row[j] = Math.min(row[j] ?? far, (row[k] ?? far) + (best[k]?.[j] ?? far))
        for (const i of names.keys()) {
          for (const j of names.keys()) {
            const path = graph.findPath(`n${i}`, `n${j}`)
            expect(path?.latencyMs ?? far).toBe(best[i]?.[j])
            for (const [at, link] of (path?.links ?? []).entries()) {
              expect([link.from.name, link.to.name]).toEqual(path?.nodes.slice(at, at + 2))
              expect(graph.link(link.from.name, link.to.name)).toBe(link)
            }
          }
        }
      }),
    )
  })

  test('a link from a new node to one that only one other led to changes nothing for those', () => {
    const graph = graphOf([
      ['a', 'b', 1],
      ['b', 'a', 1],
      ['b', 'c', 1],
      ['c', 'b', 1],
      ['a', 'd', 1],
      ['d', 'a', 1],
    ])
    expect(graph.findPath('a', 'c')?.nodes).toEqual(['a', 'b', 'c'])
    graph.addNode('e')
    graph.connectOneWay('e', 'c')
    expect(graph.findPath('a', 'c')?.nodes).toEqual(['a', 'b', 'c'])
  })

  test('any sequence of changes: as short as an independent computation says', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
    const change = fc.tuple(name, name, fc.integer({ min: 0, max: 5 }), fc.constantFrom('link', 'cut', 'flip', 'slow'))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.array(fc.tuple(name, name)), (changes, questions) => {
        const graph = graphOf([])
        for (const node of ['a', 'b', 'c', 'd', 'e', 'f']) graph.addNode(node)
        for (const [from, to, latencyMs, what] of changes) {
          if (from === to) continue
          if (!graph.hasLink(from, to)) graph.connectOneWay(from, to, { latencyMs })
          else if (what === 'cut') graph.disconnectNodes(from, to)
          else if (what === 'flip') graph.updateLink(from, to, { isActive: !graph.link(from, to).isActive })
          else graph.updateLink(from, to, { latencyMs })
          for (const [a, b] of questions.slice(0, 6)) {
            const links = graph.links().filter(({ isActive }) => isActive)
            const found = graph.findPath(a, b)?.latencyMs ?? Number.POSITIVE_INFINITY
            expect(found).toBe(distance(links, a, b))
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('packets go where findPath says, over many hops, and around a link that is down', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const { graph } = fabric
    for (const name of ['north', 'south', 'east']) graph.addNode(name)
    graph.connectNodes('internet', 'north', { latencyMs: 10 })
    graph.connectNodes('north', 'east', { latencyMs: 10 })
    graph.connectNodes('internet', 'south', { latencyMs: 30 })
    graph.connectNodes('south', 'east', { latencyMs: 30 })
    const alice = mailbox(kernel, fabric.attach('alice', { up: { latencyMs: 1 } }))
    const bobInterface = fabric.attach('bob')
    graph.disconnectNodes('bob', 'internet')
    graph.connectNodes('bob', 'east', { latencyMs: 1 })
    const bob = mailbox(kernel, bobInterface)
    const send = (): void => alice.socket.send(bob.socket.localAddress, 0, 1)
    send()
    kernel.run()
    expect(graph.findPath('alice', 'bob')).toMatchObject({
      nodes: ['alice', 'internet', 'north', 'east', 'bob'],
      latencyMs: 22,
    })
    graph.updateLink('north', 'east', { isActive: false })
    send()
    kernel.run()
    expect(graph.findPath('alice', 'bob')?.latencyMs).toBe(62)
    graph.updateLink('south', 'east', { isActive: false })
    send()
    kernel.run()
    expect(graph.findPath('alice', 'bob')).toBeUndefined()
    expect(bob.arrivals.map(({ atUs }) => atUs)).toEqual([22_000, 22_000 + 62_000])
    expect(fabric.dropped).toEqual({ 'no-route': 1 })
  })

  test('a packet without a way out ends', () => {
    const kernel = new TestKernel()
    const fabric = new Fabric(kernel)
    const alice = mailbox(kernel, fabric.attach('alice', { up: { latencyMs: 1 } }))
    const bob = mailbox(kernel, fabric.attach('bob'))
    fabric.graph.disconnectNodes('bob', 'internet')
    alice.socket.send(bob.socket.localAddress, 0, 1)
    bob.socket.send(alice.socket.localAddress, 0, 1)
    kernel.run(undefined, 100)
    expect(fabric.dropped).toEqual({ 'no-route': 2 })
  })
})

describe('mistakes', () => {
  const graph = graphOf([['a', 'b', 1]])
  test.each([
    ['an empty name', () => graph.addNode('')],
    ['a name with an arrow', () => graph.addNode('a>b')],
    ['a name with a line break', () => graph.addNode('a\n')],
    ['a very long name', () => graph.addNode('a'.repeat(201))],
    ['a name twice', () => graph.addNode('a')],
    ['an unknown node', () => graph.connectNodes('a', 'nobody')],
    ['an unknown end of a path', () => graph.findPath('a', 'nobody')],
    ['an empty group', () => graph.addPartition([])],
    ['an unknown node in a group', () => graph.addPartition(['a'], ['nobody'])],
    ['an unknown LAN', () => graph.addNode('c', { lan: 'nowhere' })],
    ['a LAN that is none', () => graph.addNode('c', { lan: 'a' })],
    ['a link to itself', () => graph.connectOneWay('a', 'a')],
    ['a second link', () => graph.connectOneWay('a', 'b')],
    ['a link that is not there', () => graph.updateLink('b', 'a', {})],
    ['a node in both groups', () => graph.addPartition(['a'], ['b', 'a'])],
  ])('%s', (_, action) => {
    expect(failure(action)).toMatch(/^invalid-configuration: (node|lan|link|groupA|groupB)$/)
  })

  test('nothing is left behind by them', () => {
    expect(graph.nodes().map(({ name }) => name)).toEqual(['a', 'b'])
    expect(graph.links().map(({ name }) => name)).toEqual(['a>b'])
  })

  test('nodes of different networks are not connected', () => {
    const fabric = new Fabric(new TestKernel())
    const lan = fabric.addLan('home', { nat: { mapping: 'endpoint-independent', filtering: 'address-dependent' } })
    fabric.attach('inside', { lan })
    fabric.attach('outside')
    expect(failure(() => fabric.graph.connectNodes('inside', 'outside'))).toBe('invalid-configuration: link')
    expect(failure(() => fabric.graph.removeNode('home'))).toBe('invalid-configuration: node')
    fabric.graph.connectNodes('home', 'outside')
    expect(fabric.graph.link('home/wan', 'outside').name).toBe('home/wan>outside')
  })
})
