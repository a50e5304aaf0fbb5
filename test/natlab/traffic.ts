/**
 * Two streams of bytes, one each way, every byte of which is checked, and requests besides that show how long nothing
 * came. The same code runs on real nodes and on simulated ones.
 *
 * @module
 */
import { P2PError } from '@moosicbox/p2p'
import type { P2PConnection, P2PReceiveStream, P2PSendStream, P2PStream, Runtime } from '@moosicbox/p2p'
import type { PacketCounts, PathEvent, TrafficReport } from './model.ts'

const CHUNK_BYTES = 4096
const CHUNK_EVERY_MS = 20
export const REQUEST_BYTES = 100
const REQUEST_EVERY_MS = 10

/** Bytes without a pattern that a mix-up of pieces could reproduce: each is decided by its place. */
function byteAt(offset: number): number {
  let word = Math.imul((offset >>> 2) + 1, 0x9e3779b1)
  word = Math.imul(word ^ (word >>> 15), 0x85ebca6b)
  word ^= word >>> 13
  return (word >>> ((offset & 3) * 8)) & 0xff
}

/** Answers requests on a stream until its end. */
export async function answer(stream: P2PStream): Promise<void> {
  for (let part = await stream.read(REQUEST_BYTES); part !== undefined; part = await stream.read(REQUEST_BYTES)) {
    if (part.length < REQUEST_BYTES) await stream.readExactly(REQUEST_BYTES - part.length)
    await stream.write(new Uint8Array(REQUEST_BYTES))
  }
}

/** One side of an exchange. */
export class Exchange {
  readonly #connection: P2PConnection
  readonly #runtime: Runtime
  readonly #startedMs: number
  readonly #work: Promise<void>[] = []
  readonly #paths: string[] = []
  readonly #events: PathEvent[] = []
  #isStopping = false
  #sentBytes = 0
  #receivedBytes = 0
  #wrong: string | undefined
  #isComplete = false
  #requests = 0
  #stallMs = 0
  #ended: TrafficReport['ended']

  constructor(connection: P2PConnection, runtime: Runtime) {
    this.#connection = connection
    this.#runtime = runtime
    this.#startedMs = runtime.now()
    this.#notePath()
    connection.onPathChange((_paths, { kind, atMs }) => {
      this.#notePath()
      if (kind !== 'candidates') this.#events.push({ kind, atMs })
    })
    void connection.closed.then(({ by, reason, closeCode, refused }) => {
      if (this.#isComplete && this.#isStopping) return
      const code = refused ? 'refused' : closeCode === 0 ? 'connection-closed' : `connection-closed ${closeCode}`
      this.#ended ??= { code, by, reason, atMs: this.#sinceStart() }
    })
  }

  /** Asks, and sends where `streams`; resolves with the first answer. */
  async begin(streams: boolean): Promise<void> {
    this.#isComplete = !streams
    if (streams) this.#track(this.#connection.openSendStream().then((stream) => this.#send(stream)))
    const stream = await this.#connection.openStream()
    await this.#request(stream)
    this.#track(this.#ask(stream))
  }

  /** Sends on the peer's initiative. */
  respond(): void {
    this.#track(this.#connection.openSendStream().then((stream) => this.#send(stream)))
  }

  /** What the peer sends. */
  receive(stream: P2PReceiveStream): void {
    this.#track(this.#check(stream))
  }

  /** Sends no more, waits for what the peer has sent, or the connection's end, at most for `limitMs`. */
  async finish(limitMs: number): Promise<TrafficReport> {
    this.#isStopping = true
    const until = this.#runtime.sleep(limitMs)
    await Promise.race([Promise.allSettled(this.#work), until])
    // Where they have come to without anybody being told.
    if (!this.#ended) this.#notePath()
    return {
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      wrong: this.#wrong,
      stallMs: this.#stallMs,
      requests: this.#requests,
      ended: this.#ended,
      paths: this.#paths,
      events: this.#events,
      packets: this.#packets(),
      complete: this.#isComplete,
    }
  }

  #sinceStart(): number {
    return this.#runtime.now() - this.#startedMs
  }

  /** Whatever fails because the connection has ended is told by its end. */
  #track(work: Promise<void>): void {
    this.#work.push(
      work.catch((error: unknown) => {
        if (!P2PError.is(error, 'connection-closed') && !P2PError.is(error, 'refused')) {
          this.#wrong ??= `an error that nothing explains: ${String(error)}`
        }
      }),
    )
  }

  #notePath(): void {
    const kind = this.#connection.paths().find(({ selected }) => selected)?.kind ?? 'none'
    if (kind !== this.#paths.at(-1)) this.#paths.push(kind)
  }

  #packets(): PacketCounts | undefined {
    const { packetsSent: sent, packetsLost: lost } = this.#connection.stats()
    return sent === undefined || lost === undefined ? undefined : { sent, lost }
  }

  async #send(stream: P2PSendStream): Promise<void> {
    const chunk = new Uint8Array(CHUNK_BYTES)
    while (!this.#isStopping) {
      for (let i = 0; i < CHUNK_BYTES; i++) chunk[i] = byteAt(this.#sentBytes + i)
      await stream.write(chunk)
      this.#sentBytes += CHUNK_BYTES
      await this.#runtime.sleep(CHUNK_EVERY_MS)
    }
    await stream.finish()
  }

  async #check(stream: P2PReceiveStream): Promise<void> {
    for (let part = await stream.read(); part !== undefined; part = await stream.read()) {
      for (const [i, byte] of part.entries()) {
        if (byte !== byteAt(this.#receivedBytes + i)) this.#wrong ??= `byte ${this.#receivedBytes + i} is another`
      }
      this.#receivedBytes += part.length
    }
    this.#isComplete = true
  }

  async #request(stream: P2PStream): Promise<void> {
    const startMs = this.#runtime.now()
    try {
      await stream.write(new Uint8Array(REQUEST_BYTES))
      await stream.readExactly(REQUEST_BYTES)
      this.#requests++
    } finally {
      this.#stallMs = Math.max(this.#stallMs, this.#runtime.now() - startMs)
    }
  }

  async #ask(stream: P2PStream): Promise<void> {
    while (!this.#isStopping) {
      await this.#request(stream)
      await this.#runtime.sleep(REQUEST_EVERY_MS)
    }
    await stream.finish()
  }
}
