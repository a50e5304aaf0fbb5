/**
 * The state of a virtual internet as tables of text, for people.
 *
 * @module
 */
import type { DropCounts } from './kinds.ts'
import type { LinkSnapshot } from './link.ts'
import type { NatMappingSnapshot } from './nat-table.ts'
import type { NetworkSnapshot } from './netstat.ts'

/** A table with a title; rows shorter than the head are filled up. */
export interface TextTable {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** Rows of one table that are printed; the others are counted. */
const MAX_ROWS = 100

/** The tables of a snapshot: hosts, mappings, firewalls, busy or broken links, partitions. */
export function networkTables(snapshot: NetworkSnapshot): readonly TextTable[] {
  const { packets, dropped } = snapshot
  const all = `${packets.sent} sent, ${packets.delivered} delivered, ${packets.underWay} under way`
  const tables = [
    { title: `packets: ${all}, ${packets.dropped} dropped${reasons(dropped)}`, head: [], rows: [] },
    hostTable(snapshot),
    mappingTable(
      'NAT mappings',
      snapshot.nats.map(({ lan, mappings }) => ({ lan, mappings })),
    ),
    mappingTable(
      'firewalls',
      snapshot.firewalls.map(({ lan, exchanges }) => ({ lan, mappings: exchanges })),
    ),
    linkTable(snapshot.links),
    partitionTable(snapshot),
  ]
  return tables.filter(({ rows, head }) => head.length === 0 || rows.length > 0)
}

/** Tables as text, in columns. */
export function formatTables(tables: readonly TextTable[]): string {
  return tables.map((table) => formatTable(table)).join('\n\n')
}

function formatTable({ title, head, rows }: TextTable): string {
  if (head.length === 0) return title
  const shown = [head, ...rows.slice(0, MAX_ROWS)]
  const widths = head.map((_, column) => Math.max(...shown.map((row) => (row[column] ?? '').length)))
  const lines = shown.map((row) =>
    widths
      .map((width, column) => (row[column] ?? '').padEnd(width))
      .join('  ')
      .trimEnd(),
  )
  const more = rows.length > MAX_ROWS ? [`… and ${rows.length - MAX_ROWS} more`] : []
  return [title, ...lines, ...more].map((line, i) => (i === 0 ? line : `  ${line}`)).join('\n')
}

function hostTable({ interfaces }: NetworkSnapshot): TextTable {
  const rows = interfaces.flatMap(({ name, ip, ip6, lan, isUp, sockets }) => {
    const first = [name, [ip, ip6].filter(Boolean).join(' '), lan ?? 'public', isUp ? 'up' : 'DOWN']
    const ports = sockets.map((it) => [
      `${it.protocol} ${portOf(it.address)}`,
      `${it.sentPackets}`,
      `${it.receivedPackets}`,
    ])
    const [head = ['-', '', ''], ...others] = ports
    return [[...first, ...head], ...others.map((port) => ['', '', '', ''].concat(port))]
  })
  return { title: 'hosts', head: ['interface', 'address', 'network', 'state', 'socket', 'sent', 'received'], rows }
}

function mappingTable(
  title: string,
  nats: readonly { readonly lan: string; readonly mappings: readonly NatMappingSnapshot[] }[],
): TextTable {
  const rows = nats.flatMap(({ lan, mappings }) =>
    mappings.map(({ protocol, inside, outside, peers, expiresInMs }) => {
      const left = expiresInMs === Number.POSITIVE_INFINITY ? 'forwarded' : `${(expiresInMs / 1000).toFixed(1)} s`
      const others = peers.length > 3 ? ` and ${peers.length - 3} more` : ''
      return [lan, protocol, inside, outside, left, (peers.slice(0, 3).join(' ') || 'anybody') + others]
    }),
  )
  return { title, head: ['LAN', 'proto', 'inside', 'outside', 'expires in', 'lets in'], rows }
}

function linkTable(links: readonly LinkSnapshot[]): TextTable {
  const rows = links
    .filter(
      ({ isActive, dropped, queuedBytes, corruptedPackets }) =>
        !isActive || queuedBytes > 0 || corruptedPackets > 0 || Object.keys(dropped).length > 0,
    )
    .map((link) => {
      const queue = link.queuedBytes > 0 ? `${link.queuedBytes} B, ${link.queuedMs.toFixed(1)} ms` : '-'
      const state = link.isActive ? 'up' : 'DOWN'
      const dropped = reasons(link.dropped).slice(2) || '-'
      return [
        `${link.from} > ${link.to}`,
        state,
        `${link.sentPackets}`,
        queue,
        dropped,
        `${link.corruptedPackets || '-'}`,
      ]
    })
  const title = `links: ${links.length}, of which wait, have dropped or corrupted, or are down:`
  return { title, head: ['link', 'state', 'packets', 'queue', 'dropped', 'corrupted'], rows }
}

function partitionTable({ partitions }: NetworkSnapshot): TextTable {
  const rows = partitions.map(({ id, groupA, groupB, direction }) => [
    `${id}`,
    names(groupA),
    direction === 'both' ? '<-/->' : '-/->',
    groupB ? names(groupB) : 'everybody else',
  ])
  return { title: 'partitions', head: ['number', 'from', '', 'to'], rows }
}

function names(group: readonly string[]): string {
  return group.length > 5 ? `${group.slice(0, 5).join(' ')} and ${group.length - 5} more` : group.join(' ')
}

/** `: 3 loss, 1 no-host`, or nothing. */
function reasons(dropped: DropCounts): string {
  const list = Object.entries(dropped).map(([reason, count]) => `${count} ${reason}`)
  return list.length > 0 ? `: ${list.join(', ')}` : ''
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1)
}
