/**
 * What was sent, kept outside of the world, so that whatever arrives can be held against it: nothing twice, nothing out
 * of order, nothing that nobody sent, and nothing missing of what was confirmed.
 */

export type FlowKind = 'messages' | 'stream' | 'answer' | 'datagrams' | 'request' | 'response'

/** One direction of one conversation. */
export interface Flow {
  readonly id: number
  readonly kind: FlowKind
  readonly from: string
  readonly to: string
  /** How often the receiver's program had begun. */
  readonly toStart: number
  /** Bytes, or of messages and datagrams how many, that were handed to the library. */
  sent: number
  /** Whether the sender has said that nothing more follows. */
  isFinished: boolean
  /** Whether the sender has given it up. */
  isReset: boolean
  /** Whether the sender ended the connection while it was still writing, which finishes the stream where it is. */
  isCut: boolean
  /** Whether the library has told the sender that everything has arrived. */
  isConfirmed: boolean
  received: number
  /** Whether the receiver no longer wants it. */
  isStopped: boolean
}

/** The byte of a flow at a position: another for each flow, and for neighbours in it. */
function byteAt(flow: number, position: number): number {
  return (flow * 167 + position * 31 + (position >> 8) * 7 + (position >> 16)) & 0xff
}

/** The bytes of a flow from a position on. */
export function contentOf(flow: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = byteAt(flow, position + i)
  return bytes
}

/** How long the content of a flow's message is: none, short ones, and some of several packets. */
export function messageLength(flow: number, sequence: number): number {
  const mixed = (flow * 7919 + sequence * 104_729) % 9001
  return sequence % 3 === 0 ? mixed : mixed % 90
}

export class Ledger {
  readonly #flows: Flow[] = []
  readonly #starts = new Map<string, number>()
  readonly #datagrams = new Map<number, Set<number>>()
  readonly #ends = new Set<string>()
  readonly #handled = new Set<number>()
  readonly counts: Record<FlowKind, number> = {
    messages: 0,
    stream: 0,
    answer: 0,
    datagrams: 0,
    request: 0,
    response: 0,
  }
  resets = 0
  stops = 0
  confirmed = 0
  /** The first thing that is wrong. */
  complaint = ''

  complain(what: string): void {
    this.complaint ||= what
  }

  /** A program begins; what its host had received before is gone. */
  started(host: string): void {
    this.#starts.set(host, (this.#starts.get(host) ?? 0) + 1)
  }

  get starts(): number {
    return [...this.#starts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** A host ends a connection: streams that it has not written to may end without a byte. */
  ends(from: string, to: string): void {
    this.#ends.add(`${from} ${to}`)
  }

  hasEnded(from: string, to: string): boolean {
    return this.#ends.has(`${from} ${to}`)
  }

  open(kind: FlowKind, from: string, to: string): Flow {
    const flow: Flow = {
      id: this.#flows.length,
      kind,
      from,
      to,
      toStart: this.#starts.get(to) ?? 0,
      sent: 0,
      isFinished: false,
      isReset: false,
      isCut: false,
      isConfirmed: false,
      received: 0,
      isStopped: false,
    }
    this.#flows.push(flow)
    return flow
  }

  /** The flow that somebody received something of. */
  find(id: number, kind: FlowKind, from: string, to: string): Flow | undefined {
    const flow = this.#flows[id]
    if (flow?.kind === kind && flow.from === from && flow.to === to) return flow
    this.complain(`${to} received ${kind} ${id} from ${from}, which nobody sent`)
    return undefined
  }

  /** A message arrived: the next one, whole, and not before it was sent. */
  message(flow: Flow, sequence: number, content: Uint8Array): void {
    if (sequence !== flow.received) {
      const what = sequence < flow.received ? 'twice, or late' : `without ${flow.received}`
      this.complain(`${name(flow)}: number ${sequence} arrived ${what}`)
    }
    if (sequence >= flow.sent) this.complain(`${name(flow)}: number ${sequence} arrived and was not sent`)
    if (content.length !== messageLength(flow.id, sequence)) {
      this.complain(`${name(flow)}: number ${sequence} has ${content.length} bytes`)
    }
    this.#same(flow, sequence, content)
    flow.received = sequence + 1
    this.counts.messages++
  }

  /** Bytes of a stream arrived. */
  bytes(flow: Flow, content: Uint8Array): void {
    this.#same(flow, flow.received, content)
    flow.received += content.length
    if (flow.received > flow.sent) {
      this.complain(`${name(flow)}: ${flow.received} bytes arrived of ${flow.sent} that were sent`)
    }
  }

  /** The end of a stream arrived. */
  end(flow: Flow): void {
    if (flow.isCut) return
    if (!flow.isFinished) this.complain(`${name(flow)}: it ended after ${flow.received} bytes, and was not finished`)
    if (flow.received !== flow.sent)
      this.complain(`${name(flow)}: it ended with ${flow.received} of ${flow.sent} bytes`)
    this.counts[flow.kind]++
  }

  datagram(flow: Flow, sequence: number, content: Uint8Array): void {
    const seen = this.#datagrams.get(flow.id) ?? new Set()
    this.#datagrams.set(flow.id, seen)
    if (seen.has(sequence)) this.complain(`${name(flow)}: number ${sequence} arrived twice`)
    if (sequence >= flow.sent) this.complain(`${name(flow)}: number ${sequence} arrived and was not sent`)
    seen.add(sequence)
    this.#same(flow, sequence, content)
    this.counts.datagrams++
  }

  /** A request that must not be repeated is answered. */
  handled(flow: Flow): void {
    if (this.#handled.has(flow.id)) this.complain(`${name(flow)}: it was answered twice`)
    this.#handled.add(flow.id)
  }

  isHandled(flow: Flow): boolean {
    return this.#handled.has(flow.id)
  }

  /** Whether all that was confirmed has arrived; what a crash of the receiver took with it does not count. */
  check(): void {
    for (const flow of this.#flows) {
      if (!flow.isConfirmed || flow.isStopped || flow.isReset) continue
      if ((this.#starts.get(flow.to) ?? 0) !== flow.toStart) continue
      this.confirmed++
      if (flow.received !== flow.sent) {
        this.complain(`${name(flow)}: all of it was confirmed, and ${flow.received} of ${flow.sent} arrived`)
      }
    }
  }

  #same(flow: Flow, position: number, content: Uint8Array): void {
    for (let i = 0; i < content.length; i++) {
      if (content[i] === byteAt(flow.id, position + i)) continue
      this.complain(`${name(flow)}: wrong at ${position} + ${i}`)
      return
    }
  }
}

function name({ id, kind, from, to }: Flow): string {
  return `${kind} ${id} from ${from} to ${to}`
}
