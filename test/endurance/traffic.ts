/**
 * Everything that two nodes can do with a connection, at once and in both directions, written down in the ledger.
 */
import { P2PError, P2PResponse, request } from '@moosicbox/p2p'
import type { DefaultP2P, P2PErrorCode, P2PReceiveStream, P2PRequest, P2PSendStream } from '@moosicbox/p2p'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { contentOf, messageLength } from './ledger.ts'
import type { Flow, FlowKind, Ledger } from './ledger.ts'

export type Connection = Awaited<ReturnType<DefaultP2P['connect']>>

/** How a conversation fails when the network does; anything else is a mistake. */
export const EXPECTED: ReadonlySet<P2PErrorCode> = new Set<P2PErrorCode>([
  'connection-closed',
  'connection-failed',
  'delivery-unconfirmed',
  'discovery-failed',
  'no-route',
  'node-not-found',
  'refused',
  'stream-reset',
  'stream-stopped',
  'timeout',
])

const RESET = 11
const STOP = 12
const CHUNK = 6000
const DATAGRAM = 200

/** What a host of the scenario works with. */
export interface Party {
  readonly host: SimHost
  readonly ledger: Ledger
  readonly p2p: DefaultP2P
  /** The name of a host, by the text of its id. */
  readonly nameOf: (id: string) => string
}

/** Waits for all, and notes what is no consequence of a bad network; true when nothing failed. */
export async function settle(ledger: Ledger, who: string, tasks: readonly Promise<unknown>[]): Promise<boolean> {
  let isGood = true
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === 'fulfilled') continue
    isGood = false
    const error: unknown = result.reason
    if (!P2PError.is(error) || !EXPECTED.has(error.code)) ledger.complain(`${who}: unexpected ${textOf(error)}`)
  }
  return isGood
}

function textOf(error: unknown): string {
  if (P2PError.is(error)) return `${error.code}: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function below(host: SimHost, bound: number): number {
  return Math.floor(host.runtime.random() * bound)
}

function framed(flow: Flow, number: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + content.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, flow.id)
  view.setUint32(4, number)
  bytes.set(content, 8)
  return bytes
}

function unframe(bytes: Uint8Array): [id: number, number: number, content: Uint8Array] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return bytes.length < 8 ? [-1, -1, bytes] : [view.getUint32(0), view.getUint32(4), bytes.subarray(8)]
}

/** One end of a connection. */
export class Talk {
  readonly #party: Party
  readonly #connection: Connection
  readonly #peer: string
  /** Whether everything is to arrive: nothing is given up, and a failure is told. */
  readonly #isCalm: boolean
  readonly #flows: Flow[] = []
  #isEnding = false

  constructor(party: Party, connection: Connection, isCalm: boolean) {
    this.#party = party
    this.#connection = connection
    this.#peer = party.nameOf(connection.remoteNodeId().toString())
    this.#isCalm = isCalm
  }

  get #me(): string {
    return this.#party.host.name
  }

  /** Sends whatever there is to send; resolves when the library has taken it and the answers are there. */
  say(): Promise<boolean> {
    const { host, ledger } = this.#party
    const streams = Array.from({ length: this.#isCalm ? 1 : below(host, 3) }, () => this.#ask())
    const sends = Array.from({ length: this.#isCalm ? 1 : below(host, 3) }, () => this.#tell())
    return settle(ledger, this.#me, [this.#messages(), this.#datagrams(), ...streams, ...sends])
  }

  /** Takes whatever the peer sends, until the connection is over. */
  async listen(): Promise<void> {
    const { ledger } = this.#party
    await settle(ledger, this.#me, [
      this.#hearMessages(),
      this.#hearDatagrams(),
      this.#each(
        () => this.#connection.acceptStream(),
        async (stream) => {
          try {
            const asked = await this.#hear(stream)
            if (asked) await this.#answer(stream, asked)
          } finally {
            stream[Symbol.dispose]()
          }
        },
      ),
      this.#each(
        () => this.#connection.acceptReceiveStream(),
        (stream) => this.#hear(stream),
      ),
    ])
  }

  /** Ends the connection so that everything arrives; true when the peer has said so. */
  async end(): Promise<boolean> {
    // Of a connection that is over already `end` has nothing to say.
    if (!this.#connection.isConnected()) return false
    this.#isEnding = true
    this.#party.ledger.ends(this.#me, this.#peer)
    for (const flow of this.#flows) flow.isCut = !flow.isFinished
    const isGood = await settle(this.#party.ledger, this.#me, [this.#connection.end()])
    if (isGood) for (const flow of this.#flows) flow.isConfirmed = flow.isFinished
    return isGood
  }

  #open(kind: FlowKind): Flow {
    const flow = this.#party.ledger.open(kind, this.#me, this.#peer)
    flow.isCut = this.#isEnding
    this.#flows.push(flow)
    return flow
  }

  async #messages(): Promise<void> {
    const flow = this.#open('messages')
    const count = this.#isCalm ? 5 : below(this.#party.host, 12)
    for (let i = 0; i < count; i++) {
      flow.sent++
      await this.#connection.send(framed(flow, i, contentOf(flow.id, i, messageLength(flow.id, i))))
    }
    flow.isFinished = true
  }

  async #hearMessages(): Promise<void> {
    const { ledger } = this.#party
    for await (const message of this.#connection) {
      const [id, number, content] = unframe(message)
      const flow = ledger.find(id, 'messages', this.#peer, this.#me)
      if (flow) ledger.message(flow, number, content)
    }
  }

  async #datagrams(): Promise<void> {
    const { runtime } = this.#party.host
    const flow = this.#open('datagrams')
    for (let i = 0; i < 8 && this.#connection.isConnected(); i++) {
      flow.sent++
      if (this.#connection.maxDatagramSize > DATAGRAM + 8) {
        this.#connection.sendDatagram(framed(flow, i, contentOf(flow.id, i, DATAGRAM)))
      }
      await runtime.sleep(runtime.random() * 40)
    }
  }

  async #hearDatagrams(): Promise<void> {
    const { ledger } = this.#party
    for await (const datagram of this.#connection.datagrams) {
      const [id, number, content] = unframe(datagram)
      const flow = ledger.find(id, 'datagrams', this.#peer, this.#me)
      if (flow) ledger.datagram(flow, number, content)
    }
  }

  /** Accepts until the connection is over; what is accepted is heard at the same time. */
  async #each<T>(accept: () => Promise<T>, hear: (stream: T) => Promise<unknown>): Promise<void> {
    for (;;) {
      const stream = await accept()
      void settle(this.#party.ledger, this.#me, [hear(stream)])
    }
  }

  /** A question on a two-way stream, whose answer has as many bytes. */
  async #ask(): Promise<void> {
    const { ledger } = this.#party
    const stream = await this.#connection.openStream()
    try {
      const flow = await this.#write(stream)
      if (!flow) return
      const head = await this.#head(stream)
      if (!head) return
      const [id, number] = unframe(head)
      const answer = ledger.find(id, 'answer', this.#peer, this.#me)
      if (number !== flow.id) ledger.complain(`${this.#me} got the answer to ${number}, not ${flow.id}`)
      if (answer) await this.#read(stream, answer)
    } finally {
      stream[Symbol.dispose]()
    }
  }

  async #answer(stream: P2PSendStream, asked: Flow): Promise<void> {
    const flow = this.#open('answer')
    await stream.write(framed(flow, asked.id, new Uint8Array(0)))
    await this.#writeContent(stream, flow, below(this.#party.host, 20_000), false)
  }

  async #tell(): Promise<void> {
    await this.#write(await this.#connection.openSendStream())
  }

  /** Writes a whole stream, or gives up half-way; the flow when it was whole. */
  async #write(stream: P2PSendStream): Promise<Flow | undefined> {
    const { host } = this.#party
    const flow = this.#open('stream')
    const isReset = !this.#isCalm && below(host, 5) === 0
    await stream.write(framed(flow, this.#isCalm ? 1 : 0, new Uint8Array(0)))
    await this.#writeContent(stream, flow, below(host, 40_000), isReset)
    return isReset ? undefined : flow
  }

  async #writeContent(stream: P2PSendStream, flow: Flow, length: number, isReset: boolean): Promise<void> {
    while (flow.sent < length) {
      const size = Math.min(CHUNK, length - flow.sent)
      const content = contentOf(flow.id, flow.sent, size)
      flow.sent += size
      await stream.write(content)
      if (isReset && flow.sent * 2 > length) break
    }
    if (isReset) {
      flow.isReset = true
      this.#party.ledger.resets++
      stream.reset(RESET)
      return
    }
    flow.isFinished = true
    await stream.finish()
  }

  /** The first bytes of a stream; none when the peer ended the connection before it wrote any. */
  async #head(stream: P2PReceiveStream): Promise<Uint8Array | undefined> {
    const { ledger } = this.#party
    try {
      return await stream.readExactly(8)
    } catch (error) {
      if (P2PError.is(error, 'protocol') && ledger.hasEnded(this.#peer, this.#me)) return undefined
      throw error
    }
  }

  /** Reads a stream to its end, or stops half-way; what it was when it was whole. */
  async #hear(stream: P2PReceiveStream): Promise<Flow | undefined> {
    const { host, ledger } = this.#party
    const head = await this.#head(stream)
    if (!head) return undefined
    const [id, isCalm] = unframe(head)
    const flow = ledger.find(id, 'stream', this.#peer, this.#me)
    if (!flow) return undefined
    if (isCalm === 0 && below(host, 6) === 0) {
      flow.isStopped = true
      ledger.stops++
      const bytes = await stream.read(2000)
      if (bytes) ledger.bytes(flow, bytes)
      stream.stop(STOP)
      return undefined
    }
    await this.#read(stream, flow)
    return flow
  }

  async #read(stream: P2PReceiveStream, flow: Flow): Promise<void> {
    const { ledger } = this.#party
    try {
      for (;;) {
        const bytes = await stream.read()
        if (!bytes) break
        ledger.bytes(flow, bytes)
      }
    } catch (error) {
      if (P2PError.is(error, 'stream-reset') && !flow.isReset && error.streamCode === RESET) {
        ledger.complain(`${this.#me}: stream ${flow.id} was reset, and nobody did`)
      }
      throw error
    }
    ledger.end(flow)
  }
}

const REQUEST_DEADLINE_MS = 20_000

/** Sends a body and holds the answer's against what was asked for; true when it came. */
export async function post(party: Party, peer: SimHost): Promise<boolean> {
  const { host, ledger, p2p } = party
  const flow = ledger.open('request', host.name, peer.name)
  const length = below(host, 20_000)
  // oxlint-disable-next-line func-style -- a generator
  const body = async function* (): AsyncGenerator<Uint8Array> {
    while (flow.sent < length) {
      const size = Math.min(CHUNK, length - flow.sent)
      const content = contentOf(flow.id, flow.sent, size)
      flow.sent += size
      yield content
    }
    flow.isFinished = true
  }
  const ask = async (): Promise<void> => {
    const path = `/sum/${flow.id}`
    const answer = await request(p2p, peer.id, { method: 'POST', path, body: body(), deadlineMs: REQUEST_DEADLINE_MS })
    const response = ledger.find(Number(answer.headers.get('x-flow')), 'response', peer.name, host.name)
    if (answer.status !== 200 || !response) {
      ledger.complain(`${host.name}: request ${flow.id} was answered with ${answer.status}`)
      return
    }
    for await (const bytes of answer.body) ledger.bytes(response, bytes)
    ledger.end(response)
    if (!ledger.isHandled(flow)) ledger.complain(`${host.name}: request ${flow.id} has an answer that nobody gave`)
    if (flow.received !== flow.sent) ledger.complain(`${host.name}: request ${flow.id} was answered unread`)
  }
  return settle(ledger, host.name, [ask()])
}

/** Answers {@link post}. */
export async function answerPost(
  party: Pick<Party, 'host' | 'ledger' | 'nameOf'>,
  asked: P2PRequest,
): Promise<P2PResponse> {
  const { host, ledger } = party
  const peer = party.nameOf(asked.remoteNodeId.toString())
  const flow = ledger.find(Number(asked.params['id']), 'request', peer, host.name)
  if (!flow) return P2PResponse.error(404)
  ledger.handled(flow)
  for await (const bytes of asked.body) ledger.bytes(flow, bytes)
  ledger.end(flow)
  const response = ledger.open('response', host.name, peer)
  const length = below(host, 20_000)
  // oxlint-disable-next-line func-style -- a generator
  const body = async function* (): AsyncGenerator<Uint8Array> {
    while (response.sent < length) {
      const size = Math.min(CHUNK, length - response.sent)
      const content = contentOf(response.id, response.sent, size)
      response.sent += size
      yield content
    }
    response.isFinished = true
  }
  return P2PResponse.stream(body(), { headers: { 'x-flow': String(response.id) } })
}
