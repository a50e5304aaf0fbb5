/**
 * Loading modules afresh, with everything of the application that they import.
 *
 * @module
 */
import * as nodeModule from 'node:module'
import { ambientScope } from './ambient/scope.ts'
import type { AmbientHost } from './ambient/scope.ts'
import { instanceUrl, resolve } from './fresh-hooks.ts'

/** What this thread knows about fresh modules. */
interface Fresh {
  instances: number
  /** The loading before the next one: one after the other, as what runs meanwhile is taken for the host's. */
  last: Promise<unknown>
}

const FRESH = Symbol.for('@moosicbox/p2p/fresh-modules/1')

/** Installs the hooks, the first time. */
function fresh(): Fresh {
  const scope = globalThis as { [FRESH]?: Fresh }
  if (scope[FRESH]) return scope[FRESH]
  const { registerHooks } = nodeModule as unknown as { readonly registerHooks?: (hooks: object) => void }
  // From Node 22.15 on hooks run in this thread.
  if (registerHooks) registerHooks({ resolve })
  // Run from its sources, this library is loaded by something else than Node, which has its own way.
  else if (import.meta.url.endsWith('.js')) nodeModule.register('./fresh-hooks.js', import.meta.url)
  return (scope[FRESH] = { instances: 0, last: Promise.resolve() })
}

/**
 * Loads an instance of the module at `url`, and of all modules of the application that it imports. What they do while
 * they are loaded they do on the globals of `host`, where it has any.
 */
export async function importFresh(url: URL, host: AmbientHost): Promise<{ readonly default?: unknown }> {
  const state = fresh()
  const before = state.last
  const loading = (async (): Promise<{ readonly default?: unknown }> => {
    await before.catch(() => {})
    const scope = ambientScope()
    const outside = scope.host
    if (host.isVirtual) scope.host = (): AmbientHost => host
    try {
      return (await import(instanceUrl(url, ++state.instances))) as { readonly default?: unknown }
    } finally {
      scope.host = outside
    }
  })()
  state.last = loading
  return loading
}
