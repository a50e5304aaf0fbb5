/**
 * Warnings about handles that were lost: `P2P_LEAK_WARNINGS=1`.
 *
 * @module
 */
import type { LeakWatch } from '../core/leaks.ts'

interface Watched {
  readonly what: string
  readonly isOpen: () => boolean
  /** Where it was opened, a line a frame. */
  readonly where: string
}

function warn({ what, isOpen, where }: Watched): void {
  if (!isOpen()) return
  process.emitWarning(`${what} was lost without being closed, and stays open until its peer or its node ends`, {
    code: 'P2P_LEAK',
    detail: `It was opened\n${where}`,
  })
}

/** What is open in this process, of what is told at its end; undefined until there is any. */
let held: Map<object, Watched> | undefined

function tellHeld(): void {
  for (const { what, isOpen, where } of held?.values() ?? []) {
    // Warnings would come after the end.
    if (isOpen())
      process.stderr.write(`[P2P_LEAK] ${what} was not closed before the process ended; it was opened\n${where}\n`)
  }
}

function toHold(handle: object, watched: Watched): void {
  if (!held) {
    held = new Map()
    process.on('exit', tellHeld)
  }
  held.set(handle, watched)
}

/** Where `caller` was called, a line a frame. */
function placeOf(caller: (...args: never[]) => unknown): string {
  const place: { stack?: string } = {}
  Error.captureStackTrace(place, caller)
  // A text at once: until it is one, a stack holds on to the objects whose methods are in it, the handle among them.
  const [, ...frames] = place.stack?.split('\n') ?? []
  return frames.join('\n')
}

/** The watch of this process, when `P2P_LEAK_WARNINGS` asks for it. */
export function leakWatch(env: Readonly<Record<string, string | undefined>> = process.env): LeakWatch | undefined {
  const asked = env['P2P_LEAK_WARNINGS']
  if (asked === undefined || asked === '' || asked === '0') return undefined
  const registry = new FinalizationRegistry<Watched>(warn)
  const watch: LeakWatch['watch'] = (handle, what, isOpen) => {
    registry.register(handle, { what, isOpen, where: placeOf(watch) }, handle)
  }
  const hold: LeakWatch['hold'] = (handle, what, isOpen) => {
    toHold(handle, { what, isOpen, where: placeOf(hold) })
  }
  const forget = (handle: object): void => {
    registry.unregister(handle)
    held?.delete(handle)
  }
  return { watch, hold, forget }
}
