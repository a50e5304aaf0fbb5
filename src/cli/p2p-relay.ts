#!/usr/bin/env node
/**
 * The command `p2p-relay`: a relay for iroh endpoints.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { P2PError } from '../core/errors.ts'
import { serveReflector } from '../reflector/index.ts'
import { RelayServer } from '../relay/index.ts'
import type { RelayReflector } from '../relay/index.ts'

const USAGE = `usage: p2p-relay [--port PORT] [--host ADDRESS] [--cert FILE --key FILE] [...]

A relay for iroh endpoints. The first Ctrl-C or SIGTERM ends it gracefully, the second at once; SIGHUP reads the
certificate again.

  --port PORT          the TCP port (443 with a certificate, else 3340)
  --host ADDRESS       the address to listen on (all)
  --cert FILE          the certificate and its chain, in PEM; with it the relay speaks https
  --key FILE           the certificate's key, in PEM
  --allow ID           only these node ids are served; repeatable
  --deny ID            these are not; repeatable
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
`

/** Nodes that one reflector serves at a time. */
const MAX_REFLECTED = 10_000

class UsageError extends Error {}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${text}`)
  return Number(text)
}

async function readText(name: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw P2PError.of('io', `--${name}: ${path} cannot be read: ${why}`, { path }, { cause })
  }
}

interface Reflectors {
  readonly offers: readonly RelayReflector[]
  close(): Promise<void>
}

/** As it is written before a port. */
function bracketed(ip: string): string {
  return ip.includes(':') && !ip.startsWith('[') ? `[${ip}]` : ip
}

/** A node of its own for each port, whose only use is to say where others are seen from. */
async function startReflectors(
  host: string | undefined,
  ports: readonly string[],
  addresses: readonly string[] | undefined,
): Promise<Reflectors> {
  if (ports.length === 0 && addresses) throw new UsageError('--reflector-address needs --reflector-port')
  if (ports.length === 0) return { offers: [], close: () => Promise.resolve() }
  // A relay alone does without it.
  const { IrohP2P } = await import('../iroh/index.ts')
  const nodes: InstanceType<typeof IrohP2P>[] = []
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()))
  }
  try {
    const offers: RelayReflector[] = []
    for (const text of ports) {
      const [, ip, number] = /^(.+):([^:]*)$/.exec(text) ?? [undefined, undefined, text]
      const port = count('reflector-port', number) ?? 0
      const all = host === undefined ? ['0.0.0.0', '[::]'] : [bracketed(host)]
      const hosts = ip === undefined ? all : [bracketed(ip)]
      const limits = { maxConnections: MAX_REFLECTED, acceptBacklog: 1024 }
      const node = await IrohP2P.create({ relay: 'disabled', bind: hosts.map((ip) => `${ip}:${port}`), limits })
      nodes.push(node)
      const listener = await serveReflector(node)
      const bound = Number(listener.localAddr.slice(listener.localAddr.lastIndexOf(':') + 1))
      offers.push({
        id: node.localNodeId(),
        port: bound,
        // At an address of its own it is nowhere else.
        ...(ip !== undefined && { addresses: [`${bracketed(ip)}:${bound}`] }),
        ...(ip === undefined && addresses && { addresses: addresses.map((one) => `${bracketed(one)}:${bound}`) }),
      })
    }
    return { offers, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      cert: { type: 'string' },
      key: { type: 'string' },
      allow: { type: 'string', multiple: true },
      deny: { type: 'string', multiple: true },
      tokens: { type: 'string' },
      rate: { type: 'string' },
      burst: { type: 'string' },
      'max-connections': { type: 'string' },
      'per-address': { type: 'string' },
      'reflector-port': { type: 'string', multiple: true },
      'reflector-address': { type: 'string', multiple: true },
      metrics: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const { cert, key, allow, deny, host } = values
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--cert and --key go together')
  if (values.burst !== undefined && values.rate === undefined) throw new UsageError('--burst needs --rate')
  const readTls = async (certFile: string, keyFile: string): Promise<{ cert: string; key: string }> => ({
    cert: await readText('cert', certFile),
    key: await readText('key', keyFile),
  })
  const tls = cert !== undefined && key !== undefined ? await readTls(cert, key) : undefined
  const tokens =
    values.tokens === undefined
      ? undefined
      : (await readText('tokens', values.tokens)).split(/\s*\n\s*/).filter((line) => line.trim() !== '')
  const rate = count('rate', values.rate)
  const burst = count('burst', values.burst)
  const maxConnections = count('max-connections', values['max-connections'])
  const maxConnectionsPerAddress = count('per-address', values['per-address'])
  const reflectors = await startReflectors(host, values['reflector-port'] ?? [], values['reflector-address'])
  const relay = await RelayServer.start({
    port: count('port', values.port) ?? (tls ? 443 : 3340),
    ...(host !== undefined && { host }),
    ...(tls && { tls }),
    access: { ...(allow && { allow }), ...(deny && { deny }) },
    ...(tokens && { tokens: tokens.map((token) => token.trim()) }),
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
  process.stdout.write(`relay on ${relay.url}\n`)
  let isEnding = false
  const end = (): void => {
    if (isEnding) process.exit(1)
    isEnding = true
    void Promise.all([relay.close({ reconnectWithinMs: 2000 }), reflectors.close()])
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  process.on('SIGHUP', () => {
    if (cert === undefined || key === undefined) return
    readTls(cert, key)
      .then((renewed) => relay.setCertificate(renewed))
      .catch((error: unknown) => process.stderr.write(`p2p-relay: ${String(error)}; the old one stays in use\n`))
  })
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
  process.stderr.write(`p2p-relay: ${error instanceof Error ? error.message : String(error)}\n`)
  if (isUsage) process.stderr.write(USAGE)
  process.exitCode = isUsage ? 2 : 1
})
