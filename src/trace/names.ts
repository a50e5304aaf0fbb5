/**
 * What the numbers in a trace stand for, as far as it has been read.
 *
 * @module
 */
import type { TraceFields, TraceRecord } from '../core/trace.ts'

/** A packet under way. */
export interface TracedPacket {
  readonly sent: TraceFields<'sent'>
  readonly sentUs: number
  /** Numbers of addresses, as they are by now. */
  from: number
  to: number
  /** Without copies 1. */
  flights: number
}

/** One side of a connection. */
export interface TracedConnection {
  readonly host: number
  readonly role: 'client' | 'server'
  /** The node id of the other side, once it is known. */
  peer: string
}

/** Names and packets under way. Feed it every record, in order, before asking it about that record. */
export class TraceNames {
  readonly #nodes = new Map<number, string>()
  readonly #hosts = new Map<number, string>()
  readonly #hostsById = new Map<string, number>()
  readonly #nodesOfRouters = new Set<number>()
  readonly #addresses = new Map<number, string>()
  readonly #connections = new Map<number, TracedConnection>()
  readonly #packets = new Map<number, TracedPacket>()
  /** A packet whose last flight has ended with the record that was seen last. */
  #ended: number | undefined

  /** Takes note of a record. */
  see(record: TraceRecord): void {
    if (this.#ended !== undefined) this.#packets.delete(this.#ended)
    this.#ended = undefined
    switch (record.kind) {
      case 'node':
        this.#nodes.set(record.node, record.name)
        break
      case 'router':
        this.#nodesOfRouters.add(record.inside).add(record.outside)
        break
      case 'host':
        this.#hosts.set(record.host, record.name)
        this.#hostsById.set(record.id, record.host)
        break
      case 'address':
        this.#addresses.set(record.address, record.text)
        break
      case 'connection':
        this.#connections.set(record.connection, { host: record.host, role: record.role, peer: '' })
        break
      case 'connected': {
        const connection = this.#connections.get(record.connection)
        if (connection) connection.peer = record.peer
        break
      }
      case 'sent':
        this.#packets.set(record.packet, {
          sent: record,
          sentUs: record.timeUs,
          from: record.from,
          to: record.to,
          flights: 1,
        })
        break
      case 'copied': {
        const packet = this.#packets.get(record.packet)
        if (packet) packet.flights++
        break
      }
      case 'translated': {
        const packet = this.#packets.get(record.packet)
        if (packet) [packet.from, packet.to] = [record.from, record.to]
        break
      }
      case 'delivered':
      case 'dropped': {
        const packet = this.#packets.get(record.packet)
        if (packet && --packet.flights === 0) this.#ended = record.packet
        break
      }
      default:
        break
    }
  }

  /** A packet that is under way, or whose way has ended with the record that was seen last. */
  packet(number: number): TracedPacket | undefined {
    return this.#packets.get(number)
  }

  connection(number: number): TracedConnection | undefined {
    return this.#connections.get(number)
  }

  node(number: number): string {
    return this.#nodes.get(number) ?? `node ${number}`
  }

  /** `the scenario` for -1. */
  host(number: number): string {
    return this.#hosts.get(number) ?? (number < 0 ? 'the scenario' : `host ${number}`)
  }

  address(number: number): string {
    return this.#addresses.get(number) ?? `address ${number}`
  }

  /** The host whose nodes have that id unless they are given another. */
  hostOfId(id: string): number | undefined {
    return this.#hostsById.get(id)
  }

  /** The name of that host, else the beginning of the id. */
  id(id: string): string {
    const host = this.hostOfId(id)
    return host === undefined ? id.slice(0, 10) : this.host(host)
  }
}
