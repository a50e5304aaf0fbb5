/**
 * The fabric's cost a packet, in plain callbacks over the real scheduler: nothing but sending, hops and delivery.
 *
 * @module
 */
import { Driver } from '../src/simulator/driver.ts'
import {
  type NetworkInterface,
  type Socket,
  Topology,
  type TopologyHostOptions,
} from '../src/simulator/network/index.ts'
import { Scheduler } from '../src/simulator/scheduler.ts'

const ROUNDS = 5
const PACKETS = 1_000_000
const PORT = 7000

interface Case {
  readonly name: string
  /** Builds the pairs of hosts that send each other packets. */
  readonly pairs: (topology: Topology) => [NetworkInterface, NetworkInterface][]
  readonly lossless?: boolean
}

function pairs(
  count: number,
  client: (topology: Topology, i: number) => TopologyHostOptions,
  server: (topology: Topology, i: number) => TopologyHostOptions,
): Case['pairs'] {
  return (topology) =>
    Array.from({ length: count }, (_, i) => [
      topology.host(`client-${i}`, client(topology, i)),
      topology.host(`server-${i}`, server(topology, i)),
    ])
}

const behind = (topology: Topology): TopologyHostOptions => ({ lan: topology.lan({ nat: 'home' }) })
const behindCable = (topology: Topology): TopologyHostOptions => ({
  lan: topology.lan({ nat: 'home', link: 'cable' }),
  link: 'wifi',
})
const cases: readonly Case[] = [
  {
    name: '100 pairs, host - internet - host',
    pairs: pairs(
      100,
      () => ({}),
      () => ({}),
    ),
  },
  { name: '100 pairs, host - NAT - internet - host', pairs: pairs(100, behind, () => ({})) },
  { name: '5000 pairs, host - NAT - internet - host', pairs: pairs(5000, behind, () => ({})) },
  {
    name: '100 pairs, wifi - NAT - cable - internet - fibre',
    pairs: pairs(100, behindCable, () => ({ link: 'fibre' })),
  },
]

/** Each pair keeps eight packets going back and forth until `PACKETS` have been sent. */
async function once({ pairs }: Case): Promise<number> {
  const scheduler = new Scheduler(1n)
  const topology = new Topology(scheduler, { defaultPacketLoss: 0 })
  let left = PACKETS
  const send = (socket: Socket, ...[to, payload, size]: Parameters<Socket['send']>): void => {
    if (left-- > 0) socket.send(to, payload, size)
  }
  for (const [client, server] of pairs(topology)) {
    const answering = server.bind(PORT, ({ source, payload }) => send(answering, source, payload, 100))
    const asking = client.bind(PORT, ({ source, payload }) => send(asking, source, payload, 100))
    for (let i = 0; i < 8; i++) {
      scheduler.schedule(i * 1000, () => send(asking, answering.localAddress, client, 100))
    }
  }
  const start = performance.now()
  await new Driver(scheduler).run()
  const { delivered } = topology.fabric.counters
  if (delivered < PACKETS * 0.9) throw new Error(`only ${delivered} packets arrived`)
  return delivered / (performance.now() - start) / 1000
}

for (const it of cases) {
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) rates.push(await once(it))
  rates.sort((a, b) => a - b)
  const [slowest, median, fastest] = [rates[0], rates[ROUNDS >> 1], rates[ROUNDS - 1]].map((rate) => rate ?? 0)
  console.log(
    `${it.name.padEnd(50)} ${(median as number).toFixed(2)} M packets/s ` +
      `(${(slowest as number).toFixed(2)}..${(fastest as number).toFixed(2)})`,
  )
}
