/**
 * Routers: which handler answers which request, and what runs around it.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { isMethod } from './codec.ts'
import type { P2PRequest } from './request.ts'
import { P2PResponse } from './response.ts'
import { RouteTable } from './route-table.ts'
import { canonicalPath } from './target.ts'

/** Answers a request. */
export type P2PHandler = (request: P2PRequest) => P2PResponse | Promise<P2PResponse>

/** Runs around handlers: `next()` is the answer of what is further in. Call it at most once. */
export type P2PMiddleware = (
  request: P2PRequest,
  next: () => Promise<P2PResponse>,
) => P2PResponse | Promise<P2PResponse>

/** A part of an application: routes, and what must run for them. */
export interface P2PService {
  /** Adds the service's routes; paths are relative to the prefix it is used under. */
  registerRoutes(router: P2PRouter): void
  /** Called by `serve` before the first request. */
  start?(): void | Promise<void>
  /** Called when the server has closed, after the last request. */
  stop?(): void | Promise<void>
}

const NOTHING: readonly never[] = []

interface Layer {
  readonly prefix: readonly string[]
  readonly middleware: P2PMiddleware
}

/** A router in which a route stands, and where it is mounted. */
interface Mount {
  readonly router: P2PRouter
  readonly prefix: string
}

interface Route {
  readonly method: string
  readonly path: string
  readonly handler: P2PHandler
  /** The routers between this one and the handler, from the outside in; this one is not among them. */
  readonly inside: readonly Mount[]
}

/** A prefix without a slash at its end, so that a path can follow. */
function normalPrefix(prefix: string): string {
  if (!prefix.startsWith('/')) throw invalidConfiguration('prefix', prefix, 'a prefix begins with "/"')
  if (/[*(){}?]/.test(prefix)) throw invalidConfiguration('prefix', prefix, 'a prefix has segments and :params only')
  return prefix.replace(/\/+$/, '')
}

function join(prefix: string, path: string): string {
  return prefix === '' ? path : path === '/' ? prefix : prefix + path
}

function segmentsOf(prefix: string): string[] {
  return prefix === '' ? [] : (canonicalPath(prefix) ?? prefix).split('/').slice(1)
}

function startsWith(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((segment, i) => segment === path[i] || (segment.startsWith(':') && (path[i] ?? '') !== ''))
}

function isService(part: object): part is P2PService {
  return 'registerRoutes' in part && typeof part.registerRoutes === 'function'
}

/**
 * Routes requests to handlers.
 *
 * Patterns are rou3's: `/tracks/:id` takes one segment, `/files/*` the rest (as `params['0']`, which may be empty),
 * `/files/**:path` one segment or more (as `params.path`); `:id(\\d+)` holds a param to an expression, `:id?` makes it
 * optional. A static segment goes before a param, a param before a wildcard, whatever the order of registration. A
 * slash at the end makes no difference. Params are percent-decoded; paths with `.` or `..` segments, and wildcards that
 * decode to such, are answered with 400. A path without a route is answered with 404, one with routes for other
 * methods with 405 and `allow`; a GET route answers HEAD, without a body. OPTIONS is a method like any other.
 *
 * @example
 * ```ts
 * import { P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * const router = new P2PRouter()
 *   .use(async (req, next) => {
 *     const res = await next()
 *     res.headers.set('x-served-to', req.remoteNodeId.fmtShort())
 *     return res
 *   })
 *   .route('GET', '/tracks/:id', (req) => P2PResponse.json({ id: req.params.id }))
 * ```
 */
export class P2PRouter {
  readonly #table = new RouteTable<Route>()
  readonly #routes: Route[] = []
  readonly #layers: Layer[] = []
  readonly #services: P2PService[] = []
  readonly #mounts: Mount[] = []
  /** Routers that this one is used in. */
  readonly #parents: Mount[] = []

  /**
   * Adds a route.
   *
   * @throws P2PError `invalid-configuration` when there is such a route already, here or where this router is used, or
   * when the method or path makes no sense
   */
  route(method: string, path: string, handler: P2PHandler): this {
    const upper = method.toUpperCase()
    if (!isMethod(upper)) throw invalidConfiguration('method', method, 'a method is a word such as GET')
    if (!path.startsWith('/')) throw invalidConfiguration('route', path, 'the path of a route begins with "/"')
    if (typeof handler !== 'function') throw invalidConfiguration('handler', handler, 'a handler is a function')
    const route: Route = { method: upper, path, handler, inside: [] }
    this.#check([route])
    this.#add([route])
    return this
  }

  /**
   * Adds middleware, a service or another router; with a prefix, for the paths below it. Middleware runs in the order
   * of `use`, around every route of this router whenever it was added, and around 404 and 405 as well; that of a router
   * used in here runs around its own routes, further in.
   *
   * @throws P2PError `invalid-configuration`, as `route`
   */
  use(part: P2PMiddleware | P2PService | P2PRouter): this
  use(prefix: string, part: P2PMiddleware | P2PService | P2PRouter): this
  use(first: string | P2PMiddleware | P2PService | P2PRouter, second?: P2PMiddleware | P2PService | P2PRouter): this {
    const prefix = typeof first === 'string' ? normalPrefix(first) : ''
    const part = typeof first === 'string' ? second : first
    if (part instanceof P2PRouter) {
      this.#mount(prefix, part)
    } else if (typeof part === 'function') {
      this.#layers.push({ prefix: segmentsOf(prefix), middleware: part })
    } else if (typeof part === 'object' && isService(part)) {
      const router = new P2PRouter()
      part.registerRoutes(router)
      this.#mount(prefix, router)
      this.#services.push(part)
    } else {
      throw invalidConfiguration('use', typeof part, 'takes middleware (a function), a P2PService or a P2PRouter')
    }
    return this
  }

  /** The services in here and in the routers used in here, each once, in the order of `use`. */
  get services(): readonly P2PService[] {
    const all = new Set(this.#services)
    for (const mount of this.#mounts) for (const service of mount.router.services) all.add(service)
    return [...all]
  }

  /** Answers a request. Throws and rejects with whatever a handler or middleware does. */
  handle(request: P2PRequest): P2PResponse | Promise<P2PResponse> {
    const path = canonicalPath(request.path)
    if (path === undefined) return P2PResponse.error(400, 'The path is not valid')
    const match = this.#table.find(request.method, path)
    if (match && !match.params) return P2PResponse.error(400, 'The path is not valid')
    if (match?.params) request.params = match.params
    const innermost = match ? match.value.handler : this.#unmatched(path)
    const middleware = this.#middlewareFor(path, match?.value.inside ?? NOTHING)
    return middleware.length === 0 ? innermost(request) : run(middleware, 0, request, innermost)
  }

  /** The handler where no route is. */
  #unmatched(path: string): P2PHandler {
    return () => {
      const allowed = this.#table.allowed(path)
      if (allowed.length === 0) return P2PResponse.error(404)
      return P2PResponse.error(405, undefined, { headers: { allow: allowed.join(', ') } })
    }
  }

  #middlewareFor(path: string, inside: readonly Mount[]): readonly P2PMiddleware[] {
    if (this.#layers.length === 0 && inside.every((mount) => mount.router.#layers.length === 0)) return NOTHING
    const found: P2PMiddleware[] = []
    const segments = path.split('/').slice(1)
    for (const { router, prefix } of [{ router: this, prefix: '' }, ...inside]) {
      const below = segmentsOf(prefix)
      for (const layer of router.#layers) {
        if (startsWith(segments, [...below, ...layer.prefix])) found.push(layer.middleware)
      }
    }
    return found
  }

  #mount(prefix: string, router: P2PRouter): void {
    if (router === this || router.#contains(this)) {
      throw invalidConfiguration('use', 'P2PRouter', 'a router cannot be used inside itself')
    }
    const routes = router.#routes.map((route) => mounted(route, router, prefix))
    this.#check(routes)
    this.#add(routes)
    this.#mounts.push({ router, prefix })
    router.#parents.push({ router: this, prefix })
  }

  #contains(other: P2PRouter): boolean {
    return this.#mounts.some(({ router }) => router === other || router.#contains(other))
  }

  /** All or nothing: a duplicate anywhere leaves every router as it was. */
  #check(routes: readonly Route[]): void {
    for (const route of routes) this.#table.check(route.method, route.path)
    for (const { router, prefix } of this.#parents) {
      router.#check(routes.map((route) => mounted(route, this, prefix)))
    }
  }

  #add(routes: readonly Route[]): void {
    for (const route of routes) {
      this.#table.add(route.method, route.path, route)
      this.#routes.push(route)
    }
    for (const { router, prefix } of this.#parents) router.#add(routes.map((route) => mounted(route, this, prefix)))
  }
}

/** A route as the router sees it that uses its router under `prefix`. */
function mounted(route: Route, router: P2PRouter, prefix: string): Route {
  const inside = route.inside.map((mount) => ({ router: mount.router, prefix: prefix + mount.prefix }))
  return { ...route, path: join(prefix, route.path), inside: [{ router, prefix }, ...inside] }
}

async function run(
  middleware: readonly P2PMiddleware[],
  index: number,
  request: P2PRequest,
  innermost: P2PHandler,
): Promise<P2PResponse> {
  const current = middleware[index]
  if (!current) return innermost(request)
  let called = false
  return current(request, () => {
    if (called) {
      return Promise.reject(invalidConfiguration('next', 'called twice', 'a middleware calls next() at most once'))
    }
    called = true
    return run(middleware, index + 1, request, innermost)
  })
}
