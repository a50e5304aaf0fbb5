/**
 * A small kernel for tests of one layer: a heap of events over virtual microseconds, sfc32 streams by name, and an
 * audit that hashes everything and, when asked, keeps it.
 *
 * `run` and `runFor` are synchronous and settle no promise; `drive` runs the same events and settles promises after
 * each event that called `woke`.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import type { Audit, Kernel, KernelEvent, KernelTimer, RandomStream } from '../../../src/simulator/kernel.ts'

/** An audit record as it was made. */
export interface AuditRecord {
  readonly atUs: number
  readonly kind: number
  readonly host: number
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

/** A scheduled event; a cancelled one stays in the heap until its time. */
class TestEvent implements KernelEvent {
  readonly atUs: number
  readonly sequence: number
  callback: (() => void) | undefined

  constructor(atUs: number, sequence: number, callback: () => void) {
    this.atUs = atUs
    this.sequence = sequence
    this.callback = callback
  }

  cancel(): void {
    this.callback = undefined
  }
}

/** 32 bits of a text, by FNV-1a with a finisher; `salt` makes independent ones. */
function hashText(text: string, salt: number): number {
  let hash = 0x811c9dc5 ^ salt
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** sfc32 (Doty-Humphrey), seeded by seed and name. */
export class TestRandom implements RandomStream {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string, name: string) {
    const text = `${seed}\0${name}`
    this.#a = hashText(text, 1)
    this.#b = hashText(text, 2)
    this.#c = hashText(text, 3)
    for (let i = 0; i < 12; i++) this.nextU32()
  }

  nextU32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  nextBelow(bound: number): number {
    const limit = 4_294_967_296 - (4_294_967_296 % bound)
    let value = this.nextU32()
    while (value >= limit) value = this.nextU32()
    return value % bound
  }

  nextFloat(): number {
    return this.nextU32() / 4_294_967_296
  }
}

/** Hashes every record, and keeps them all when made with `keep`. */
export class TestAudit implements Audit {
  /** The history's hash so far. */
  hash = 0x811c9dc5
  /** How many records there were. */
  count = 0
  /** The records, when kept. */
  readonly records: AuditRecord[] = []
  readonly #now: () => number
  readonly #keep: boolean

  constructor(now: () => number, keep: boolean) {
    this.#now = now
    this.#keep = keep
  }

  record(kind: number, host: number, a = 0, b = 0, c = 0, d = 0): void {
    const atUs = this.#now()
    this.count++
    let hash = this.hash
    hash = Math.imul(hash ^ (atUs | 0), 0x01000193)
    hash = Math.imul(hash ^ ((atUs / 4_294_967_296) | 0), 0x01000193)
    hash = Math.imul(hash ^ kind, 0x01000193)
    hash = Math.imul(hash ^ host, 0x01000193)
    hash = Math.imul(hash ^ (a | 0), 0x01000193)
    hash = Math.imul(hash ^ (b | 0), 0x01000193)
    hash = Math.imul(hash ^ (c | 0), 0x01000193)
    hash = Math.imul(hash ^ (d | 0), 0x01000193)
    this.hash = (hash ^ (hash >>> 15)) >>> 0
    if (this.#keep) this.records.push({ atUs, kind, host, a, b, c, d })
  }
}

/** Options of a {@link TestKernel}. */
export interface TestKernelOptions {
  /** @default 'test' */
  readonly seed?: string
  /** Keeps audit records in `audit.records`. @default false */
  readonly keepRecords?: boolean
}

/** The kernel; see the module's comment. */
export class TestKernel implements Kernel {
  readonly audit: TestAudit
  /** The hosts that were woken, in order. */
  readonly wokenHosts: number[] = []
  /** How many events have run. */
  eventsRun = 0
  readonly #seed: string
  readonly #streams = new Map<string, TestRandom>()
  readonly #heap: TestEvent[] = []
  #nowUs = 0
  #sequence = 0
  #woken = false

  constructor(options: TestKernelOptions = {}) {
    this.#seed = options.seed ?? 'test'
    this.audit = new TestAudit(() => this.#nowUs, options.keepRecords ?? false)
  }

  nowUs(): number {
    return this.#nowUs
  }

  schedule(delayUs: number, callback: () => void): KernelEvent {
    if (Number.isNaN(delayUs)) throw new Error('a delay is NaN')
    const event = new TestEvent(this.#nowUs + Math.max(0, Math.ceil(delayUs)), this.#sequence++, callback)
    push(this.#heap, event)
    return event
  }

  timer(callback: () => void): KernelTimer {
    let event: KernelEvent | undefined
    const cancel = (): void => event?.cancel()
    const set = (delayUs: number): void => {
      cancel()
      event = this.schedule(delayUs, callback)
    }
    return { set, cancel }
  }

  soon(callback: () => void): void {
    this.schedule(0, callback)
  }

  woke(host: number): void {
    this.#woken = true
    this.wokenHosts.push(host)
  }

  random(name: string): RandomStream {
    let stream = this.#streams.get(name)
    if (!stream) this.#streams.set(name, (stream = new TestRandom(this.#seed, name)))
    return stream
  }

  /** How many events are pending, cancelled ones not yet due included. */
  get pending(): number {
    return this.#heap.length
  }

  /** Runs the earliest event; false when there is none at or before `limitUs`. */
  step(limitUs = Number.POSITIVE_INFINITY): boolean {
    for (;;) {
      const first = this.#heap[0]
      if (!first || first.atUs > limitUs) return false
      pop(this.#heap)
      const { callback } = first
      if (!callback) continue
      first.callback = undefined
      this.#nowUs = first.atUs
      this.eventsRun++
      callback()
      return true
    }
  }

  /** Runs everything up to and including `untilUs` (default: until nothing is left); the clock then stands there. */
  run(untilUs: number = Number.POSITIVE_INFINITY, maxEvents = 50_000_000): void {
    let left = maxEvents
    while (this.step(untilUs)) if (--left <= 0) throw new Error(`more than ${maxEvents} events: a loop?`)
    if (untilUs !== Number.POSITIVE_INFINITY && untilUs > this.#nowUs) this.#nowUs = untilUs
  }

  /** Runs `durationUs` of virtual time. */
  runFor(durationUs: number): void {
    this.run(this.#nowUs + durationUs)
  }

  /** As `run`, settling promises at the start and after each event that woke somebody, until `done` says so. */
  async drive(done: () => boolean = () => false, untilUs: number = Number.POSITIVE_INFINITY): Promise<void> {
    await setImmediate()
    while (!done() && this.step(untilUs)) {
      if (!this.#woken) continue
      this.#woken = false
      await setImmediate()
    }
  }
}

function before(a: TestEvent, b: TestEvent): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence)
}

function push(heap: TestEvent[], event: TestEvent): void {
  let index = heap.length
  heap.push(event)
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (!parent || before(parent, event)) break
    heap[index] = parent
    index = above
  }
  heap[index] = event
}

function pop(heap: TestEvent[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let index = 0
  for (;;) {
    const left = 2 * index + 1
    const right = left + 1
    const leftEvent = heap[left]
    if (!leftEvent) break
    const rightEvent = heap[right]
    const smaller = rightEvent && before(rightEvent, leftEvent) ? rightEvent : leftEvent
    if (before(last, smaller)) break
    heap[index] = smaller
    index = smaller === leftEvent ? left : right
  }
  heap[index] = last
}
