/**
 * Resolves the modules that a fresh module imports so that they are fresh too: all of the application's own, and none
 * of those in `node_modules`, of this library, or of Node.
 *
 * Loaded by Node's module loader, on Node 20 in a thread of its own.
 *
 * @module
 */

/** The part of a URL that tells instances of one module apart. */
const INSTANCE = 'p2p-instance'

/** Where this library's own code lies. */
const OWN = new URL('../', import.meta.url).href

interface Resolved {
  readonly url: string
  readonly format?: string | null | undefined
}

function freshen(resolved: Resolved, parentUrl: string | undefined): Resolved {
  if (parentUrl?.includes(INSTANCE) !== true || !resolved.url.startsWith('file:')) return resolved
  const instance = new URL(parentUrl).searchParams.get(INSTANCE)
  // Node keeps one instance of each CommonJS and JSON module, whatever its URL says.
  if (instance === null || resolved.format === 'commonjs' || resolved.format === 'json') return resolved
  if (resolved.url.includes('/node_modules/') || resolved.url.startsWith(OWN)) return resolved
  const url = new URL(resolved.url)
  url.searchParams.set(INSTANCE, instance)
  return { ...resolved, url: url.href }
}

interface Context {
  readonly parentURL?: string | undefined
}

/** Node's hook: called for every import. */
export function resolve(
  specifier: string,
  context: Context,
  nextResolve: (specifier: string, context: Context) => Resolved | Promise<Resolved>,
): Resolved | Promise<Resolved> {
  const resolved = nextResolve(specifier, context)
  return resolved instanceof Promise
    ? resolved.then((known) => freshen(known, context.parentURL))
    : freshen(resolved, context.parentURL)
}

/** `url` as an instance of its own. */
export function instanceUrl(url: URL, instance: number): string {
  const fresh = new URL(url)
  fresh.searchParams.set(INSTANCE, String(instance))
  return fresh.href
}
