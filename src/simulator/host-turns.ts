/**
 * What holds in this process while code of a simulation's hosts runs: whose code it is, what is traced as a leak, and who
 * answers `buggify`.
 *
 * @module
 */
import { setBuggifyHook } from '../core/buggify.ts'
import { ambientScope, noHost } from '../runtime/ambient/scope.ts'
import type { AmbientHost } from '../runtime/ambient/scope.ts'
import { LeakTracer } from '../runtime/ambient/trace-leaks.ts'
import { ambient } from './ambient.ts'
import type { LeakReporter } from './ambient-host.ts'
import type { BuggifyPoints } from './buggify-points.ts'
import type { SimHost } from './host.ts'
import type { SimWorld } from './sim-world.ts'

/** What the turns of one simulation's hosts are made of. */
export interface HostTurnsOptions {
  readonly world: SimWorld
  /** Without them `buggify` stays as it is. */
  readonly points: BuggifyPoints | undefined
  /** Told of what is traced; without it nothing is. */
  readonly traced: LeakReporter | undefined
}

/** The turns of one simulation's hosts. */
export class HostTurns {
  readonly #world: SimWorld
  readonly #points: BuggifyPoints | undefined
  readonly #tracer: LeakTracer | undefined

  constructor({ world, points, traced }: HostTurnsOptions) {
    this.#world = world
    this.#points = points
    this.#tracer = traced && this.#traceLeaks(traced)
  }

  /** Events begin, or cease, to run in this thread. */
  turn(driving: boolean): void {
    const current = (): SimHost | undefined => this.#world.currentHost
    ambient().currentHost = driving ? current : undefined
    ambientScope().host = driving ? (): AmbientHost | undefined => current()?.runtime.ambient : noHost
    if (driving) this.#tracer?.start()
    else this.#tracer?.stop()
    const points = this.#points
    if (points) setBuggifyHook(driving ? (name) => points.ask(name) : undefined)
  }

  #traceLeaks(leaks: LeakReporter): LeakTracer {
    const { scheduler } = this.#world
    return new LeakTracer(
      () => scheduler.currentHost >= 0,
      (what, instead, line) => {
        try {
          leaks.tell(this.#world.currentHost?.name ?? '', what, instead, line)
        } catch {
          // What is thrown inside of the hook would end the process; the run has failed already.
        }
      },
    )
  }
}
