#!/usr/bin/env node
/**
 * The command `p2p-relay`: a relay for iroh endpoints.
 *
 * @module
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { RelayServer, serveMetrics } from '../relay/index.ts'
import { count, readText, UsageError } from './arguments.ts'
import { readAccess } from './relay-access.ts'
import { startReflectors } from './relay-reflectors.ts'

const USAGE = `usage: p2p-relay [--port PORT] [--host ADDRESS] [--cert FILE --key FILE] [...]

A relay for iroh endpoints. The first Ctrl-C or SIGTERM ends it gracefully, the second at once; SIGHUP reads
its files again: the certificate, and who may use it; whoever may not any more is cut off.

  --port PORT          the TCP port (443 with a certificate, else 3340)
  --host ADDRESS       the address to listen on (all)
  --cert FILE          the certificate and its chain, in PEM; with it the relay speaks https
  --key FILE           the certificate's key, in PEM
  --allow ID           only these node ids are served; repeatable
  --allow-file FILE    and those of this file, one a line
  --deny ID            these are not; repeatable
  --deny-file FILE     nor those of this file
  --tokens FILE        clients need a token of this file, one a line
  --rate BYTES         what is taken of one client a second, in the long run (no limit)
  --burst BYTES        and at once (as --rate)
  --max-connections N  (10000)
  --per-address N      connections of one address (256)
  --reflector-port PORT    tell nodes the address they are seen from, on this UDP
                       port, or IP:PORT; needs iroh. Twice, and best at two
                       addresses, to tell kinds of NATs apart
  --reflector-address IP   where nodes reach the reflectors, when not at the name
                       of this relay; repeatable
  --metrics            answer GET /metrics, to everybody
  --metrics-port PORT  answer it over http on a port of its own
  --metrics-host ADDRESS   and this address (127.0.0.1)
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      cert: { type: 'string' },
      key: { type: 'string' },
      allow: { type: 'string', multiple: true },
      'allow-file': { type: 'string' },
      deny: { type: 'string', multiple: true },
      'deny-file': { type: 'string' },
      tokens: { type: 'string' },
      rate: { type: 'string' },
      burst: { type: 'string' },
      'max-connections': { type: 'string' },
      'per-address': { type: 'string' },
      'reflector-port': { type: 'string', multiple: true },
      'reflector-address': { type: 'string', multiple: true },
      metrics: { type: 'boolean', default: false },
      'metrics-port': { type: 'string' },
      'metrics-host': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const { cert, key, host } = values
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--cert and --key go together')
  if (values.burst !== undefined && values.rate === undefined) throw new UsageError('--burst needs --rate')
  const metricsPort = count('metrics-port', values['metrics-port'])
  const metricsHost = values['metrics-host']
  if (metricsHost !== undefined && metricsPort === undefined)
    throw new UsageError('--metrics-host needs --metrics-port')
  const readTls = async (): Promise<{ cert: string; key: string } | undefined> => {
    if (cert === undefined || key === undefined) return undefined
    return { cert: await readText('cert', cert), key: await readText('key', key) }
  }
  const [tls, admission] = [await readTls(), await readAccess(values)]
  const rate = count('rate', values.rate)
  const burst = count('burst', values.burst)
  const maxConnections = count('max-connections', values['max-connections'])
  const maxConnectionsPerAddress = count('per-address', values['per-address'])
  const reflectors = await startReflectors(host, values['reflector-port'] ?? [], values['reflector-address'])
  const relay = await RelayServer.start({
    port: count('port', values.port) ?? (tls ? 443 : 3340),
    ...(host !== undefined && { host }),
    ...(tls && { tls }),
    ...admission,
    ...(rate !== undefined && {
      rateLimit: { bytesPerSecond: rate, ...(burst !== undefined && { burstBytes: burst }) },
    }),
    limits: {
      ...(maxConnections !== undefined && { maxConnections }),
      ...(maxConnectionsPerAddress !== undefined && { maxConnectionsPerAddress }),
    },
    reflectors: reflectors.offers,
    metrics: values.metrics,
  }).catch(async (error: unknown) => {
    await reflectors.close()
    throw error
  })
  const metrics =
    metricsPort === undefined
      ? undefined
      : await serveMetrics(relay, { port: metricsPort, host: metricsHost }).catch(async (error: unknown) => {
          await Promise.all([relay.close(), reflectors.close()])
          throw error
        })
  process.stdout.write(`relay on ${relay.url}${metrics ? `, metrics on ${metrics.url}` : ''}\n`)
  let isEnding = false
  const end = (): void => {
    if (isEnding) process.exit(1)
    isEnding = true
    void Promise.all([relay.close({ reconnectWithinMs: 2000 }), reflectors.close(), metrics?.close()])
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  const renew = async (): Promise<void> => {
    const renewed = await readTls()
    if (renewed) relay.setCertificate(renewed)
  }
  const admit = async (): Promise<void> => {
    const cutOff = await relay.setAdmission(await readAccess(values))
    process.stdout.write(`who may use the relay is read again; ${cutOff} connections cut off\n`)
  }
  const complain = (error: unknown): void => {
    process.stderr.write(`p2p-relay: ${String(error)}; what was there before stays in use\n`)
  }
  // One after the other, so that what was read last counts; a certificate that is none keeps nobody's token alive.
  let reading = Promise.resolve()
  process.on('SIGHUP', () => {
    reading = reading.then(admit).catch(complain).then(renew).catch(complain)
  })
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
  process.stderr.write(`p2p-relay: ${error instanceof Error ? error.message : String(error)}\n`)
  if (isUsage) process.stderr.write(USAGE)
  process.exitCode = isUsage ? 2 : 1
})
