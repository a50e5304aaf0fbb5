/**
 * What a relay counts.
 *
 * @module
 */

/** Counters since the start, but for `clients` and `connections`, which are of now. Bytes are those of datagrams' frames. */
export interface RelayMetrics {
  /** Clients that are accepted and connected now. */
  readonly clients: number
  /** TCP connections open now, whatever they are for. */
  readonly connections: number
  /** Connections dropped for `maxConnections` or `maxConnectionsPerAddress`. */
  readonly connectionsRefused: number
  /** Clients accepted. */
  readonly accepted: number
  /** Clients turned away: by access list, callback or token, or for a wrong signature; or cut off when rules changed. */
  readonly denied: number
  /** Clients cut off for what the protocol does not allow, before or after they were accepted. */
  readonly protocolErrors: number
  /** Handshakes that took too long. */
  readonly handshakeTimeouts: number
  /** Clients cut off for not answering a ping, or for not reading. */
  readonly clientTimeouts: number
  /** Frames with datagrams that came in, and their bytes. */
  readonly packetsReceived: number
  readonly bytesReceived: number
  /** Those that went out. */
  readonly packetsSent: number
  readonly bytesSent: number
  /** Dropped: nobody of that id is here. */
  readonly packetsUnknown: number
  /** Dropped: too many wait for the destination. */
  readonly packetsOverflowed: number
  /** Bytes that wait for clients now. */
  readonly queuedBytes: number
  /** How often a client was made to wait by the rate limit. */
  readonly rateLimited: number
  /** HTTP requests other than for `/relay`. */
  readonly httpRequests: number
}

/** The counters while they count. */
export type RelayCounters = { -readonly [Name in keyof RelayMetrics]: number }

/** All at 0. */
export function newCounters(): RelayCounters {
  return {
    clients: 0,
    connections: 0,
    connectionsRefused: 0,
    accepted: 0,
    denied: 0,
    protocolErrors: 0,
    handshakeTimeouts: 0,
    clientTimeouts: 0,
    packetsReceived: 0,
    bytesReceived: 0,
    packetsSent: 0,
    bytesSent: 0,
    packetsUnknown: 0,
    packetsOverflowed: 0,
    queuedBytes: 0,
    rateLimited: 0,
    httpRequests: 0,
  }
}

const GAUGES: readonly string[] = ['clients', 'connections', 'queuedBytes']

/** The text format of Prometheus, version 0.0.4. */
export function prometheusText(metrics: RelayMetrics): string {
  let text = ''
  for (const [name, value] of Object.entries(metrics)) {
    const isGauge = GAUGES.includes(name)
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    const full = `p2p_relay_${snake}${isGauge ? '' : '_total'}`
    text += `# TYPE ${full} ${isGauge ? 'gauge' : 'counter'}\n${full} ${value}\n`
  }
  return text
}
