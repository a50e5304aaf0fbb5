/**
 * What runs at a site: one node, and what it is asked to do. The same code runs on real nodes and on simulated ones.
 *
 * @module
 */
import type { P2PConnection, P2PPath, P2PSystem } from '@moosicbox/p2p'
import { LOAD_ALPN, runLoad, serveLoad } from './load.ts'
import type { Load, LoadReport } from './load.ts'
import type { PathReport, TrafficReport } from './model.ts'
import { answer, Exchange, REQUEST_BYTES } from './traffic.ts'

const ONLINE_MS = 60_000
const LOOK_EVERY_MS = 50
/** Longest wait for what was sent before the end; a connection without a sign of life is over before. */
const FINISH_MS = 60_000

const isPrivate = (address: string): boolean => /^(192\.168\.|10\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address)
const isDirect = (paths: readonly P2PPath[]): boolean =>
  paths.some(({ kind, selected }) => kind === 'direct' && selected)

/** A node and its connections. */
export class PeerProgram {
  readonly #create: () => Promise<P2PSystem>
  #p2p: P2PSystem | undefined
  #exchange: Exchange | undefined
  #connection: P2PConnection | undefined

  constructor(create: () => Promise<P2PSystem>) {
    this.#create = create
  }

  /** Creates the node; resolves when it listens and knows its relay and where it is seen from outside. */
  async start(): Promise<void> {
    const p2p = (this.#p2p = await this.#create())
    void this.#serve(p2p)
    void this.#serveLoads(p2p)
    const giveUpMs = p2p.runtime.now() + ONLINE_MS
    for (;;) {
      const { direct, relays } = p2p.address()
      if (relays.length > 0 && direct.some((address) => !isPrivate(address))) return
      if (p2p.runtime.now() > giveUpMs) {
        throw new Error(`not online after ${ONLINE_MS} ms: it knows ${[...direct, ...relays].join(', ') || 'nothing'}`)
      }
      await p2p.runtime.sleep(LOOK_EVERY_MS)
    }
  }

  ticket(): string {
    return this.#running.address().toTicket()
  }

  /** Connects, and watches the paths for a while. */
  async watch(ticket: string, watchMs: number): Promise<PathReport> {
    const { runtime } = this.#running
    const beforeMs = runtime.now()
    const connection = await this.#running.connect(ticket)
    const connectedMs = runtime.now()
    let directAfterMs = isDirect(connection.paths()) ? 0 : undefined
    connection.onPathChange((_paths, { kind, atMs }) => {
      if (kind === 'upgraded') directAfterMs ??= atMs
    })
    const stream = await connection.openStream()
    while (runtime.now() - connectedMs < watchMs) {
      await stream.write(new Uint8Array(REQUEST_BYTES))
      await stream.readExactly(REQUEST_BYTES)
      await runtime.sleep(10)
    }
    const outcome = isDirect(connection.paths()) ? 'direct' : 'relayed'
    connection.close()
    return { connectMs: connectedMs - beforeMs, directAfterMs, outcome }
  }

  /** Connects, asks, and sends, one after the other; then the connection is closed. */
  async load(ticket: string, load: Load): Promise<LoadReport> {
    const connection = await this.#running.connect(ticket, { alpn: LOAD_ALPN })
    const times = await runLoad(connection, this.#running.runtime, load)
    const outcome = isDirect(connection.paths()) ? 'direct' : 'relayed'
    connection.close()
    return { ...times, outcome }
  }

  /** Connects and asks, and sends where `streams`; resolves when the first answer has come. */
  async begin(ticket: string, streams: boolean): Promise<void> {
    const connection = (this.#connection = await this.#running.connect(ticket))
    const exchange = (this.#exchange = new Exchange(connection, this.#running.runtime))
    void untilClosed(async () => exchange.receive(await connection.acceptReceiveStream()))
    await exchange.begin(streams)
  }

  /** The exchange that is under way, on either side: sends no more, and tells how it went. */
  async finish(): Promise<TrafficReport> {
    if (!this.#exchange) throw new Error('no exchange has begun')
    return this.#exchange.finish(FINISH_MS)
  }

  /** Ends the connection of the exchange, when both sides have finished. */
  end(): void {
    this.#connection?.close()
    this.#exchange = undefined
    this.#connection = undefined
  }

  get #running(): P2PSystem {
    if (!this.#p2p) throw new Error('it has not started')
    return this.#p2p
  }

  async #serveLoads(p2p: P2PSystem): Promise<void> {
    for await (const connection of await p2p.listen('', { alpns: [LOAD_ALPN] })) {
      // Ends with the connection.
      void serveLoad(connection).catch(() => {})
    }
  }

  async #serve(p2p: P2PSystem): Promise<void> {
    for await (const connection of await p2p.listen()) {
      void untilClosed(async () => {
        const stream = await connection.acceptStream()
        void answer(stream).catch(() => {})
      })
      void untilClosed(async () => {
        const stream = await connection.acceptReceiveStream()
        this.#connection = connection
        const exchange = (this.#exchange = new Exchange(connection, p2p.runtime))
        exchange.receive(stream)
        exchange.respond()
      })
    }
  }
}

/** Again and again, until the connection ends. */
async function untilClosed(step: () => Promise<void>): Promise<void> {
  try {
    for (;;) await step()
  } catch {
    // It has ended, and those who use it are told.
  }
}
