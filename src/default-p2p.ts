/**
 * The node of the selected backend, with the router's three functions as methods.
 *
 * @module
 */
import { BackendP2P } from '#backend'
import type { P2PAddress } from './core/address.ts'
import type { NodeId } from './core/node-id.ts'
import type { CreateOptions, P2PDiscovery } from './core/system.ts'
import { fetch, request, serve } from './router/index.ts'
import type {
  P2PApp,
  P2PClientRequest,
  P2PClientResponse,
  P2PFetchInit,
  P2PServer,
  ServeOptions,
} from './router/index.ts'

const SIMULATED_PRODUCTION =
  'NODE_ENV is production, but peers are simulated: no packet leaves this process. ' +
  'Start with `node --conditions=iroh` for the real network.'

/** Whether the process has been told; a warning a process is what `process.emitWarning` is for. */
let warned = false

/** The sources that the environment names; what none of them needs is not loaded. */
async function namedSources(): Promise<readonly P2PDiscovery[] | undefined> {
  if (BackendP2P.network !== 'real' || !process.env['P2P_DISCOVERY_MODE']) return undefined
  const { discoveryFromEnvironment } = await import('./discovery/environment.ts')
  return discoveryFromEnvironment(process.env)
}

/**
 * A node on the backend that the export condition selected.
 *
 * @example
 * ```ts
 * import { DefaultP2P, P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * const router = new P2PRouter().route('GET', '/hello/:name', (req) => P2PResponse.text(`hello, ${req.params.name}`))
 * const server = await DefaultP2P.create()
 * await server.serve(router)
 *
 * const client = await DefaultP2P.create()
 * const answer = await client.request(server.address(), { method: 'GET', path: '/hello/world' })
 * console.log(await answer.text()) // hello, world
 * await client.close()
 * await server.close()
 * ```
 */
export class DefaultP2P extends BackendP2P {
  /**
   * Creates a node. On the real network `P2P_DISCOVERY_MODE` names its sources of addresses when `discovery` is not
   * given (`docs/deployment.md`).
   *
   * @throws P2PError `invalid-configuration`, `network` (a port in use), `unsupported` (no iroh binding here)
   */
  static override async create<T>(this: new (init: never) => T, options: CreateOptions = {}): Promise<T> {
    const discovery = options.discovery ?? (await namedSources())
    const node = await super.create.call(this, { ...options, discovery })
    if (!warned && (node as BackendP2P).backend === 'simulator' && process.env['NODE_ENV'] === 'production') {
      warned = true
      process.emitWarning(SIMULATED_PRODUCTION, { code: 'P2P_SIMULATED_PRODUCTION' })
    }
    return node as T
  }

  /** Serves a router, a handler, or anything with `fetch(Request): Response` to peers. See `serve` of the router. */
  serve(app: P2PApp, options?: ServeOptions): Promise<P2PServer> {
    return serve(this, app, options)
  }

  /** Sends a request to a peer and resolves with the answer's head; the body streams. */
  request(peer: NodeId | P2PAddress | string, init: P2PClientRequest): Promise<P2PClientResponse> {
    return request(this, peer, init)
  }

  /** `fetch` as on the web, for `p2p://<id>/path`; it throws `TypeError` with the `P2PError` as `cause`. */
  fetch(url: string | URL, init?: P2PFetchInit): Promise<Response> {
    return fetch(this, url, init)
  }
}
