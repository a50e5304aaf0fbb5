/**
 * The runtime of a simulated host: its clock and timers are the scheduler's, its randomness comes from the seed, and
 * real work goes over the bridge.
 *
 * @module
 */
import type { Runtime, RuntimeFile, RuntimeFileSystem, RuntimeTimer } from '../core/runtime.ts'
import { sleepOn } from '../core/sleep.ts'
import { WaitLog } from '../core/wait-log.ts'
import { SimAmbientHost } from './ambient-host.ts'
import type { AmbientSettings } from './ambient-host.ts'
import { EventKind } from './audit.ts'
import type { Bridge } from './bridge.ts'
import { SimDisk } from './disk.ts'
import type { DiskState } from './disk.ts'
import type { HostClock } from './host-clock.ts'
import type { HostGate } from './host-gate.ts'
import type { KernelEvent, RandomStream } from './kernel.ts'
import { drawBytes } from './random.ts'
import type { Scheduler } from './scheduler.ts'

/** What the runtimes of all hosts of a world have in common. */
export interface RuntimeSettings {
  readonly scheduler: Scheduler
  /** Where real work waits, or undefined in a world whose time does not stand still for it. */
  readonly bridge: Bridge | undefined
  /** The files behind `files`. */
  readonly files: RuntimeFileSystem
  /** Virtual milliseconds, for notes of who waits since when. */
  readonly trueMs: () => number
  /** Unix milliseconds at virtual time 0. */
  readonly epochOffsetMs: number
  /** How its code's uses of this machine's globals are taken. */
  readonly ambient: AmbientSettings
  /**
   * Called when something that the application waits for has begun; the result is called when it is over.
   */
  readonly hold?: (() => () => void) | undefined
}

/** The host of a runtime. */
export interface RuntimeHost {
  readonly name: string
  readonly index: number
  /** The lane of the host's events. */
  readonly lane: number
  readonly clock: HostClock
  /** What timers have to pass. */
  readonly gate: HostGate
  /** Its disk, whose files are found before those of this machine. */
  readonly diskState: DiskState
}

/** A timer of a host. */
export class SimTimer implements RuntimeTimer {
  readonly #hold: (() => () => void) | undefined
  #release: (() => void) | undefined
  #event: KernelEvent | undefined

  constructor(hold: (() => () => void) | undefined) {
    this.#hold = hold
    this.#release = hold?.()
  }

  /** @internal It is set. */
  start(event: KernelEvent): void {
    this.#event = event
  }

  /** @internal It fires, or will not any more. */
  over(): void {
    this.#event = undefined
    this.#release?.()
    this.#release = undefined
  }

  /** Whether its host counts as busy as long as it is set. */
  ref(keep: boolean): void {
    this.#release?.()
    this.#release = keep && this.#event ? this.#hold?.() : undefined
  }

  cancel(): void {
    this.#event?.cancel()
    this.over()
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}

/** A real file, read over the bridge. */
class BridgedFile implements RuntimeFile {
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly #file: RuntimeFile
  readonly #path: string
  readonly #runtime: SimRuntime

  constructor(file: RuntimeFile, path: string, runtime: SimRuntime, modifiedMs: number) {
    this.#file = file
    this.#path = path
    this.#runtime = runtime
    this.sizeBytes = file.sizeBytes
    this.modifiedMs = modifiedMs
  }

  read(position: number, maxBytes: number): Promise<Uint8Array> {
    return this.#runtime.bridge(`reading ${this.#path}`, () => this.#file.read(position, maxBytes))
  }

  close(): Promise<void> {
    return this.#runtime.bridge(`closing ${this.#path}`, () => this.#runtime.closeFile(this.#file))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The clock, timers, randomness and files of one simulated host, from one start of it to its end. */
export class SimRuntime implements Runtime {
  readonly kind = 'simulated'
  readonly waits: WaitLog
  readonly #settings: RuntimeSettings
  readonly #host: RuntimeHost
  readonly #random: RandomStream
  // What few hosts use is made when it is first asked for: there may be ten thousand of them.
  #ambient: SimAmbientHost | undefined
  #files: RuntimeFileSystem | undefined
  #disk: SimDisk | undefined
  #openFiles: Set<RuntimeFile> | undefined
  #on = true

  constructor(settings: RuntimeSettings, host: RuntimeHost) {
    this.#settings = settings
    this.#host = host
    this.waits = new WaitLog(settings.trueMs)
    this.#random = settings.scheduler.random(`host/${host.name}/app`)
  }

  /** Its host as the patched globals see it. */
  get ambient(): SimAmbientHost {
    const { ambient, scheduler } = this.#settings
    return (this.#ambient ??= new SimAmbientHost(ambient, this, scheduler, this.#host.name))
  }

  get files(): RuntimeFileSystem {
    const { files } = this.#settings
    return (this.#files ??= {
      open: (path) => this.#open(path),
      list: (path) => this.bridge(`listing ${path}`, () => files.list(path)),
    })
  }

  /** The host's disk. */
  get disk(): SimDisk {
    return (this.#disk ??= new SimDisk(this.#host.diskState, this))
  }

  /** Whether its host has had power ever since this runtime was made. */
  get isOn(): boolean {
    return this.#on
  }

  now(): number {
    return this.#host.clock.nowUs() / 1000
  }

  wallClockMs(): number {
    return this.#host.clock.wallMs()
  }

  /** @throws P2PError `invalid-configuration` when `delayMs` is not a number */
  setTimer(delayMs: number, callback: () => void): SimTimer {
    const { scheduler, hold } = this.#settings
    const { index, lane, gate } = this.#host
    const fire = (): void => {
      timer.over()
      if (!this.#on) return
      scheduler.woke(index)
      scheduler.audit.record(EventKind.timer, index)
      callback()
    }
    const due = (): void => {
      if (gate.isOpen) fire()
      else timer.start({ cancel: gate.hold(fire) })
    }
    const event = scheduler.schedule(this.#delayUs(delayMs), due, lane)
    const timer = new SimTimer(hold)
    timer.start(event)
    return timer
  }

  sleep(delayMs: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    const signal = options?.signal
    if (!signal) return this.#sleep(delayMs)
    return sleepOn({ setTimer: (ms, callback) => this.#setSleepTimer(ms, callback) }, delayMs, signal)
  }

  /** A timer that counts as a wait. */
  #setSleepTimer(delayMs: number, callback: () => void): RuntimeTimer {
    const timer = this.setTimer(delayMs, () => {
      wait.end()
      callback()
    })
    const wait = this.waits.begin('sleep')
    const cancel = (): void => {
      wait.end()
      timer.cancel()
    }
    return { cancel, [Symbol.dispose]: cancel }
  }

  /** As `sleepOn`, for what most programs do most often. */
  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { scheduler, hold } = this.#settings
      const { index, lane, gate } = this.#host
      const fire = (): void => {
        release?.()
        if (!this.#on) return
        scheduler.woke(index)
        scheduler.audit.record(EventKind.timer, index)
        wait.end()
        resolve()
      }
      scheduler.schedule(this.#delayUs(delayMs), fire, lane, gate)
      const release = hold?.()
      const wait = this.waits.begin('sleep')
    })
  }

  /** However short it is time passes, or code that waits for what is left of a deadline would never get there. */
  #delayUs(delayMs: number): number {
    const roundedUs = Math.round(delayMs * 1000)
    return this.#host.clock.trueDelayUs(roundedUs === 0 && delayMs > 0 ? 1 : roundedUs)
  }

  randomBytes(length: number): Uint8Array {
    return drawBytes(this.#random, length)
  }

  random(): number {
    const high = this.#random.nextU32() >>> 5
    const low = this.#random.nextU32() >>> 6
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }

  async bridge<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { bridge, scheduler } = this.#settings
    const { index, name } = this.#host
    // Outside of events there is no history to protect: so in a paced world, between runs, and within real work itself.
    if (!bridge || !scheduler.driving) return work()
    const wait = this.waits.begin(what)
    try {
      return await bridge.submit(index, `${what} on host ${name}`, work, () => this.#on)
    } finally {
      wait.end()
    }
  }

  /** Closes a file that was opened by this runtime. */
  async closeFile(file: RuntimeFile): Promise<void> {
    this.#openFiles?.delete(file)
    await file.close()
  }

  /** The host loses its power: nothing that it waits for will happen any more. Its real files are closed. */
  async powerOff(): Promise<void> {
    this.#on = false
    const files = [...(this.#openFiles ?? [])]
    this.#openFiles = undefined
    await Promise.allSettled(files.map((file) => file.close()))
  }

  async #open(path: string): Promise<RuntimeFile> {
    const { files, epochOffsetMs } = this.#settings
    if (this.disk.exists(path)) return this.disk.open(path, epochOffsetMs)
    const file = await this.bridge(`opening ${path}`, async () => {
      const opened = await files.open(path)
      if (this.#on) (this.#openFiles ??= new Set()).add(opened)
      else await opened.close()
      return opened
    })
    // The disk's own times differ from one checkout to the next: in a simulation all files date from its beginning.
    return new BridgedFile(file, path, this, this.#settings.bridge ? epochOffsetMs : file.modifiedMs)
  }
}
