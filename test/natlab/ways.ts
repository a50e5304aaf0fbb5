/**
 * Whether the lines' ways (`way.rs`) are what their descriptions say, as plain datagrams meet them.
 *
 * @module
 */
import type { CalledProcess } from './process.ts'
import { UdpSocket } from './udp.ts'
import type { Finding } from './udp.ts'

const PACKETS = 200
/** Together with its headers 1000 B: 8 ms at a megabit per second. */
const PAYLOAD = 'x'.repeat(968)
const HEADERS_MS = 8
/** Longer than anything takes to arrive that is still to come, also where the processor has other things to do. */
const QUIET_MS = 1500
/** So many fit into the receiver's buffer while it does not get to read. */
const BATCH = 40

/** The numbers of the packets that came, in their order, and how long it took from the first's sending to the last. */
interface Arrivals {
  readonly numbers: readonly number[]
  readonly spanMs: number
}

/** @param set makes the way from the machine to the server what the description says */
export async function checkWays(
  inside: CalledProcess,
  server: { readonly address: string; readonly process: CalledProcess },
  set: (way: string) => Promise<void>,
): Promise<Finding[]> {
  const over = async (way: string, batch = PACKETS): Promise<Arrivals> => {
    await set(way)
    const [from, to] = [await UdpSocket.bind(inside), await UdpSocket.bind(server.process)]
    const prefix = (i: number): string => `${i}`.padStart(4, '0')
    let firstMs = Infinity
    for (let i = 1; i <= PACKETS; i++) {
      firstMs = Math.min(firstMs, await from.send(prefix(i - 1) + PAYLOAD, `${server.address}:${to.port}`))
      if (i % batch === 0) await settled(to, i)
    }
    const received = await to.received()
    const times = received.map(({ atMs }) => atMs)
    return {
      numbers: received.map(({ text }) => Number(text.slice(0, 4))),
      spanMs: Math.max(...times) - firstMs,
    }
  }
  const narrow = await over('rate=1,queue=8000')
  const leastMs = narrow.numbers.length * HEADERS_MS
  const inOrder = await over('delay=20,jit=20', BATCH)
  const overtaking = await over('delay=20,jit=20,reorder=1', BATCH)
  const normal = await over('delay=20,normal=10,reorder=1', BATCH)
  const tail = await over('delay=20,tail=10,reorder=1', BATCH)
  const bursts = runs((await over('ge=30:10')).numbers)
  return [
    finding('a rate: time for what came, ms', narrow.spanMs, `${leastMs} or more`, narrow.spanMs > leastMs - 2),
    finding('a queue: dropped', PACKETS - narrow.numbers.length, 'some', narrow.numbers.length < PACKETS),
    finding('jitter: came before an earlier one', late(inOrder), '0', late(inOrder) === 0),
    finding('jitter: all came', inOrder.numbers.length, `${PACKETS}`, inOrder.numbers.length === PACKETS),
    finding(
      'jitter that reorders: came before an earlier one',
      late(overtaking),
      'many',
      late(overtaking) > PACKETS / 20,
    ),
    finding('normal jitter: came before an earlier one', late(normal), 'many', late(normal) > PACKETS / 20),
    finding('long-tail jitter: came before an earlier one', late(tail), 'many', late(tail) > PACKETS / 20),
    finding('bursts: packets a burst', bursts, '10, by chance 3 to 30', bursts > 3 && bursts < 30),
  ]
}

/** Resolves when so many have come, or no more have for a while. */
async function settled(socket: UdpSocket, count: number): Promise<void> {
  for (let before = -1; ; await new Promise((resolve) => setTimeout(resolve, QUIET_MS))) {
    const { length } = await socket.received()
    if (length >= count || length === before) return
    before = length
  }
}

function finding(what: string, seen: number, expected: string, isRight: boolean): Finding {
  return { what: `ways: ${what}`, seen: String(Math.round(seen * 10) / 10), expected, isRight }
}

const late = ({ numbers }: Arrivals): number => numbers.filter((number, i) => number < (numbers[i - 1] ?? 0)).length

/** Packets that are missing, by runs of them: how many a run on average. */
function runs(numbers: readonly number[]): number {
  const here = new Set(numbers)
  const missing = Array.from({ length: PACKETS }, (_, i) => i).filter((i) => !here.has(i))
  return missing.length / missing.filter((i) => i === 0 || here.has(i - 1)).length
}
