/**
 * Relays on a virtual internet: hosts of their own, which can crash, move and be cut off like any other.
 *
 * @module
 */
import type { HostOptions, HostProgram, SimHost } from './host.ts'
import { defaultPort, relayUrl, SimRelay } from './relay.ts'
import type { RelaySettings } from './relay.ts'

/** The relay that nodes use unless they are told otherwise; users' hosts have no colons in their names. */
export const DEFAULT_RELAY = 'relay:default'

/** How a relay is plugged in, and how it is set up. */
export interface RelayOptions extends HostOptions, RelaySettings {}

/** A relay and the host it runs on. */
export class RelayHost {
  /** The machine, which can crash, move and be cut off. */
  readonly host: SimHost
  /** @internal */
  readonly settings: RelaySettings
  #relay: SimRelay | undefined

  /** @internal `addHost` makes the host with the program it is given */
  constructor(addHost: (program: HostProgram) => SimHost, settings: RelaySettings) {
    this.settings = settings
    this.host = addHost((host) => this.#serve(host))
  }

  /** What nodes are given in `relay` to use it. */
  get url(): string {
    const { scheme = 'https', port = defaultPort(scheme) } = this.settings
    const { ip } = this.host.network
    return relayUrl(scheme, `${ip.version === 4 ? ip.text : `[${ip.text}]`}:${port}`)
  }

  /** What it does at present; undefined while it is off. */
  get relay(): SimRelay | undefined {
    return this.#relay
  }

  /**
   * Its process is killed: the machine resets all connections and refuses others, until {@link start}. A crash of the
   * host says nothing to anyone instead.
   */
  kill(): void {
    this.#relay?.kill()
  }

  /** Its process is started again; nothing is left of what it knew. Does nothing while the host is off. */
  start(): void {
    if (!this.host.isOn || !this.#relay?.isDead) return
    this.#relay.close()
    this.#serve(this.host)
  }

  /** It serves until its host loses its power, and again after a restart. */
  #serve(host: SimHost): void {
    const relay = new SimRelay({
      ...this.settings,
      kernel: host.kernel,
      network: host.network,
      host: host.index,
      name: host.name,
    })
    this.#relay = relay
    host.onPowerOff(() => {
      relay.close()
      if (this.#relay === relay) this.#relay = undefined
    })
  }
}
