/**
 * What one side of a connection tells a trace.
 *
 * @module
 */
import { TRACE_ENUMS } from '../../core/trace.ts'
import type { TraceFields } from '../../core/trace.ts'
import type { Kernel } from '../kernel.ts'
import type { TransportConnection } from '../transport/connection.ts'
import type { TransportClose } from '../transport/sink.ts'
import type { PacketKind } from '../transport/packet.ts'
import type { Path } from '../transport/path.ts'
import type { WindowChange } from '../transport/recovery.ts'
import type { Trace } from './trace.ts'

/** How one half of a stream ended. */
export type StreamEnd = TraceFields<'streamEnded'>['how']

/** Congestion windows are recorded at most this often, and whenever they shrink. */
const WINDOW_US = 10_000

/** See the module's comment. */
export class ConnectionTrace {
  readonly #kernel: Kernel
  readonly #trace: Trace
  readonly #id: number
  /** What was last told of each path. */
  #paths = new Map<number, string>()
  #windowPath = -1
  #windowBytes = -1
  #windowUs = 0

  constructor(kernel: Kernel, trace: Trace) {
    this.#kernel = kernel
    this.#trace = trace
    this.#id = trace.newConnection()
  }

  began(host: number, { role }: TransportConnection): void {
    this.#trace.record('connection', { connection: this.#id, host, role })
  }

  connected(transport: TransportConnection): void {
    const { remoteNode, alpn } = transport
    this.#trace.record('connected', { connection: this.#id, peer: remoteNode?.toString() ?? '', alpn })
    this.paths(transport)
  }

  closed({ by, code, reason }: TransportClose): void {
    this.#trace.record('closed', { connection: this.#id, by, code, reason })
  }

  /** Those that are new or have changed, and those that are gone. */
  paths(transport: TransportConnection): void {
    const before = this.#paths
    this.#paths = new Map()
    for (const { id, routes, open, selected } of transport.inspect().paths) {
      const [route] = routes
      if (!route) continue
      const fields = { route: route.kind, remote: route.address, open: open ? 1 : 0, selected: selected ? 1 : 0 }
      const state = Object.values(fields).join(' ')
      this.#paths.set(id, state)
      if (before.get(id) !== state) this.#trace.record('path', { connection: this.#id, path: id, ...fields })
      before.delete(id)
    }
    for (const path of before.keys()) this.#trace.record('pathClosed', { connection: this.#id, path })
  }

  window({ id, congestion, inFlightBytes, rtt }: Path): void {
    const { windowBytes } = congestion
    if (windowBytes === this.#windowBytes && id === this.#windowPath) return
    const nowUs = this.#kernel.nowUs()
    const isDue = id !== this.#windowPath || windowBytes < this.#windowBytes || nowUs - this.#windowUs >= WINDOW_US
    if (!isDue) return
    this.#windowPath = id
    this.#windowBytes = windowBytes
    this.#windowUs = nowUs
    const rttUs = rtt.hasSample ? Math.round(rtt.smoothedUs) : 0
    const fields = { windowBytes: Math.round(windowBytes), inFlightBytes, rttUs }
    this.#trace.record('window', { connection: this.#id, path: id, ...fields })
  }

  lost(path: number, kind: PacketKind, number: number, bytes: number): void {
    const space = TRACE_ENUMS.space[kind]
    this.#trace.record('lost', { connection: this.#id, path, space, number, bytes })
  }

  probe(path: number, count: number): void {
    this.#trace.record('probe', { connection: this.#id, path, count })
  }

  windowSet(path: number, windowBytes: number, thresholdBytes: number, why: WindowChange): void {
    const fields = {
      windowBytes: Math.round(windowBytes),
      thresholdBytes: thresholdBytes === Number.POSITIVE_INFINITY ? 0 : Math.round(thresholdBytes),
      why,
    }
    this.#trace.record('windowSet', { connection: this.#id, path, ...fields })
  }

  mtu(path: number, mtuBytes: number): void {
    this.#trace.record('mtu', { connection: this.#id, path, mtuBytes })
  }

  stream(stream: number, by: 'local' | 'remote'): void {
    this.#trace.record('stream', { connection: this.#id, stream, by })
  }

  streamEnded(stream: number, how: StreamEnd, by: 'local' | 'remote', code: number): void {
    this.#trace.record('streamEnded', { connection: this.#id, stream, how, by, code })
  }
}
