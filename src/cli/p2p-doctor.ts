#!/usr/bin/env node
/**
 * The command `p2p-doctor`: what a node on iroh would find out about the network here.
 *
 * @module
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { describeNetwork } from '../core/network-report.ts'
import type { NetworkReport } from '../core/network-report.ts'
import { IrohP2P } from '../iroh/index.ts'
import type { IrohCreateOptions } from '../iroh/index.ts'
import { readText, UsageError } from './arguments.ts'

const USAGE = `usage: p2p-doctor [--relay URL]... [--reflector TICKET]... [...]

Opens a node on iroh as an application would, asks its relays and reflectors, and prints what it has found out. Without
--relay it asks iroh's own relays, or what P2P_RELAY_MODE names. Ends with 1 when nobody could reach the node: no relay has
it, and nobody sees it.

  --relay URL         a relay, with ?token=… if it wants one; repeatable; or: disabled
  --relay-root FILE   an authority that may vouch for relays, in PEM; repeatable; native door only
  --reflector TICKET  a node that says where it sees others; repeatable
  --bind IP:PORT      a local address, for one of each IP version; repeatable
  --binding NAME      native or official
  --json              print JSON
`

/** Errors by their words, and the address as its ticket. */
function toJson(report: NetworkReport): string {
  const { address, reflectors, ...rest } = report
  const shown = reflectors.map(({ relay, id, observed, rttMs, error }) => ({
    relay,
    id,
    observed,
    rttMs,
    error: error?.message,
  }))
  const { direct, relays } = address
  return JSON.stringify({ ...rest, ticket: address.toTicket(), direct, relayUrls: relays, reflectors: shown }, null, 2)
}

function isReachable({ relays, publicAddresses }: NetworkReport): boolean {
  return (
    publicAddresses.length > 0 || relays.some(({ state, home }) => home && state !== 'denied' && state !== 'detached')
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      relay: { type: 'string', multiple: true },
      'relay-root': { type: 'string', multiple: true },
      reflector: { type: 'string', multiple: true },
      bind: { type: 'string', multiple: true },
      binding: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const { relay, reflector, bind, binding } = values
  if (binding !== undefined && binding !== 'native' && binding !== 'official') {
    throw new UsageError(`--binding is native or official, not ${binding}`)
  }
  if (relay && relay.length > 1 && relay.includes('disabled')) throw new UsageError('--relay disabled stands alone')
  const relayRoots = await Promise.all((values['relay-root'] ?? []).map((path) => readText('relay-root', path)))
  const options: IrohCreateOptions = {
    relay: relay?.[0] === 'disabled' ? 'disabled' : relay,
    reflectors: reflector,
    bind,
    binding,
    relayTimeoutMs: 6_000,
    ...(relayRoots.length > 0 && { relayRoots }),
  }
  const node = await IrohP2P.create(options)
  try {
    const report = await node.networkReport()
    process.stdout.write(values.json ? `${toJson(report)}\n` : describeNetwork(report))
    if (!isReachable(report)) process.exitCode = 1
  } finally {
    await node.close()
  }
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
  process.stderr.write(`p2p-doctor: ${error instanceof Error ? error.message : String(error)}\n`)
  if (isUsage) process.stderr.write(USAGE)
  process.exitCode = isUsage ? 2 : 1
})
