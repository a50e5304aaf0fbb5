/**
 * Which route a method and a path belong to, by rou3: static segments before `:params` before wildcards.
 *
 * @module
 */
import { addRoute, compareRoutes, createRouter, findRoute, routeNodeKeys } from 'rou3'
import { invalidConfiguration } from '../core/config.ts'
import type { P2PParams } from './request.ts'
import { decodeParam } from './target.ts'

/** A route that was found. */
export interface RouteMatch<T> {
  readonly value: T
  /** Decoded; undefined when they cannot be decoded safely, which is the caller's fault. */
  readonly params: P2PParams | undefined
}

interface Known {
  readonly method: string
  readonly pattern: string
}

/** The routes of one router. */
export class RouteTable<T> {
  readonly #rou3 = createRouter<T>()
  /** Routes that share a node of the tree, and so could be the same. */
  readonly #known = new Map<string, Known[]>()
  readonly #methods = new Set<string>()

  /** @throws P2PError `invalid-configuration` for a duplicate, or a pattern that is none */
  check(method: string, pattern: string): void {
    for (const key of this.#keys(pattern)) {
      for (const known of this.#known.get(key) ?? []) {
        if (known.method !== method || compareRoutes(known.pattern, pattern) !== 'equal') continue
        throw invalidConfiguration(
          'route',
          `${method} ${pattern}`,
          `there is the route ${method} ${known.pattern} already`,
        )
      }
    }
  }

  /** Adds a route that was checked. */
  add(method: string, pattern: string, value: T): void {
    addRoute(this.#rou3, method, pattern, value)
    this.#methods.add(method)
    for (const key of this.#keys(pattern)) {
      const sharing = this.#known.get(key)
      if (sharing) sharing.push({ method, pattern })
      else this.#known.set(key, [{ method, pattern }])
    }
  }

  /** The route for a canonical path; a GET route answers HEAD too. */
  find(method: string, path: string): RouteMatch<T> | undefined {
    const found = findRoute(this.#rou3, method, path)
    if (!found) return method === 'HEAD' ? this.find('GET', path) : undefined
    return { value: found.data, params: decodeParams(found.params) }
  }

  /** The methods that there are routes for at a path, in the order of their first registration. */
  allowed(path: string): string[] {
    const methods = [...this.#methods].filter((method) => findRoute(this.#rou3, method, path))
    if (methods.includes('GET') && !methods.includes('HEAD')) methods.push('HEAD')
    return methods
  }

  #keys(pattern: string): string[] {
    try {
      return routeNodeKeys(pattern)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message.replace(/^rou3: /, '') : 'it is no pattern'
      throw invalidConfiguration('route', pattern, why)
    }
  }
}

const NO_PARAMS: P2PParams = Object.freeze(Object.create(null) as Record<string, string>)

function decodeParams(raw: Record<string, string> | undefined): P2PParams | undefined {
  if (!raw) return NO_PARAMS
  const params = Object.create(null) as Record<string, string>
  for (const name of Object.keys(raw)) {
    // rou3 repeats an unnamed wildcard under `_`, as its older versions called it.
    if (name === '_' && raw['0'] !== undefined) continue
    const value = decodeParam(raw[name] as string)
    if (value === undefined) return undefined
    params[name] = value
  }
  return params
}
