/**
 * Faults of lines: all that lie on one link at a time are put together by one rule, which is there only while there
 * are any, so that a run without faults pays nothing.
 *
 * @module
 */
import type { Kernel, RandomStream } from '../kernel.ts'
import type { Link, LinkCrossing, LinkRuleGuard, LinkVerdict, NetworkGraph } from '../network/index.ts'
import type { LinkRules } from '../network/index.ts'
import type { LinkDegradeFault } from './fault.ts'

/** By how much a packet that is to be overtaken is late. */
const REORDER_MS = 20
const DUPLICATE_MS = 1
/** A queue in front of a throttled line holds this much of its rate. */
const QUEUE_MS = 200

interface Degradation {
  readonly fault: LinkDegradeFault
  readonly matches: (link: Link) => boolean
  /** By link: until when the throttled line is busy, in microseconds. */
  readonly busyUs: Map<string, number>
}

/** Whether a fault's `line` means a link: `from>to`, or a host or LAN at either end. */
export function lineMatcher(graph: NetworkGraph, line: string): (link: Link) => boolean {
  const [from, to] = line.split('>')
  if (from !== undefined && to !== undefined) {
    const { name } = graph.link(from, to)
    return (link) => link.name === name
  }
  const node = graph.node(line)
  const end = node.outside ?? node
  // The links between a LAN and its own hosts are not its line.
  return (link) => (link.from === end && link.to.lan !== node) || (link.to === end && link.from.lan !== node)
}

/** The faults of lines that are on. */
export class LineFaults {
  readonly #kernel: Kernel
  readonly #graph: NetworkGraph
  readonly #rules: LinkRules
  readonly #degradations: Degradation[] = []
  #guard: LinkRuleGuard | undefined

  constructor(kernel: Kernel, graph: NetworkGraph, rules: LinkRules) {
    this.#kernel = kernel
    this.#graph = graph
    this.#rules = rules
  }

  /** Makes a line worse until the result is called. */
  degrade(fault: LinkDegradeFault): () => void {
    const entry: Degradation = { fault, matches: lineMatcher(this.#graph, fault.line), busyUs: new Map() }
    this.#degradations.push(entry)
    this.#guard ??= this.#rules.add((crossing) => this.#decide(crossing))
    return () => {
      const index = this.#degradations.indexOf(entry)
      if (index >= 0) this.#degradations.splice(index, 1)
      if (this.#degradations.length > 0) return
      this.#guard?.remove()
      this.#guard = undefined
    }
  }

  /** Takes a line down until the result is called; others may hold it down longer. */
  takeDown(line: string): () => void {
    const links = this.#graph.links().filter(lineMatcher(this.#graph, line))
    for (const link of links) this.#graph.holdDown(link, true)
    return () => {
      for (const link of links.splice(0)) this.#graph.holdDown(link, false)
    }
  }

  #decide({ link, packet, atUs }: LinkCrossing): LinkVerdict {
    let delayMs = 0
    let copies = 0
    let isCorrupted = false
    let touched = false
    for (const { fault, matches, busyUs } of this.#degradations) {
      if (!matches(link)) continue
      touched = true
      const random = this.#kernel.random(`fault/${link.name}`)
      if (happens(random, fault.loss)) return 'drop'
      if (happens(random, fault.corrupt)) isCorrupted = true
      if (happens(random, fault.duplicate)) copies++
      if (happens(random, fault.reorder)) delayMs += REORDER_MS
      delayMs += fault.addLatencyMs ?? 0
      const rate = fault.rateBitsPerSecond
      if (rate !== undefined) {
        const free = Math.max(busyUs.get(link.name) ?? 0, atUs)
        if (free - atUs > QUEUE_MS * 1000) return 'drop'
        const done = free + Math.ceil((packet.sizeBytes * 8_000_000) / rate)
        busyUs.set(link.name, done)
        delayMs += (done - atUs) / 1000
      }
    }
    if (!touched) return 'pass'
    if (isCorrupted) return 'corrupt'
    // Copies are late as well; with them, the packet itself is not.
    if (copies > 0) return { copies: Math.min(copies, 100), delayMs: delayMs + DUPLICATE_MS }
    return { delayMs }
  }
}

/** Draws even when it is certain, so that a milder fault meets the same packets' numbers. */
function happens(random: RandomStream, probability: number | undefined): boolean {
  return probability !== undefined && probability > 0 && random.nextFloat() < probability
}
