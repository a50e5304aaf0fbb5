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

/** The watch of this process, when `P2P_LEAK_WARNINGS` asks for it. */
export function leakWatch(env: Readonly<Record<string, string | undefined>> = process.env): LeakWatch | undefined {
  const asked = env['P2P_LEAK_WARNINGS']
  if (asked === undefined || asked === '' || asked === '0') return undefined
  const registry = new FinalizationRegistry<Watched>(warn)
  const watch: LeakWatch['watch'] = (handle, what, isOpen) => {
    const place: { stack?: string } = {}
    Error.captureStackTrace(place, watch)
    // A text at once: until it is one, a stack holds on to the objects whose methods are in it, the handle among them.
    const [, ...frames] = place.stack?.split('\n') ?? []
    registry.register(handle, { what, isOpen, where: frames.join('\n') }, handle)
  }
  return { watch, forget: (handle) => void registry.unregister(handle) }
}
