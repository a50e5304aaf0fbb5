/**
 * A carrier that keeps its process alive while it has something to do, as sockets do: while it listens, connects, or
 * has a connection open. Only the default world needs it.
 *
 * @module
 */
import type { P2PAddress } from '../core/address.ts'
import type { CarrierCapabilities, CarrierConnection, CarrierEndpoint, CarrierTarget } from '../core/carrier.ts'

/** Begins to keep the process alive; the result ends it. */
export type Hold = () => () => void

/** The decorator; see the module's comment. */
export class HeldEndpoint implements CarrierEndpoint {
  readonly capabilities: CarrierCapabilities
  /** Set by whoever uses the endpoint. */
  onIncoming: (connection: CarrierConnection) => void = () => {}
  readonly #endpoint: CarrierEndpoint
  readonly #hold: Hold
  #releaseListening: (() => void) | undefined

  constructor(endpoint: CarrierEndpoint, hold: Hold) {
    this.#endpoint = endpoint
    this.#hold = hold
    this.capabilities = endpoint.capabilities
    endpoint.onIncoming = (connection): void => {
      this.#holdWhileOpen(connection)
      this.onIncoming(connection)
    }
  }

  async connect(target: CarrierTarget): Promise<CarrierConnection> {
    const release = this.#hold()
    try {
      const connection = await this.#endpoint.connect(target)
      this.#holdWhileOpen(connection)
      return connection
    } finally {
      release()
    }
  }

  setAlpns(alpns: readonly string[]): void {
    this.#endpoint.setAlpns(alpns)
    if (alpns.length > 0) this.#releaseListening ??= this.#hold()
    else this.#stopListening()
  }

  address(): P2PAddress {
    return this.#endpoint.address()
  }

  watchAddress(listener: () => void): Disposable {
    return this.#endpoint.watchAddress(listener)
  }

  boundAddresses(): readonly string[] {
    return this.#endpoint.boundAddresses()
  }

  async close(): Promise<void> {
    const release = this.#hold()
    try {
      await this.#endpoint.close()
    } finally {
      this.#stopListening()
      release()
    }
  }

  #stopListening(): void {
    this.#releaseListening?.()
    this.#releaseListening = undefined
  }

  #holdWhileOpen(connection: CarrierConnection): void {
    const release = this.#hold()
    // `closed` never rejects.
    void connection.closed.then(release)
  }
}
