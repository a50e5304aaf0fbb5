/**
 * Datagrams of one connection: nothing is read from the carrier, which bounds what waits there, unless somebody asks.
 *
 * @module
 */
import type { CarrierConnection } from '../carrier.ts'
import { P2PError } from '../errors.ts'
import type { Traffic } from './traffic.ts'
import { AsyncQueue } from './waiting.ts'

/** What a channel is made of. */
export interface DatagramChannelOptions {
  readonly backend: string
  readonly carrier: CarrierConnection
  readonly traffic: Traffic
  /** The error for whoever waits when the carrier has no more. */
  readonly ended: () => Promise<P2PError>
}

/** Sends and receives; all handles share one. */
export class DatagramChannel {
  readonly #options: DatagramChannelOptions
  /** Holds one at most: what came for somebody who had given up. */
  readonly #arrived = new AsyncQueue<Uint8Array>()
  #waiting = 0
  #reading = false
  #sent = 0
  #received = 0

  constructor(options: DatagramChannelOptions) {
    this.#options = options
  }

  /** Datagrams given to the carrier. */
  get sent(): number {
    return this.#sent
  }

  /** Datagrams taken by the application. */
  get received(): number {
    return this.#received
  }

  /** @throws P2PError `message-too-large`, `connection-closed`, `unsupported` */
  send(bytes: Uint8Array): void {
    const { backend, carrier, traffic } = this.#options
    const size = bytes.length
    const max = carrier.maxDatagramBytes()
    if (max === 0) {
      const message = `${carrier.remoteId.fmtShort()} takes no datagrams; send messages`
      throw P2PError.of('unsupported', message, { what: 'datagrams', backend })
    }
    if (size > max) {
      const message = `a datagram of ${size} B does not fit, the path carries ${max} B: send less, or a message`
      throw P2PError.of('message-too-large', message, { size, max })
    }
    carrier.sendDatagram(bytes)
    this.#sent++
    traffic.bytesSent += size
  }

  async recv(signal: AbortSignal | undefined): Promise<Uint8Array> {
    const next = this.#arrived.next(signal, 'recvDatagram')
    this.#waiting++
    const served = (): void => void this.#waiting--
    // Before anybody else hears of it, so that no read is begun for one who has just been served.
    next.then(served, served)
    void this.#read()
    const bytes = await next
    this.#received++
    this.#options.traffic.bytesReceived += bytes.length
    return bytes
  }

  async #read(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      while (this.#waiting > 0 && this.#arrived.length === 0) {
        this.#arrived.push(await this.#options.carrier.readDatagram())
        // Those whom it serves are counted off in a microtask.
        await Promise.resolve()
      }
    } catch {
      this.#arrived.close(await this.#options.ended())
    } finally {
      this.#reading = false
    }
  }
}
