/**
 * Partitions that start at random and heal after a random time, for as long as the simulation runs.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel, KernelEvent, RandomStream } from '../kernel.ts'
import type { NetworkGraph } from './graph.ts'
import type { PartitionDirection } from './partitions.ts'

/** Options of {@link RandomPartitions}. */
export interface RandomPartitionOptions {
  /** Probability that a partition starts in a step, above 0 and up to 1. */
  readonly probability: number
  /** The length of a step in milliseconds. @default 10 */
  readonly stepMs?: number | undefined
  /** A partition lasts 1 to so many steps, all equally likely. @default 1000 */
  readonly maxSteps?: number | undefined
}

/** Steps drawn at once: with rare partitions an event for each would cost more than the packets. */
const STEPS_AHEAD = 4096
/** One partition in so many cuts one way only. */
const ONE_WAY_ONE_IN = 4

/** Starts partitions between the hosts that there are: each joins one side or the other with the toss of a coin. */
export class RandomPartitions implements Disposable {
  readonly #kernel: Kernel
  readonly #graph: NetworkGraph
  readonly #random: RandomStream
  readonly #probability: number
  readonly #stepUs: number
  readonly #maxSteps: number
  readonly #pending = new Set<KernelEvent>()
  #next: KernelEvent | undefined
  #started = 0

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, graph: NetworkGraph, options: RandomPartitionOptions) {
    const { probability, stepMs = 10, maxSteps = 1000 } = options
    if (!(probability > 0 && probability <= 1)) {
      throw invalidConfiguration('probability', probability, 'must be above 0 and up to 1')
    }
    if (!(stepMs > 0 && stepMs <= 3_600_000)) {
      throw invalidConfiguration('stepMs', stepMs, 'must be milliseconds above 0 and up to 3600000')
    }
    if (!Number.isInteger(maxSteps) || maxSteps < 1 || maxSteps > 1_000_000) {
      throw invalidConfiguration('maxSteps', maxSteps, 'must be a whole number from 1 to 1000000')
    }
    this.#kernel = kernel
    this.#graph = graph
    this.#random = kernel.random('network/partitions')
    this.#probability = probability
    this.#stepUs = Math.max(1, Math.round(stepMs * 1000))
    this.#maxSteps = maxSteps
    this.#wait()
  }

  /** How many have started. */
  get started(): number {
    return this.#started
  }

  /** Starts no more; those that are on still heal in their time. */
  stop(): void {
    this.#next?.cancel()
    this.#next = undefined
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  #wait(): void {
    let steps = 1
    while (steps < STEPS_AHEAD && this.#random.nextFloat() >= this.#probability) steps++
    const starts = steps < STEPS_AHEAD
    this.#next = this.#kernel.schedule(steps * this.#stepUs, () => {
      if (starts) this.#start()
      this.#wait()
    })
  }

  #start(): void {
    const ends = this.#graph.nodes().filter((node) => node.isEnd)
    // The other interfaces of a host are on its side.
    const others = new Set(ends.flatMap(({ name }) => this.#graph.users?.standsFor(name) ?? []))
    const hosts = others.size === 0 ? ends : ends.filter(({ name }) => !others.has(name))
    if (hosts.length < 2) return
    const [groupA, groupB]: [string[], string[]] = [[], []]
    for (const { name } of hosts) (this.#random.nextBelow(2) === 0 ? groupA : groupB).push(name)
    // Nobody against everybody is no partition: somebody drawn at random is alone then.
    const [empty, full] = groupA.length === 0 ? [groupA, groupB] : [groupB, groupA]
    if (empty.length === 0) empty.push(...full.splice(this.#random.nextBelow(full.length), 1))
    const direction: PartitionDirection = this.#random.nextBelow(ONE_WAY_ONE_IN) === 0 ? 'a-to-b' : 'both'
    const lengthUs = (1 + this.#random.nextBelow(this.#maxSteps)) * this.#stepUs
    const partition = this.#graph.addPartition(groupA, groupB, { direction })
    this.#started++
    const heal = this.#kernel.schedule(lengthUs, () => {
      this.#pending.delete(heal)
      partition.heal()
    })
    this.#pending.add(heal)
  }
}
