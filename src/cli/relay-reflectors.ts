/**
 * The reflectors of `p2p-relay`.
 *
 * @module
 */
import { serveReflector } from '../reflector/index.ts'
import type { RelayReflector } from '../relay/index.ts'
import { count, UsageError } from './arguments.ts'

/** Nodes that one reflector serves at a time. */
const MAX_REFLECTED = 10_000

interface Reflectors {
  readonly offers: readonly RelayReflector[]
  close(): Promise<void>
}

/** As it is written before a port. */
function bracketed(ip: string): string {
  return ip.includes(':') && !ip.startsWith('[') ? `[${ip}]` : ip
}

/** A node of its own for each port, whose only use is to say where others are seen from. */
export async function startReflectors(
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
