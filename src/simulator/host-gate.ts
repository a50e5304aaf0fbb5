/**
 * What stands between a host and its events, so that a host can be paused or slow: timers and packets wait at the gate
 * and come through in the order in which they came to it.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { Audit, EventGate, Kernel, KernelEvent, KernelTimer, RandomStream } from './kernel.ts'
import type { Trace } from './trace/trace.ts'

/** Packets that wait at a closed gate: the socket buffer of a host whose programs do not read. More are dropped. */
const MAX_HELD_PACKETS = 512
const MAX_EVENT_MS = 3_600_000

type Callback = () => void

interface Held {
  callback: Callback | undefined
  readonly isPacket: boolean
}

/** A host's gate. */
export class HostGate implements EventGate {
  readonly #kernel: Kernel
  /** Made for the first that has to wait. */
  #held: Held[] | undefined
  #heldPackets = 0
  #paused = 0
  #eventUs = 0
  #busyUntilUs = 0
  #pump: KernelEvent | undefined
  #generation = 0

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Whether events come through at once. */
  get isOpen(): boolean {
    return this.#paused === 0 && this.#eventUs === 0 && !this.#held?.length
  }

  /** Whether the host is paused. */
  get isPaused(): boolean {
    return this.#paused > 0
  }

  /** Stops the host, as a suspended laptop or a stopped process is, until the result is called. Pauses may overlap. */
  pause(): () => void {
    const generation = this.#generation
    let paused = true
    this.#paused++
    return () => {
      if (!paused || generation !== this.#generation) return
      paused = false
      this.#paused--
      this.#next()
    }
  }

  /** Makes every event of the host take `eventMs` of its processor, one after the other, until the result is called. */
  slow(eventMs: number): () => void {
    if (typeof eventMs !== 'number' || !(eventMs >= 0 && eventMs <= MAX_EVENT_MS)) {
      throw invalidConfiguration('eventMs', eventMs, `must be milliseconds from 0 to ${MAX_EVENT_MS}`)
    }
    const generation = this.#generation
    const us = Math.round(eventMs * 1000)
    let slow = true
    this.#eventUs += us
    return () => {
      if (!slow || generation !== this.#generation) return
      slow = false
      this.#eventUs -= us
    }
  }

  /** Runs `callback` when the gate lets it through, unless the result is called before. A packet may be dropped. */
  hold(callback: Callback, isPacket: boolean = false): () => void {
    if (isPacket && this.#heldPackets >= MAX_HELD_PACKETS) return () => {}
    const entry: Held = { callback, isPacket }
    ;(this.#held ??= []).push(entry)
    if (isPacket) this.#heldPackets++
    this.#next()
    return () => {
      entry.callback = undefined
    }
  }

  /** The host has lost its power: what waits is gone, and when it comes back it is neither paused nor slow. */
  reset(): void {
    this.#generation++
    this.#held = undefined
    this.#heldPackets = 0
    this.#paused = 0
    this.#eventUs = 0
    this.#busyUntilUs = 0
    this.#pump?.cancel()
    this.#pump = undefined
  }

  #next(): void {
    if (this.#pump || this.#paused > 0 || !this.#held?.length) return
    const now = this.#kernel.nowUs()
    this.#busyUntilUs = Math.max(this.#busyUntilUs, now) + this.#eventUs
    this.#pump = this.#kernel.schedule(this.#busyUntilUs - now, () => {
      this.#pump = undefined
      if (this.#paused > 0) return
      const entry = this.#held?.shift()
      if (entry?.isPacket === true) this.#heldPackets--
      // The next is scheduled first: what this one does may pause the host, or end it.
      this.#next()
      entry?.callback?.()
    })
  }
}

/** The kernel as the nodes of one host see it: their events go through the host's gate. */
export class HostKernel implements Kernel {
  readonly #kernel: Kernel
  readonly #gate: HostGate
  readonly #lane: number

  /** @param lane the host's, for all of its events */
  constructor(kernel: Kernel, gate: HostGate, lane: number) {
    this.#kernel = kernel
    this.#gate = gate
    this.#lane = lane
  }

  get audit(): Audit {
    return this.#kernel.audit
  }

  get trace(): Trace | undefined {
    return this.#kernel.trace
  }

  nowUs(): number {
    return this.#kernel.nowUs()
  }

  schedule(delayUs: number, callback: Callback): KernelEvent {
    return this.#kernel.schedule(delayUs, callback, this.#lane, this.#gate)
  }

  timer(callback: Callback): KernelTimer {
    return this.#kernel.timer(callback, this.#lane, this.#gate)
  }

  soon(callback: Callback): void {
    if (this.#gate.isOpen) this.#kernel.soon(callback)
    else this.schedule(0, callback)
  }

  woke(host: number): void {
    this.#kernel.woke(host)
  }

  random(name: string): RandomStream {
    return this.#kernel.random(name)
  }
}
