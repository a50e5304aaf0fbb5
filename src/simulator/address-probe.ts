/**
 * How a node learns the address at which it is seen from outside: it asks the UDP port of a relay, as iroh does with
 * QUIC address discovery. The first answer takes two round trips, as the handshake there does; then a question every
 * 25 s keeps the mapping of a NAT on the way alive, and notices when it has changed.
 *
 * @module
 */
import type { Kernel, KernelEvent } from './kernel.ts'
import { describeRelayMessage } from './relay-wire.ts'

/** iroh's port for it. */
export const ADDRESS_PROBE_PORT = 7_842
/** A QUIC Initial is padded to this; later questions are as small as a PING. */
const FIRST_BYTES = 1_200
const NEXT_BYTES = 40
/** As the keep-alive of iroh's connection for it. */
const REFRESH_US = 25_000_000
/** What QUIC waits for a first answer, doubled each time; after three times nobody is there (iroh: 3 s for all probes). */
const FIRST_TIMEOUT_US = 999_000
const MAX_TRIES = 2

/** A question. `token` comes back with the answer, so that answers to others' questions are none. */
export class AddressProbe {
  readonly token: number
  readonly isFirst: boolean
  readonly sizeBytes: number

  constructor(token: number, isFirst: boolean) {
    this.token = token
    this.isFirst = isFirst
    this.sizeBytes = isFirst ? FIRST_BYTES : NEXT_BYTES
    Object.freeze(this)
  }

  /** Appends what it is, for traces. */
  describe(items: number[]): void {
    describeRelayMessage(items, 'address-probe')
  }
}

/** An answer; `observed` is the `ip:port` that the question came from, undefined for the first, which only shakes hands. */
export class AddressReport {
  readonly token: number
  readonly observed: string | undefined
  readonly sizeBytes: number

  constructor(probe: AddressProbe, source: string) {
    this.token = probe.token
    this.observed = probe.isFirst ? undefined : source
    this.sizeBytes = probe.sizeBytes
    Object.freeze(this)
  }

  /** Appends what it is, for traces. */
  describe(items: number[]): void {
    describeRelayMessage(items, 'address-report')
  }
}

/** What asking needs of its endpoint. */
export interface AddressProberHost {
  readonly kernel: Kernel
  /** Sends over the socket whose address is in question. */
  transmit(probe: AddressProbe): void
  nextToken(): number
  /** This node is seen at `observed`. */
  onObserved(observed: string): void
  /** Nobody answers, for a reason that cannot be told: UDP is blocked, or the relay is gone. */
  onSilence(): void
}

/** Asks one relay again and again, until it is stopped. */
export class AddressProber {
  readonly #host: AddressProberHost
  #timer: KernelEvent | undefined
  #token = -1
  #sentUs = 0
  #tries = 0
  #isMet = false
  /** The first round trip, in microseconds; undefined before. */
  roundTripUs: number | undefined

  constructor(host: AddressProberHost) {
    this.#host = host
    this.#ask()
  }

  /** An answer has come. */
  receive(report: AddressReport): void {
    if (report.token !== this.#token) return
    this.roundTripUs = this.#host.kernel.nowUs() - this.#sentUs
    this.#tries = 0
    this.#token = -1
    if (this.#isMet) {
      this.#schedule(REFRESH_US, () => this.#ask())
      if (report.observed !== undefined) this.#host.onObserved(report.observed)
    } else {
      this.#isMet = true
      this.#ask()
    }
  }

  /** Asks now, from the beginning: the network has changed. */
  restart(): void {
    this.#isMet = false
    this.#tries = 0
    this.#ask()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#token = -1
  }

  #ask(): void {
    const { kernel } = this.#host
    this.#token = this.#host.nextToken()
    this.#sentUs = kernel.nowUs()
    this.#host.transmit(new AddressProbe(this.#token, !this.#isMet))
    this.#schedule(FIRST_TIMEOUT_US * (this.#tries === 0 ? 1 : 2), () => this.#onTimeout())
  }

  #onTimeout(): void {
    if (++this.#tries < MAX_TRIES) {
      this.#ask()
      return
    }
    this.#tries = 0
    this.#isMet = false
    this.roundTripUs = undefined
    this.#schedule(REFRESH_US, () => this.#ask())
    this.#host.onSilence()
  }

  #schedule(delayUs: number, callback: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#host.kernel.schedule(delayUs, () => {
      this.#timer = undefined
      callback()
    })
  }
}
