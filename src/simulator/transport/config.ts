/**
 * The transport's constants and their sources. The defaults are those of iroh 1.4 on noq-proto 1.4, whose behaviour the
 * simulated transport is to have.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'

/** Settings of one connection. Times in whole microseconds, sizes in bytes of UDP payload. */
export interface TransportConfig {
  /** The round-trip time assumed before the first measurement (RFC 9002, 6.2.2). @default 333000 */
  readonly initialRttUs: number
  /** The congestion window of a new path. @default 12000 */
  readonly initialWindowBytes: number
  /** The largest datagram sent before a larger one has been shown to arrive. @default 1200 */
  readonly mtuBytes: number
  /** The largest datagram that the search for the path's MTU tries; `mtuBytes` for no search. @default 1452 */
  readonly maxMtuBytes: number
  /** How long after a search the next one begins. @default 600000000 */
  readonly mtuSearchIntervalUs: number
  /** How long no larger datagram is tried on a path that has become narrower. @default 60000000 */
  readonly blackHoleCooldownUs: number
  /** How long an acknowledgement may wait for more packets (RFC 9000, 13.2). @default 25000 */
  readonly maxAckDelayUs: number
  /** A connection that hears nothing for this long is over; the lower of both sides counts. @default 30000000 */
  readonly idleTimeoutUs: number
  /** After this much silence a PING is sent; Infinity for never. @default 5000000 */
  readonly keepAliveUs: number
  /** A path that hears nothing for this long is closed when there is another; twice that for one over a relay. @default 15000000 */
  readonly pathIdleTimeoutUs: number
  /** Unread bytes the peer may have sent on one stream. @default 1250000 */
  readonly streamWindowBytes: number
  /** Unread bytes the peer may have sent on all streams together. @default 2^53 - 1, which is no limit */
  readonly connectionWindowBytes: number
  /** Written bytes that are not acknowledged yet; over it `write` accepts nothing. @default 10000000 */
  readonly sendWindowBytes: number
  /** Datagrams that wait to be sent, with 32 bytes for each; more push out the oldest. @default 1048576 */
  readonly datagramQueueBytes: number
  /** Two-way streams the peer may have open at a time. @default 100 */
  readonly maxBidiStreams: number
  /** One-way streams the peer may have open at a time. @default 100 */
  readonly maxUniStreams: number
  /** A packet is lost when one sent this many later has arrived (RFC 9002, 6.1.1). @default 3 */
  readonly packetThreshold: number
  /** Probe time-outs without an answer that make persistent congestion (RFC 9002, 7.6). @default 3 */
  readonly persistentCongestionThreshold: number
  /** The longest step between two probes; twice that over a relay, 1.5 round trips where that is more. @default 1000000 */
  readonly maxProbeStepUs: number
  /**
   * What a host takes from a packet's arrival until its answers leave and its application hears of it: deciphering, a
   * turn of the event loop. Packets that arrive meanwhile are handled together. @default 40
   */
  readonly processingUs: number
  /** What it takes in addition when it has slept for 3 ms or more. @default 140 */
  readonly wakeUs: number
  /** What it takes in addition for each flight of the handshake: keys and signatures. @default 320 */
  readonly handshakeProcessingUs: number
  /** What a server takes in addition for the first of them, with which it takes in a connection. @default 280 */
  readonly acceptUs: number
  /** What a client goes on working after its last flight, until its application has the connection. @default 150 */
  readonly handoverUs: number
  /** Whether packets are spread over the round trip. @default true */
  readonly pacing: boolean
  /** Whether packet numbers are skipped at random, against optimistic acknowledgements. @default true */
  readonly skipPacketNumbers: boolean
  /**
   * What a host's timers count in: they fire at the first whole multiple after they are due, and as much later as the
   * host's last activity was after one, as tokio's do when it waits in `epoll`. On average that is one unit late; 1 for
   * exact timers. @default 1000
   */
  readonly timerGranularityUs: number
}

/** The defaults of {@link TransportConfig}. */
export const DEFAULT_TRANSPORT_CONFIG: TransportConfig = Object.freeze({
  initialRttUs: 333_000,
  initialWindowBytes: 12_000,
  mtuBytes: 1_200,
  maxMtuBytes: 1_452,
  mtuSearchIntervalUs: 600_000_000,
  blackHoleCooldownUs: 60_000_000,
  maxAckDelayUs: 25_000,
  idleTimeoutUs: 30_000_000,
  keepAliveUs: 5_000_000,
  pathIdleTimeoutUs: 15_000_000,
  streamWindowBytes: 1_250_000,
  connectionWindowBytes: Number.MAX_SAFE_INTEGER,
  sendWindowBytes: 10_000_000,
  datagramQueueBytes: 1_048_576,
  maxBidiStreams: 100,
  maxUniStreams: 100,
  packetThreshold: 3,
  persistentCongestionThreshold: 3,
  maxProbeStepUs: 1_000_000,
  processingUs: 40,
  wakeUs: 140,
  handshakeProcessingUs: 320,
  acceptUs: 280,
  handoverUs: 150,
  pacing: true,
  skipPacketNumbers: true,
  timerGranularityUs: 1_000,
})

/** The smallest datagram every path carries (RFC 9000, 14). */
export const MIN_MTU_BYTES = 1_200
/** The finest step of loss timers (RFC 9002, 6.1.2). */
export const GRANULARITY_US = 1_000
/** What a side may say of how long it delays acknowledgements (RFC 9000, 18.2). */
export const MAX_ACK_DELAY_US = 16_384_000
/** An endpoint whose address is not proven gets at most this multiple of what it sent (RFC 9000, 8.1). */
export const AMPLIFICATION_LIMIT = 3

/** What may be less than 1, or must be more. */
const SMALLEST: ReadonlyMap<string, number> = new Map<keyof TransportConfig, number>([
  ['mtuBytes', MIN_MTU_BYTES],
  ['maxMtuBytes', MIN_MTU_BYTES],
  ['maxBidiStreams', 0],
  ['maxUniStreams', 0],
  ['processingUs', 0],
  ['wakeUs', 0],
  ['handshakeProcessingUs', 0],
  ['acceptUs', 0],
  ['handoverUs', 0],
])

/**
 * `overrides` on top of {@link DEFAULT_TRANSPORT_CONFIG}.
 *
 * @throws P2PError `invalid-configuration` for a number that makes no sense
 */
export function resolveTransportConfig(overrides: Partial<TransportConfig> = {}): TransportConfig {
  const config: TransportConfig = { ...DEFAULT_TRANSPORT_CONFIG, ...overrides }
  // All nodes of a world mostly have the same, which then is one object.
  if (lastResolved && isSame(config, lastResolved)) return lastResolved
  for (const [name, value] of Object.entries(config)) {
    if (typeof value === 'boolean') continue
    const infinite = value === Number.POSITIVE_INFINITY && (name === 'keepAliveUs' || name === 'idleTimeoutUs')
    const smallest = SMALLEST.get(name) ?? 1
    if (name === 'maxAckDelayUs' && value >= MAX_ACK_DELAY_US) {
      const message = `transport.maxAckDelayUs = ${value}: less than ${MAX_ACK_DELAY_US}, as no peer accepts more`
      throw P2PError.of('invalid-configuration', message, { setting: 'transport.maxAckDelayUs', value })
    }
    if (!infinite && !(Number.isSafeInteger(value) && value >= smallest)) {
      throw P2PError.of(
        'invalid-configuration',
        `transport.${name} = ${value}: a whole number of at least ${smallest}`,
        {
          setting: `transport.${name}`,
          value,
        },
      )
    }
  }
  lastResolved = config
  return config
}

let lastResolved: TransportConfig | undefined

function isSame(a: TransportConfig, b: TransportConfig): boolean {
  for (const name of Object.keys(a) as (keyof TransportConfig)[]) if (a[name] !== b[name]) return false
  return true
}
