/**
 * Relays on a virtual internet: hosts of their own, which can crash, move and be cut off like any other.
 *
 * @module
 */
import type { SimHost } from './host.ts'
import { RELAY_PORT, SimRelay } from './relay.ts'

/** The relay that nodes use unless they are told otherwise; users' hosts have no colons in their names. */
export const DEFAULT_RELAY = 'relay:default'

/** A relay and the host it runs on. */
export interface RelayHost {
  readonly host: SimHost
  /** What nodes are given in `relay` to use it. */
  readonly url: string
}

/** The program of a relay. It serves until its host loses its power, and again after a restart. */
export function runRelay(host: SimHost): void {
  const relay = new SimRelay({ kernel: host.kernel, network: host.network, host: host.index })
  host.onPowerOff(() => relay.close())
}

/** Where the relay on `host` is reached. */
export function relayUrl(host: SimHost): string {
  return `http://${host.network.ip.toString()}:${RELAY_PORT}/`
}
