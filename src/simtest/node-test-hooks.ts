/**
 * Resolves `node:test` to its stand-in. Loaded by Node's module loader, on Node 20 in a thread of its own.
 *
 * @module
 */
import * as nodeModule from 'node:module'

const STUB = new URL(import.meta.url.endsWith('.ts') ? './node-test-stub.ts' : './node-test-stub.js', import.meta.url)

type Next = (specifier: string, context: object) => object | Promise<object>

/** Node's hook: called for every import. */
export function resolve(specifier: string, context: object, nextResolve: Next): object | Promise<object> {
  if (specifier === 'node:test') return { url: STUB.href, format: 'module', shortCircuit: true }
  return nextResolve(specifier, context)
}

/** From here on `node:test` is its stand-in, for whatever this thread imports. */
export function replaceNodeTest(): void {
  const { registerHooks } = nodeModule as unknown as { readonly registerHooks?: (hooks: object) => void }
  // From Node 22.15 on hooks run in this thread.
  if (registerHooks) registerHooks({ resolve })
  else nodeModule.register(import.meta.url)
}
