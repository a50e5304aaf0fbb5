/**
 * A relay's metrics on a port of their own, for whoever watches it and for nobody else.
 *
 * @module
 */
import { createServer } from 'node:http'
import { withPort } from '../core/address.ts'
import { checkOptions } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { prometheusText } from './metrics.ts'
import type { RelayMetrics } from './metrics.ts'
import { checkPort } from './settings.ts'

/** Where metrics are served. */
export interface RelayMetricsOptions {
  /** The TCP port; 0 for any that is free. */
  readonly port: number
  /** The address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined
}

/** Metrics that are served. */
export interface RelayMetricsServer {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves what `relay` counts at `GET /metrics`, over http, to whoever can reach the address: this machine alone, unless it
 * is told otherwise.
 *
 * @throws P2PError `network` when the port cannot be had
 */
export async function serveMetrics(
  relay: { metrics(): RelayMetrics },
  options: RelayMetricsOptions,
): Promise<RelayMetricsServer> {
  checkOptions('serveMetrics', options, ['port', 'host'])
  const { host = '127.0.0.1' } = options
  const wanted = checkPort(options.port)
  const server = createServer((request, response) => {
    const isMetrics = request.method === 'GET' && request.url === '/metrics'
    response.writeHead(isMetrics ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4', connection: 'close' })
    response.end(isMetrics ? prometheusText(relay.metrics()) : 'not found\n')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(P2PError.of('network', `metrics cannot be served on ${host}:${wanted}: ${cause.message}`, {}, { cause }))
    })
    server.listen({ port: wanted, host }, resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : wanted
  return {
    port,
    url: `http://${withPort(host, port)}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
