import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diagram } from '../../../src/simulator/diagram/index.ts'
import { burstyLoss, Topology } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'

function world(): Topology {
  const topology = new Topology(new TestKernel(), { defaultLatencyMs: 20, defaultPacketLoss: 0 })
  const provider = topology.lan({
    name: 'provider',
    nat: 'cgnat',
    ipv6: 'open',
    region: 'london',
    link: { latencyMs: 5 },
  })
  const flat = topology.lan({ name: 'flat', behind: provider, link: 'cable', ipv6: true })
  topology.lan({ name: 'office', nat: 'udp-blocked', link: { latencyMs: 3, packetLoss: burstyLoss(0.01, 4) } })
  topology.host('phone', { lan: flat, link: 'wifi' })
  topology.host('a & "b" | <c')
  topology.host('relay', { kind: 'relay', region: 'tokyo' })
  return topology
}

/** The elements are closed in order: the least that any XML reader asks for. */
function isWellFormed(xml: string): boolean {
  const open: string[] = []
  for (const [, slash, name, self] of xml.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (slash) {
      if (open.pop() !== name) return false
    } else if (!self) {
      open.push(name ?? '')
    }
  }
  return open.length === 0 && !/&(?!#\d+;)/.test(xml.replace(/<style>[\s\S]*<\/style>/, ''))
}

function boxes(svg: string): { x: number; y: number; width: number; height: number }[] {
  return [
    ...svg.matchAll(/<rect class="(?!page)[^"]*" rx="6" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g),
  ].map(([, x, y, width, height]) => ({ x: Number(x), y: Number(y), width: Number(width), height: Number(height) }))
}

function overlaps(all: ReturnType<typeof boxes>): number {
  return all.flatMap((a, i) =>
    all
      .slice(i + 1)
      .filter((b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height),
  ).length
}

describe('the diagram', () => {
  test('shows networks, NATs, addresses and lines', () => {
    const { svg, mermaid } = diagram(world())
    for (const text of [
      'NAT cgnat: EIM EIF random',
      '192.168.1.2 2001:db8:0:2::1',
      'IPv6 firewall',
      'blocks UDP',
      'bursty loss',
      '20/200 Mbit/s',
    ]) {
      expect(svg).toContain(text)
      expect(mermaid).toContain(text)
    }
    expect(svg).toContain('region:tokyo - region:london: 121 ms')
  })

  test('is well-formed whatever the names, follows the theme, and no box covers another', () => {
    const { svg } = diagram(world())
    expect(isWellFormed(svg)).toBe(true)
    expect(svg).toContain('a &#38; &#34;b&#34; | &#60;c')
    expect(svg).toContain('prefers-color-scheme: dark')
    expect(boxes(svg)).toHaveLength(9)
    expect(overlaps(boxes(svg))).toBe(0)
  })

  test('Mermaid’s lines are those of a flowchart, with what it would read as syntax escaped', () => {
    const { mermaid } = diagram(world())
    const [first, ...lines] = mermaid.trimEnd().split('\n')
    expect(first).toBe('flowchart LR')
    const node = /^ {2}n\d+(\(\["[^"]+"\]\)|\["[^"]+"\]|\("[^"]+"\)|\{\{"[^"]+"\}\})$/
    const edge = /^ {2}n\d+ (---|-\.-|-\.-x)\|"[^"|]+"\| n\d+$/
    expect(lines.filter((line) => !node.test(line) && !edge.test(line))).toEqual([])
    expect(mermaid).toContain('a #38; #34;b#34; #124; #60;c')
  })

  test('marks what is cut, and says who is partitioned', () => {
    const topology = world()
    const before = diagram(topology)
    expect(before.svg).not.toMatch(/class="[^"]*cut/)
    topology.fabric.graph.updateLink('office', 'internet', { isActive: false })
    const partition = topology.fabric.graph.addPartition(['flat'], ['relay'], { direction: 'a-to-b' })
    const cut = diagram(topology)
    expect(cut.svg).toContain('<rect class="lan cut"')
    expect(cut.svg).toContain('partition 0: flat cannot send to relay')
    expect(cut.mermaid).toContain('-.-x')
    expect(cut.mermaid).toContain('classDef cut')
    partition.heal()
    topology.fabric.graph.updateLink('office', 'internet', { isActive: true })
    expect(diagram(topology)).toEqual(before)
  })

  test('nodes hang on what they are linked to, in whatever order they were added; in a LAN too', () => {
    const topology = world()
    const { graph } = topology.fabric
    for (const name of ['far', 'near', 'island']) graph.addNode(name)
    graph.connectNodes('far', 'near', { latencyMs: 7 })
    graph.connectNodes('near', 'internet', { latencyMs: 5 })
    graph.addNode('switch', { lan: 'flat' })
    graph.connectNodes('switch', 'flat', { latencyMs: 1 })
    const { mermaid } = diagram(topology)
    const id = (name: string): string | undefined => new RegExp(`(n\\d+)[([{]+"${name}["<]`).exec(mermaid)?.[1]
    expect(mermaid).toContain(`  ${id('near')} ---|"7 ms"| ${id('far')}\n`)
    expect(mermaid).toContain(`  ${id('flat')} ---|"1 ms"| ${id('switch')}\n`)
    expect(mermaid.match(/.*unplugged.*/g)).toEqual([`  ${id('internet')} -.-x|"unplugged"| ${id('island')}`])
  })

  test('links between routers are drawn, and those of hosts that are not are counted', () => {
    const topology = world()
    const { graph } = topology.fabric
    graph.connectNodes('office', 'provider', { latencyMs: 2 })
    for (let i = 0; i < 12; i++) topology.host(`h${i}`)
    for (let i = 0; i < 12; i++) graph.connectNodes(`h${i}`, `h${(i + 1) % 12}`, { latencyMs: 3 })
    const { svg, mermaid } = diagram(topology)
    expect(mermaid).toMatch(/n\d+ -\.-\|"2 ms"\| n\d+\n/)
    expect(svg).toContain('office - provider: 2 ms')
    // Seven of the twelve are drawn, with six links between them.
    expect(svg).toContain('6 more links, of hosts that are not drawn')
    for (let i = 0; i < 14; i++) graph.addNode(`x${i}`)
    for (let i = 0; i < 14; i++) graph.connectNodes(`x${i}`, 'internet')
    for (let i = 0; i < 14; i++) graph.connectNodes(`x${i}`, `x${(i + 1) % 14}`)
    expect(diagram(topology).svg).toMatch(/and \d+ more links</)
  })

  test('has no halves of characters, and none that XML has not', () => {
    const topology = world()
    topology.host(`x${'😀'.repeat(40)}`)
    topology.host('\ud800\uffff')
    const { svg } = diagram(topology)
    expect(svg).not.toMatch(/[\p{Surrogate}\uffff]/u)
    expect(svg).toContain('\ufffd\ufffd')
    expect(isWellFormed(svg)).toBe(true)
  })

  test('counts hosts where there are many', () => {
    const topology = world()
    for (let i = 0; i < 5000; i++) topology.host(`bot-${i}`)
    const { svg, mermaid } = diagram(topology)
    expect(boxes(svg).length).toBeLessThan(20)
    expect(svg).toContain('4993 more hosts')
    expect(mermaid).toContain('4993 more hosts')
  })

  test('of any tree of networks is well-formed, without overlaps, and the same again', () => {
    const shape = fc.record({
      lans: fc.array(fc.option(fc.nat(5), { nil: undefined }), { maxLength: 8 }),
      hosts: fc.array(fc.option(fc.nat(7), { nil: undefined }), { maxLength: 25 }),
    })
    fc.assert(
      fc.property(shape, ({ lans, hosts }) => {
        const draw = (): ReturnType<typeof diagram> => {
          const topology = new Topology(new TestKernel())
          const made: ReturnType<Topology['lan']>[] = []
          for (const [i, behind] of lans.entries()) {
            const outer = behind === undefined ? undefined : made[behind]
            made.push(topology.lan({ behind: outer, prefix: `10.${i}.0.0/16` }))
          }
          for (const [i, lan] of hosts.entries()) {
            topology.host(`host-${i}`, { lan: lan === undefined ? undefined : made[lan] })
          }
          return diagram(topology)
        }
        const first = draw()
        expect(isWellFormed(first.svg)).toBe(true)
        expect(overlaps(boxes(first.svg))).toBe(0)
        expect(draw()).toEqual(first)
      }),
      { numRuns: 60 },
    )
  })
})
