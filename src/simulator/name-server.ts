/**
 * Name servers as hosts of the virtual internet: questions and answers are datagrams, which get lost, are cut off by
 * partitions, and come too late. A client asks again at the times at which iroh does.
 *
 * @module
 */
import type { DatagramInterface, DatagramSocket, ReceivedDatagram } from './datagrams.ts'
import type { HostProgram, SimHost } from './host.ts'
import type { Kernel, KernelEvent, RandomStream } from './kernel.ts'
import type { NameAnswer, NameLookup } from './network/index.ts'

/** DNS. */
const PORT = 53
/** When a question is repeated, after the first: each a fifth earlier or later (iroh-dns, `stagger_call`). */
const STAGGER_US: readonly number[] = [200_000, 300_000, 600_000, 1_000_000, 2_000_000, 3_000_000]
/** How long each of them may take (iroh-dns, DNS_TIMEOUT). */
const TIMEOUT_US = 3_000_000
/** The question with its headers and the name, and a signed answer of an address and a relay. */
const QUESTION_BYTES = 100
const ANSWER_BYTES = 400

/** What is asked of a server, which knows how to answer: a name, or that one be registered. */
export type NameQuestion<Value> = () => NameAnswer<Value>

class Question {
  readonly token: number
  readonly ask: NameQuestion<unknown>

  constructor(token: number, ask: NameQuestion<unknown>) {
    this.token = token
    this.ask = ask
    Object.freeze(this)
  }
}

class Answer {
  readonly token: number
  readonly content: NameAnswer<unknown>

  constructor(token: number, content: NameAnswer<unknown>) {
    this.token = token
    this.content = content
    Object.freeze(this)
  }
}

/** A name server and the host it runs on, which can crash, move and be cut off like any other. */
export class NameServerHost {
  readonly host: SimHost

  /** @internal `addHost` makes the host with the program it is given */
  constructor(addHost: (program: HostProgram) => SimHost) {
    this.host = addHost(({ network }) => {
      const socket = network.bind(PORT, ({ source, payload, isCorrupted }) => {
        if (isCorrupted || !(payload instanceof Question)) return
        const content = payload.ask()
        // In an outage the machine is there, and its service says nothing.
        if (content !== 'unavailable') socket.send(source, new Answer(payload.token, content), ANSWER_BYTES)
      })
    })
  }

  /** Where it is asked, `ip:port`. */
  get address(): string {
    const { ip } = this.host.network
    return `${ip.version === 4 ? ip.text : `[${ip.text}]`}:${PORT}`
  }
}

/** What asking needs of the host that asks. */
export interface NameClient {
  readonly kernel: Kernel
  readonly network: DatagramInterface
  readonly random: RandomStream
  /** Whether it has power; without, nothing is sent any more. */
  isOn(): boolean
}

/**
 * Asks one of the servers after the other until one answers, or the last question has not been answered either:
 * `unavailable`, after 6 s.
 */
export function askNameServers<Value>(
  client: NameClient,
  servers: readonly NameServerHost[],
  question: NameQuestion<Value>,
  done: (answer: NameAnswer<Value>) => void,
): NameLookup {
  const { kernel, network, random } = client
  const sent = new Question(random.nextU32(), question)
  const timers: KernelEvent[] = []
  const cancel = (): void => {
    for (const timer of timers) timer.cancel()
    socket.close()
  }
  const conclude = (answer: NameAnswer<Value>): void => {
    cancel()
    done(answer)
  }
  const socket: DatagramSocket = network.bind(0, ({ payload, isCorrupted }: ReceivedDatagram) => {
    if (isCorrupted !== true && payload instanceof Answer && payload.token === sent.token) {
      conclude(payload.content as NameAnswer<Value>)
    }
  })
  let lastUs = 0
  for (const [i, aboutUs] of [0, ...STAGGER_US].entries()) {
    const atUs = aboutUs === 0 ? 0 : aboutUs - Math.floor(aboutUs / 5) + random.nextBelow(Math.floor((aboutUs * 2) / 5))
    lastUs = Math.max(lastUs, atUs)
    timers.push(
      kernel.schedule(atUs, () => {
        if (client.isOn()) socket.send(servers[i % servers.length]?.address ?? '', sent, QUESTION_BYTES)
      }),
    )
  }
  timers.push(kernel.schedule(lastUs + TIMEOUT_US, () => conclude('unavailable')))
  return { cancel }
}
