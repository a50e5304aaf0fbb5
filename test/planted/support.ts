/** What the planted applications have in common: asking until there is an answer. */
import type { DefaultP2P } from '@moosicbox/p2p'
import type { SimHost } from '@moosicbox/p2p/simulator'

type Connection = Awaited<ReturnType<DefaultP2P['connect']>>

const TEXT = new TextEncoder()
const PLAIN = new TextDecoder()

export function bytesOf(value: unknown): Uint8Array {
  return TEXT.encode(JSON.stringify(value))
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what a peer sends is what the caller says
export function valueOf<T>(bytes: Uint8Array): T {
  return JSON.parse(PLAIN.decode(bytes)) as T
}

/** Answers every message of every connection, one after the other within a connection. */
export async function answer(
  p2p: DefaultP2P,
  reply: (question: Uint8Array, connection: Connection) => Promise<Uint8Array> | Uint8Array,
): Promise<void> {
  for await (const connection of await p2p.listen()) {
    void (async () => {
      for await (const question of connection) await connection.send(await reply(question, connection))
    })().catch(() => {})
  }
}

/** Asks over one connection, which is dialled anew whenever it fails, until there is an answer. */
export class Asker {
  readonly #p2p: DefaultP2P
  readonly #host: SimHost
  readonly #peer: SimHost
  readonly #timeoutMs: number
  #connection: Connection | undefined

  constructor(p2p: DefaultP2P, host: SimHost, peer: SimHost, timeoutMs: number = 4000) {
    this.#p2p = p2p
    this.#host = host
    this.#peer = peer
    this.#timeoutMs = timeoutMs
  }

  async ask(question: Uint8Array): Promise<Uint8Array> {
    const { runtime } = this.#host
    for (;;) {
      try {
        this.#connection ??= await this.#p2p.connect(this.#peer.id, { timeoutMs: this.#timeoutMs })
        await this.#connection.send(question)
        return await this.#connection.recv({ signal: this.#deadline() })
      } catch {
        this.#connection?.close()
        this.#connection = undefined
        await runtime.sleep(200)
      }
    }
  }

  #deadline(): AbortSignal {
    const controller = new AbortController()
    this.#host.runtime.setTimer(this.#timeoutMs, () => controller.abort(new Error('no answer')))
    return controller.signal
  }
}
