/**
 * Which reflectors a relay offers: `GET /reflector` (`docs/wire.md`). A relay that offers none answers 404, as all
 * others than this project's do.
 *
 * @module
 */
import { lookup } from 'node:dns/promises'
import { P2PAddress, parseSocketAddress } from '../core/address.ts'
import { P2PError } from '../core/errors.ts'
import { NodeId } from '../core/node-id.ts'
import { getFromRelay } from './relay-http.ts'
import type { RelayHttp } from './relay-http.ts'

/** Reflectors of one relay that are used; two tell all there is to know, more help when one fails. */
const MAX_REFLECTORS = 4
/** Addresses of one reflector that are tried. */
const MAX_ADDRESSES = 8

function unusable(url: string, why: string, cause?: unknown): P2PError {
  const message = `the relay at ${url} offers reflectors that cannot be used: ${why}`
  return P2PError.of('protocol', message, {}, cause === undefined ? {} : { cause })
}

/**
 * The reflectors that the relay at `url` offers; none when it has none.
 *
 * @throws P2PError `network` or `timeout` when it does not answer, `protocol` when the answer makes no sense, `aborted`
 */
export async function askForReflectors(
  http: RelayHttp,
  url: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<readonly P2PAddress[]> {
  const { status, body } = await getFromRelay(http, url, '/reflector', timeoutMs, signal)
  if (status === 404) return []
  if (status !== 200) throw unusable(url, `its answer has status ${status}`)
  let offers: unknown
  try {
    offers = (JSON.parse(body) as { readonly reflectors?: unknown }).reflectors
  } catch (cause) {
    throw unusable(url, 'its answer is no JSON', cause)
  }
  if (!Array.isArray(offers)) throw unusable(url, 'its answer has no list of them')
  return Promise.all(offers.slice(0, MAX_REFLECTORS).map((offer) => addressOf(url, offer)))
}

/** The address of one offer: those it names, else its port where the relay itself is. */
async function addressOf(url: string, offer: unknown): Promise<P2PAddress> {
  const { id, port, addresses } = (offer ?? {}) as Readonly<Record<string, unknown>>
  if (typeof id !== 'string') throw unusable(url, 'one has no id')
  let node: NodeId
  try {
    node = NodeId.parse(id)
  } catch (cause) {
    throw unusable(url, `${JSON.stringify(id.slice(0, 80))} is no id`, cause)
  }
  if (addresses !== undefined) {
    const texts: readonly unknown[] = Array.isArray(addresses) ? addresses.slice(0, MAX_ADDRESSES) : [addresses]
    const direct = texts.map((text) => {
      if (typeof text === 'string' && (parseSocketAddress(text)?.port ?? 0) > 0) return text
      throw unusable(url, `${JSON.stringify(text)?.slice(0, 80)} is no ip:port`)
    })
    return new P2PAddress(node, direct)
  }
  if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > 65_535) throw unusable(url, 'one has no port')
  return new P2PAddress(
    node,
    (await hostsOf(url)).slice(0, MAX_ADDRESSES).map((host) => `${host}:${Number(port)}`),
  )
}

async function hostsOf(url: string): Promise<readonly string[]> {
  const host = new URL(url).hostname
  if (parseSocketAddress(`${host}:1`)) return [host]
  try {
    const found = await lookup(host, { all: true })
    return found.map(({ address, family }) => (family === 6 ? `[${address}]` : address))
  } catch (cause) {
    throw P2PError.of('network', `the host of the relay at ${url} cannot be found`, {}, { cause })
  }
}
