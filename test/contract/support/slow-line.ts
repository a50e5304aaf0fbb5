/**
 * A line of a given latency between two endpoints of real iroh in one process: a proxy over loopback that keeps every
 * datagram for a while. The one endpoint has IPv4 alone and the other IPv6 alone, so that there is no way between them but
 * through it, whatever addresses they tell each other.
 */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { once } from 'node:events'

type Family = 'udp4' | 'udp6'

const LOOPBACK: Readonly<Record<Family, string>> = { udp4: '127.0.0.1', udp6: '::1' }
/** What a burst of one window needs. */
const BUFFER_BYTES = 4_194_304

interface Waiting {
  readonly dueMs: number
  readonly bytes: Uint8Array
}

/** One direction: datagrams leave in the order in which they came, each after the latency. */
class Direction {
  readonly #latencyMs: number
  readonly #send: (bytes: Uint8Array) => void
  readonly #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(latencyMs: number, send: (bytes: Uint8Array) => void) {
    this.#latencyMs = latencyMs
    this.#send = send
  }

  push(bytes: Uint8Array): void {
    this.#waiting.push({ dueMs: performance.now() + this.#latencyMs, bytes })
    if (!this.#timer) this.#wait()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }

  #wait(): void {
    const [first] = this.#waiting
    // Never early: timers of Node are, by less than a millisecond.
    this.#timer = first && setTimeout(() => this.#release(), Math.max(0, Math.ceil(first.dueMs - performance.now())))
  }

  #release(): void {
    const nowMs = performance.now()
    while ((this.#waiting[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      this.#send((this.#waiting.shift() as Waiting).bytes)
    }
    this.#wait()
  }
}

async function bound(family: Family): Promise<Socket> {
  const socket = createSocket({ type: family, recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES })
  socket.bind(0, LOOPBACK[family])
  await once(socket, 'listening')
  return socket
}

/** A line between an endpoint with IPv4 and one with IPv6. */
export class SlowLine {
  readonly #sockets: Readonly<Record<Family, Socket>>
  readonly #directions: readonly Direction[]
  /** Where the endpoints are; known once each has bound, or been heard of. */
  readonly #peers: Partial<Record<Family, number>> = {}

  private constructor(latencyMs: number, sockets: Readonly<Record<Family, Socket>>) {
    this.#sockets = sockets
    const to = (family: Family): Direction =>
      new Direction(latencyMs, (bytes) => {
        const port = this.#peers[family]
        if (port !== undefined) sockets[family].send(bytes, port, LOOPBACK[family])
      })
    const toFour = to('udp4')
    const toSix = to('udp6')
    this.#directions = [toFour, toSix]
    const isFrom = (family: Family, { port }: RemoteInfo): boolean => (this.#peers[family] ??= port) === port
    sockets.udp4.on('message', (bytes, from) => isFrom('udp4', from) && toSix.push(bytes))
    sockets.udp6.on('message', (bytes, from) => isFrom('udp6', from) && toFour.push(bytes))
    // A peer that is gone answers with ICMP, which is no concern of the line.
    for (const socket of [sockets.udp4, sockets.udp6]) socket.on('error', () => {})
  }

  static async open(latencyMs: number): Promise<SlowLine> {
    return new SlowLine(latencyMs, { udp4: await bound('udp4'), udp6: await bound('udp6') })
  }

  /** Says at which of its addresses an endpoint is; returns where the other finds it: at the far end of the line. */
  attach(family: Family, addresses: readonly string[]): string {
    const own = addresses.find((address) => address.startsWith(family === 'udp4' ? '127.' : '[::1]:'))
    if (own === undefined) throw new Error(`no ${family} on loopback among ${addresses.join(', ')}`)
    this.#peers[family] = Number(own.slice(own.lastIndexOf(':') + 1))
    const { port } = this.#sockets[family === 'udp4' ? 'udp6' : 'udp4'].address()
    return family === 'udp4' ? `[::1]:${port}` : `127.0.0.1:${port}`
  }

  close(): void {
    for (const direction of this.#directions) direction.stop()
    for (const socket of [this.#sockets.udp4, this.#sockets.udp6]) socket.close()
  }
}
