/**
 * The default world: what nodes join that are created outside of a simulation. One a process, paced by the real clock.
 *
 * Its programs are ordinary code of the process. Virtual time follows real time (times `SIMULATOR_TIME_MULTIPLIER`), so
 * its history depends on how fast the machine is and its hash means nothing. It keeps the process alive while somebody
 * listens, is connected, or waits for a timer, as sockets would.
 *
 * @module
 */
import { parseSimulatorConfig } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { Alarm } from '../runtime/alarm.ts'
import { RealFileSystem } from '../runtime/real-files.ts'
import { randomSeed } from '../runtime/seed.ts'
import { macrotask, realNowMs } from '../runtime/settle.ts'
import { ambient } from './ambient.ts'
import { Driver } from './driver.ts'
import type { SimHost } from './host.ts'
import { SimWorld } from './sim-world.ts'

/** With nothing to do, the alarm still has to go off now and then: only a timer can keep a process alive. */
const IDLE_MS = 3_600_000

/** The world; see the module's comment. */
export class DefaultWorld {
  readonly world: SimWorld
  readonly #driver: Driver
  readonly #alarm: Alarm
  readonly #multiplier: number
  readonly #startMs = realNowMs()
  #holds = 0
  #nodes = 0
  #turnIsDue = false

  /** Use {@link DefaultWorld.join}. */
  constructor(config: SimulatorConfig) {
    this.#multiplier = config.timeMultiplier ?? 1
    this.world = new SimWorld({
      seed: config.seed ?? randomSeed(),
      config,
      files: new RealFileSystem(),
      hold: () => this.hold(),
      onFailure: (error) => this.#report(error),
    })
    const { scheduler } = this.world
    scheduler.idleClock = (): number => this.#nowUs()
    scheduler.onIdleSchedule = (): void => this.#arm()
    // Code of an ordinary process may take as long as it likes, and its rejections are the process's own business.
    this.#driver = new Driver(scheduler, { catchRejections: false, hangLimitMs: Number.POSITIVE_INFINITY })
    this.#alarm = new Alarm(() => this.#turn())
  }

  /**
   * The process's default world; the first call makes it, with the settings of the environment.
   *
   * @throws P2PError `invalid-configuration` for a variable that makes no sense
   */
  static join(): DefaultWorld {
    const shared = ambient<DefaultWorld>()
    return (shared.world ??= new DefaultWorld(parseSimulatorConfig(process.env)))
  }

  /** A public host on the default link, for a node of its own. */
  addHost(): SimHost {
    return this.world.addHost(`node-${++this.#nodes}`, {}, undefined)
  }

  /** Keeps the process alive until the result is called. */
  hold(): () => void {
    let held = true
    if (this.#holds++ === 0) this.#arm()
    return () => {
      if (!held) return
      held = false
      if (--this.#holds === 0) this.#arm()
    }
  }

  #nowUs(): number {
    return (realNowMs() - this.#startMs) * 1000 * this.#multiplier
  }

  /** Sets the alarm for the next event. */
  #arm(): void {
    if (this.#driver.running || this.#turnIsDue) return
    this.#alarm.keepAlive = this.#holds > 0
    const leftMs = (this.world.scheduler.earliestUs - this.#nowUs()) / 1000 / this.#multiplier
    if (leftMs > 0) {
      this.#alarm.set(Math.min(leftMs, IDLE_MS))
      return
    }
    this.#alarm.clear()
    this.#turnIsDue = true
    macrotask(() => {
      this.#turnIsDue = false
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#driver.running) return
    this.#driver
      .run({ untilUs: Math.floor(this.#nowUs()) })
      .catch((error: unknown) => this.#report(error))
      .finally(() => this.#arm())
      // Neither of the two throws.
      .catch(() => {})
  }

  /** What a timer's callback throws ends the process, as with any other timer. */
  #report(error: unknown): void {
    macrotask(() => {
      throw error
    })
  }
}
