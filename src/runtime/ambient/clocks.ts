/**
 * Clocks that show the time of the host whose code reads them: `Date`, `Intl.DateTimeFormat`, `performance`,
 * `process.hrtime` and `process.uptime`.
 *
 * @module
 */
import type { Patches } from './patches.ts'
import { ambientScope } from './scope.ts'

/** Replaces this thread's clocks. */
export function patchClocks(patches: Patches): void {
  const scope = ambientScope()
  patchDate(patches)
  patchFormat(patches)
  patchPerformance(patches)

  const realHrtime = process.hrtime
  const hrtime = (previous?: readonly [number, number]): [number, number] => {
    const host = scope.host()
    if (!host?.isVirtual) return previous ? realHrtime([...previous]) : realHrtime()
    const us = Math.round(host.monotonicMs() * 1000)
    let seconds = Math.floor(us / 1_000_000)
    let nanoseconds = (us % 1_000_000) * 1000
    if (previous) {
      seconds -= previous[0]
      nanoseconds -= previous[1]
      if (nanoseconds < 0) {
        seconds--
        nanoseconds += 1_000_000_000
      }
    }
    return [seconds, nanoseconds]
  }
  const realBigint = realHrtime.bigint.bind(realHrtime)
  patches.wrap(process, 'hrtime', () => hrtime)
  patches.set(process.hrtime, 'bigint', (): bigint => {
    const host = scope.host()
    return host?.isVirtual ? BigInt(Math.round(host.monotonicMs() * 1000)) * 1000n : realBigint()
  })
  patches.wrap(process, 'uptime', (real) => () => {
    const host = scope.host()
    return host?.isVirtual ? host.monotonicMs() / 1000 : real.call(process)
  })
}

function patchDate(patches: Patches): void {
  const scope = ambientScope()
  const RealDate = Date
  const realNow = RealDate.now
  const now = (): number => {
    const host = scope.host()
    return host?.isVirtual ? host.wallMs() : realNow()
  }
  // A proxy has all of the real one's properties, and makes real dates.
  const AmbientDate: DateConstructor = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(
        target,
        args.length === 0 ? [now()] : args,
        newTarget === AmbientDate ? target : newTarget,
      ) as Date,
    apply: () => new RealDate(now()).toString(),
  })
  // Whoever has kept the real constructor still asks it for its `now`.
  patches.wrap(RealDate, 'now', () => now)
  patches.set(RealDate.prototype, 'constructor', AmbientDate)
  patches.set(globalThis, 'Date', AmbientDate)
}

function patchFormat(patches: Patches): void {
  const scope = ambientScope()
  const { prototype } = Intl.DateTimeFormat
  const hostNow = (): number | undefined => {
    const host = scope.host()
    return host?.isVirtual ? host.wallMs() : undefined
  }
  patches.wrapGetter(
    prototype,
    'format',
    (real) =>
      function get() {
        const format = real.call(this) as (date?: Date | number) => string
        return scope.host()?.isVirtual ? (date?: Date | number): string => format(date ?? hostNow()) : format
      },
  )
  patches.wrap(
    prototype,
    'formatToParts',
    (real) =>
      function formatToParts(date?: Date | number) {
        return real.call(this, date ?? hostNow())
      },
  )
}

function patchPerformance(patches: Patches): void {
  const scope = ambientScope()
  const prototype = Object.getPrototypeOf(performance) as object
  const virtualNow = (): number | undefined => {
    const host = scope.host()
    return host?.isVirtual ? host.monotonicMs() : undefined
  }
  patches.wrap(
    prototype,
    'now',
    (real) =>
      function now() {
        return virtualNow() ?? real.call(this)
      },
  )
  patches.wrap(
    prototype,
    'mark',
    (real) =>
      function mark(name: string, options?: object) {
        const startTime = virtualNow()
        return real.call(this, name, startTime === undefined ? options : { startTime, ...options })
      },
  )
  patches.wrapGetter(
    prototype,
    'timeOrigin',
    (real) =>
      function get() {
        const host = scope.host()
        return host?.isVirtual ? host.wallMs() - Math.floor(host.monotonicMs()) : (real.call(this) as unknown)
      },
  )
}
