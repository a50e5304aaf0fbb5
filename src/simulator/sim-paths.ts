/**
 * The paths of a connection, as a simulation sees them.
 *
 * @module
 */
import type { P2PPath } from '../core/connection.ts'
import type { TransportConnection } from './transport/connection.ts'

/** A path as a simulation sees it. */
export interface SimulatorPath extends P2PPath {
  /** How much may be in flight: the congestion window. */
  readonly windowBytes: number
  /** How much was sent and is not acknowledged yet. */
  readonly inFlightBytes: number
  /** The largest datagram of the transport that it is known to carry. */
  readonly mtuBytes: number
}

/** The paths that data may take. */
export function pathsOf(transport: TransportConnection): readonly SimulatorPath[] {
  return transport.inspect().paths.flatMap((path) => {
    const { routes, selected, open, smoothedRttUs, windowBytes, inFlightBytes, mtuBytes } = path
    const [route] = routes
    if (!route || !open) return []
    const rttMs = smoothedRttUs === undefined ? undefined : smoothedRttUs / 1000
    return [{ kind: route.kind, remote: route.address, selected, rttMs, windowBytes, inFlightBytes, mtuBytes }]
  })
}
