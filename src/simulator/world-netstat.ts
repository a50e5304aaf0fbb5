/**
 * Relays, nodes and their connections at one moment: what `netstat` shows beyond the network.
 *
 * @module
 */
import type { TextTable } from './network/index.ts'
import type { RelayClientSnapshot } from './relay-client.ts'
import type { RelaySnapshot } from './relay.ts'
import type { SimConnection } from './sim-connection.ts'
import type { SimWorld, WorldNode } from './sim-world.ts'
import type { PathSnapshot } from './transport/connection.ts'

/** One end of a connection. */
export interface ConnectionSnapshot {
  /** The name of the peer's host, or a short form of its id; undefined before it is known. */
  readonly peer: string | undefined
  readonly state: string
  readonly packetsSent: number
  readonly packetsReceived: number
  readonly packetsLost: number
  readonly paths: readonly PathSnapshot[]
}

/** A node. */
export interface NodeSnapshot {
  readonly host: string
  readonly id: string
  /** Where it says that it can be reached. */
  readonly addresses: readonly string[]
  readonly relays: readonly RelayClientSnapshot[]
  /** Datagrams that its transport's authentication has dropped: bits of them were flipped on the way. */
  readonly corruptedDatagrams: number
  /** Packets for connections that it does not have, or no longer. */
  readonly strayPackets: number
  /** Stateless resets with which it has answered them: at most one in 20 ms. */
  readonly resetsSent: number
  readonly connections: readonly ConnectionSnapshot[]
}

/** A relay, with the name of its host. */
export interface RelayHostSnapshot extends Omit<RelaySnapshot, 'url'> {
  readonly host: string
  readonly url: string
  readonly state: 'up' | 'killed' | 'off'
}

/** Everything. */
export interface WorldSnapshot {
  readonly relays: readonly RelayHostSnapshot[]
  readonly nodes: readonly NodeSnapshot[]
}

/** The state of `world` now, in the order things were added. */
export function worldSnapshot(world: SimWorld): WorldSnapshot {
  const nameOf = (id: string): string => world.hostNameOf(id) ?? `${id.slice(0, 10)}…`
  return {
    relays: world.relays.map(({ host, url, relay }) => {
      const state = !relay ? 'off' : relay.isDead ? 'killed' : 'up'
      const { forwardedPackets, droppedPackets, attachments } = relay?.snapshot() ?? NOTHING
      const named = attachments.map((each) =>
        Object.assign({}, each, { node: each.node === '' ? '' : nameOf(each.node) }),
      )
      return { host: host.name, url, state, forwardedPackets, droppedPackets, attachments: named }
    }),
    nodes: world.nodes.flatMap((node) => nodeSnapshot(node, nameOf)),
  }
}

/** The snapshot as tables for people. */
export function worldTables({ relays, nodes }: WorldSnapshot): readonly TextTable[] {
  return [
    relayTable(relays),
    attachmentTable(relays),
    nodeRelayTable(nodes),
    corruptedTable(nodes),
    strayTable(nodes),
    connectionTable(nodes),
  ].filter(({ rows }) => rows.length > 0)
}

const NOTHING = { forwardedPackets: 0, droppedPackets: 0, attachments: [] } as const

function nodeSnapshot({ host, id, endpoint }: WorldNode, nameOf: (id: string) => string): NodeSnapshot[] {
  if (!endpoint) return []
  const connections = endpoint.connections().map((connection) => connectionSnapshot(connection, nameOf))
  const { direct, relays } = endpoint.address()
  return [
    {
      host: host.name,
      id: id.toString(),
      addresses: [...direct, ...relays],
      relays: endpoint.relays(),
      corruptedDatagrams: endpoint.corruptedDatagrams,
      strayPackets: endpoint.strays.received,
      resetsSent: endpoint.strays.resetsSent,
      connections,
    },
  ]
}

function connectionSnapshot({ transport }: SimConnection, nameOf: (id: string) => string): ConnectionSnapshot {
  const { state, packetsSent, packetsReceived, packetsLost, paths } = transport.inspect()
  const peer = transport.remoteNode
  return { peer: peer && nameOf(peer.toString()), state, packetsSent, packetsReceived, packetsLost, paths }
}

function relayTable(relays: readonly RelayHostSnapshot[]): TextTable {
  return {
    title: 'relays',
    head: ['host', 'url', 'state', 'attached', 'forwarded', 'dropped'],
    rows: relays.map(({ host, url, state, attachments, forwardedPackets, droppedPackets }) => {
      const attached = attachments.filter(({ node }) => node !== '').length
      return [host, url, state, `${attached}`, `${forwardedPackets}`, `${droppedPackets}`]
    }),
  }
}

function attachmentTable(relays: readonly RelayHostSnapshot[]): TextTable {
  return {
    title: 'attached to relays',
    head: ['relay', 'node', 'from', 'queued', 'dropped', 'rtt ms', 'window', 'in flight', 'resent'],
    rows: relays.flatMap(({ host, attachments }) =>
      attachments.map(({ node, remote, queuedPackets, droppedPackets, tcp }) => [
        host,
        node,
        remote,
        `${queuedPackets}`,
        `${droppedPackets}`,
        milliseconds(tcp.rttMs),
        `${tcp.windowBytes}`,
        `${tcp.inFlightBytes}`,
        `${tcp.retransmitted}`,
      ]),
    ),
  }
}

function nodeRelayTable(nodes: readonly NodeSnapshot[]): TextTable {
  return {
    title: "nodes' relays",
    head: ['host', 'relay', 'state', 'queued', 'dropped', 'rtt ms', 'last failure'],
    rows: nodes.flatMap(({ host, relays }) =>
      relays.map(({ url, isHome, state, queuedPackets, droppedPackets, tcp, failure }) => [
        host,
        isHome ? `${url} (home)` : url,
        state,
        `${queuedPackets}`,
        `${droppedPackets}`,
        milliseconds(tcp?.rttMs),
        failure ?? '',
      ]),
    ),
  }
}

function corruptedTable(nodes: readonly NodeSnapshot[]): TextTable {
  return {
    title: "dropped by the transport's authentication",
    head: ['host', 'datagrams'],
    rows: nodes.filter((node) => node.corruptedDatagrams > 0).map((node) => [node.host, `${node.corruptedDatagrams}`]),
  }
}

function strayTable(nodes: readonly NodeSnapshot[]): TextTable {
  return {
    title: 'for connections that are not there',
    head: ['host', 'packets', 'resets sent'],
    rows: nodes
      .filter(({ strayPackets }) => strayPackets > 0)
      .map(({ host, strayPackets, resetsSent }) => [host, `${strayPackets}`, `${resetsSent}`]),
  }
}

function connectionTable(nodes: readonly NodeSnapshot[]): TextTable {
  return {
    title: 'connections',
    head: ['host', 'peer', 'state', 'path', 'to', 'rtt ms', 'window', 'in flight', 'mtu', 'sent', 'received', 'lost'],
    rows: nodes.flatMap(({ host, connections }) =>
      connections.flatMap(({ peer = '?', state, packetsSent, packetsReceived, packetsLost, paths }) =>
        paths.map(({ routes, selected, open, smoothedRttUs, windowBytes, inFlightBytes, mtuBytes }, i) => [
          ...(i === 0 ? [host, peer, state] : ['', '', '']),
          `${[...new Set(routes.map(({ kind }) => kind))].join('+')}${selected ? '*' : ''}${open ? '' : ' (unproven)'}`,
          routes.map(({ address }) => address).join(' '),
          milliseconds(smoothedRttUs === undefined ? undefined : smoothedRttUs / 1000),
          `${windowBytes}`,
          `${inFlightBytes}`,
          `${mtuBytes}`,
          ...(i === 0 ? [packetsSent, packetsReceived, packetsLost].map(String) : ['', '', '']),
        ]),
      ),
    ),
  }
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : `${Math.round(value * 10) / 10}`
}
