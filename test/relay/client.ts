/**
 * A client of the relay protocol that does what a test says, right or wrong.
 *
 * @module
 */
import { blake3 } from '@noble/hashes/blake3.js'
import { WebSocket } from 'ws'
import { testSigningKey } from '../../src/core/keys.ts'

/** What to do other than an iroh client does. */
export interface ClientOptions {
  readonly protocols?: readonly string[]
  readonly query?: string
  readonly headers?: Record<string, string>
  readonly challenge?: (frame: Buffer) => Uint8Array
  readonly ca?: string
}

/** The right answer to a challenge. */
export function answerTo(challenge: Buffer, name: string): Buffer {
  const key = testSigningKey(name)
  const message = blake3(challenge.subarray(1), { context: Buffer.from('iroh-relay handshake v1 challenge signature') })
  return Buffer.concat([Buffer.of(1), key.nodeId.asBytes(), Buffer.of(64), key.sign(message)])
}

/** A connection to a relay, its frames in the order they came. */
export class TestClient {
  readonly socket: WebSocket
  readonly idBytes: Uint8Array
  readonly frames: Buffer[] = []
  readonly #waiting: ((frame: Buffer | undefined) => void)[] = []
  /** The code and the reason it ended with. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  #isClosed = false

  private constructor(socket: WebSocket, name: string) {
    this.socket = socket
    this.idBytes = testSigningKey(name).nodeId.asBytes()
    socket.on('message', (data: Buffer) => {
      const waiting = this.#waiting.shift()
      if (waiting) waiting(data)
      else this.frames.push(data)
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#isClosed = true
        for (const waiting of this.#waiting.splice(0)) waiting(undefined)
        resolve({ code, reason: reason.toString() })
      })
    })
  }

  /** Opens the WebSocket and nothing more. */
  static open(url: string, name: string, options: ClientOptions = {}): TestClient {
    const { protocols = ['iroh-relay-v2', 'iroh-relay-v1'], query = '', headers = {}, ca } = options
    const target = `${url.replace(/^http/, 'ws')}/relay${query}`
    return new TestClient(
      new WebSocket(target, [...protocols], { headers, ...(ca && { ca }), perMessageDeflate: false }),
      name,
    )
  }

  /** Opens it and answers the challenge; the verdict is the next frame. */
  static async greet(url: string, name: string, options: ClientOptions = {}): Promise<TestClient> {
    const client = TestClient.open(url, name, options)
    const challenge = await client.next()
    if (challenge) client.socket.send(options.challenge?.(challenge) ?? answerTo(challenge, name))
    return client
  }

  /** A client that the relay has accepted. */
  static async connect(url: string, name: string, options: ClientOptions = {}): Promise<TestClient> {
    const client = await TestClient.greet(url, name, options)
    const verdict = await client.next()
    if (verdict?.length !== 1 || verdict[0] !== 2)
      throw new Error(`not accepted: ${verdict?.toString('hex') ?? 'closed'}`)
    return client
  }

  /** The next frame; undefined when there is none before the end. */
  next(): Promise<Buffer | undefined> {
    const frame = this.frames.shift()
    if (frame || this.#isClosed) return Promise.resolve(frame)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  send(...parts: (Uint8Array | string | number)[]): void {
    this.socket.send(bytes(...parts))
  }

  /** A ping, and its answer: what was sent before it has been dealt with then. */
  async settle(): Promise<void> {
    this.send(9, 'settled!')
    const others: Buffer[] = []
    for (;;) {
      const frame = await this.next()
      if (!frame) throw new Error('the connection ended')
      if (frame[0] === 10) break
      others.push(frame)
    }
    this.frames.unshift(...others)
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }
}

/** Numbers are single bytes. */
export function bytes(...parts: (Uint8Array | string | number)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part as string))))
}
