/**
 * One accepted client: its bounded queue, its pings, its rate.
 *
 * @module
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { P2PError } from '../core/errors.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import { Bucket } from './bucket.ts'
import { encodeFrame, encodeStatus, examine, FRAME, STATUS } from './frames.ts'
import type { RelayVersion } from './frames.ts'
import type { RelayCounters } from './metrics.ts'
import type { RelayAccessRequest } from './options.ts'
import type { RelaySettings } from './settings.ts'

/** Frames that are no packets, waiting for one client; they are a few bytes each, and a client that floods us loses them. */
const MAX_CONTROL_FRAMES = 64
const SEND = { binary: true, compress: false } as const
/** The code with which a connection ends that broke the rules (RFC 6455, 7.4.1). */
const POLICY_VIOLATION = 1008

/** What a client tells the relay. */
interface ClientEvents {
  /** It wants `frame` to be sent on. */
  onPacket(client: RelayClient, frame: Buffer): void
  /** It is gone; called once. */
  onGone(client: RelayClient): void
}

/** What a client is made of. */
export interface ClientParts {
  /** What it was let in for. */
  readonly asked: RelayAccessRequest
  readonly version: RelayVersion
  readonly socket: WebSocket
  /** What is below `socket`. */
  readonly transport: Duplex
  readonly settings: RelaySettings
  readonly counters: RelayCounters
  readonly events: ClientEvents
}

/** An accepted client. */
export class RelayClient {
  readonly asked: RelayAccessRequest
  readonly idBytes: Uint8Array
  /** The id as the relay's map knows it: a byte a character, the cheapest to read from a packet. */
  readonly key: string
  readonly version: RelayVersion
  readonly #parts: ClientParts
  readonly #bucket: Bucket | undefined
  #control: Buffer[] = []
  #packets: Buffer[] = []
  #packetBytes = 0
  #blockedSinceMs: number | undefined
  #heardMs: number
  #ping: { readonly payload: Uint8Array; readonly sentMs: number } | undefined
  #pause: RuntimeTimer | undefined
  #wasRateLimited = false
  #isGone = false

  constructor(parts: ClientParts) {
    this.#parts = parts
    this.asked = parts.asked
    this.version = parts.version
    this.idBytes = parts.asked.id.asBytes()
    this.key = Buffer.from(this.idBytes).toString('latin1')
    const { rateLimit, runtime } = parts.settings
    this.#heardMs = runtime.now()
    this.#bucket = rateLimit && new Bucket(rateLimit, this.#heardMs)
    const { socket, transport } = parts
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary))
    // WebSocket's own pings; answered through the same bounded queue.
    socket.on('ping', () => {
      this.#heardMs = runtime.now()
      if (this.#blockedSinceMs === undefined) socket.pong()
    })
    transport.on('drain', () => this.#flush())
    socket.on('close', () => this.#gone())
  }

  /** Sends a frame that is no packet; dropped when too many wait. */
  sendControl(frame: Buffer): void {
    if (this.#isGone) return
    if (this.#blockedSinceMs === undefined) this.#write(frame)
    else if (this.#control.length < MAX_CONTROL_FRAMES) this.#control.push(frame)
  }

  /** Tells a {@link STATUS}, in the words of the client's version. */
  sendStatus(status: number): void {
    const frame = encodeStatus(status, this.version)
    if (frame) this.sendControl(frame)
  }

  /** Sends a packet; false when too many wait. */
  sendPacket(frame: Buffer): boolean {
    const { settings, counters } = this.#parts
    if (this.#isGone) return false
    if (this.#blockedSinceMs === undefined) {
      this.#write(frame)
    } else {
      const { queuePackets, queueBytes, totalQueueBytes } = settings.limits
      if (this.#packets.length >= queuePackets) return false
      if (this.#packetBytes + frame.length > queueBytes) return false
      if (counters.queuedBytes + frame.length > totalQueueBytes) return false
      // A small packet would keep the whole chunk alive that it was read in.
      this.#packets.push(frame.length * 2 < frame.buffer.byteLength ? Buffer.from(frame) : frame)
      this.#packetBytes += frame.length
      counters.queuedBytes += frame.length
      return true
    }
    counters.packetsSent++
    counters.bytesSent += frame.length
    return true
  }

  /** Looks after pings and time-outs; called every now and then. */
  tick(nowMs: number): void {
    const { limits, runtime } = this.#parts.settings
    if (this.#blockedSinceMs !== undefined && nowMs - this.#blockedSinceMs > limits.writeTimeoutMs) {
      this.#timeOut()
      return
    }
    // What a paused client has answered is not read yet.
    if (this.#pause) return
    if (this.#ping && nowMs - this.#ping.sentMs > limits.pongTimeoutMs) {
      this.#timeOut()
    } else if (!this.#ping && nowMs - this.#heardMs >= limits.pingIntervalMs) {
      const payload = runtime.randomBytes(8)
      this.#ping = { payload, sentMs: nowMs }
      this.sendControl(encodeFrame(FRAME.ping, payload))
    }
  }

  /** Ends the connection in order: what waits is sent first, as far as the client reads. */
  close(code: number, reason: string): void {
    this.#parts.socket.close(code, reason)
  }

  /** Ends it at once. */
  terminate(): void {
    this.#parts.socket.terminate()
  }

  #timeOut(): void {
    this.#parts.counters.clientTimeouts++
    this.terminate()
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const { counters, events, settings, socket } = this.#parts
    if (this.#isGone || socket.readyState !== socket.OPEN) return
    const nowMs = settings.runtime.now()
    this.#heardMs = nowMs
    try {
      if (!isBinary) throw P2PError.of('protocol', 'the client sent text', {})
      switch (examine(data)) {
        case 'send':
          counters.packetsReceived++
          counters.bytesReceived += data.length
          this.#meter(data.length, nowMs)
          events.onPacket(this, data)
          break
        case 'ping':
          this.#meter(data.length, nowMs)
          this.sendControl(encodeFrame(FRAME.pong, data.subarray(1)))
          break
        case 'pong':
          if (this.#ping && data.subarray(1).equals(this.#ping.payload)) this.#ping = undefined
          break
        default:
      }
    } catch (error) {
      if (!P2PError.is(error, 'protocol')) throw error
      counters.protocolErrors++
      this.close(POLICY_VIOLATION, error.message.slice(0, 120))
    }
  }

  /** Counts what came in, and stops reading for as long as it was too much: TCP then tells the client. */
  #meter(bytes: number, nowMs: number): void {
    const waitMs = this.#bucket?.take(bytes, nowMs) ?? 0
    if (waitMs <= 0) return
    const { counters, settings, socket } = this.#parts
    if (!this.#pause) {
      counters.rateLimited++
      socket.pause()
    }
    this.#pause?.cancel()
    this.#pause = settings.runtime.setTimer(waitMs, () => {
      this.#pause = undefined
      this.#ping = undefined
      socket.resume()
    })
    if (this.#wasRateLimited) return
    this.#wasRateLimited = true
    this.sendStatus(STATUS.rateLimited)
  }

  #write(frame: Buffer): void {
    const { socket, transport, settings } = this.#parts
    socket.send(frame, SEND)
    if (transport.writableNeedDrain) this.#blockedSinceMs = settings.runtime.now()
  }

  #flush(): void {
    const { counters } = this.#parts
    this.#blockedSinceMs = undefined
    let sent = 0
    for (; sent < this.#control.length && this.#blockedSinceMs === undefined; sent++) {
      this.#write(this.#control[sent] as Buffer)
    }
    this.#control.splice(0, sent)
    let packets = 0
    for (; packets < this.#packets.length && this.#blockedSinceMs === undefined; packets++) {
      const frame = this.#packets[packets] as Buffer
      this.#packetBytes -= frame.length
      counters.queuedBytes -= frame.length
      counters.packetsSent++
      counters.bytesSent += frame.length
      this.#write(frame)
    }
    this.#packets.splice(0, packets)
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#pause?.cancel()
    this.#parts.counters.queuedBytes -= this.#packetBytes
    this.#packetBytes = 0
    this.#packets = []
    this.#control = []
    this.#parts.events.onGone(this)
  }
}
