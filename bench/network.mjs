// The fabric's cost a packet, in plain callbacks over the real scheduler: nothing but sending, hops and delivery.
import { Driver } from '../dist/simulator/driver.js'
import { Topology } from '../dist/simulator/network/index.js'
import { Scheduler } from '../dist/simulator/scheduler.js'
import { figure, report, rounds, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const PACKETS = Math.round(1_000_000 * options.scale)
const PORT = 7000

/** What builds `count` pairs of hosts that send each other packets. */
function pairs(count, client, server) {
  return (topology) =>
    Array.from({ length: count }, (_, i) => [
      topology.host(`client-${i}`, client(topology)),
      topology.host(`server-${i}`, server(topology)),
    ])
}

const open = () => ({})
const behind = (topology) => ({ lan: topology.lan({ nat: 'home' }) })
const behindCable = (topology) => ({ lan: topology.lan({ nat: 'home', link: 'cable' }), link: 'wifi' })
const onFibre = () => ({ link: 'fibre' })

const cases = [
  ['100 pairs, host - internet - host', pairs(100, open, open)],
  ['100 pairs, host - NAT - internet - host', pairs(100, behind, open)],
  ['5000 pairs, host - NAT - internet - host', pairs(5000, behind, open)],
  ['100 pairs, wifi - NAT - cable - internet - fibre', pairs(100, behindCable, onFibre)],
]

/** Each pair keeps eight packets going back and forth until `PACKETS` have been sent. */
async function exchange(build) {
  const scheduler = new Scheduler(1n)
  const topology = new Topology(scheduler, { defaultPacketLoss: 0 })
  let left = PACKETS
  const send = (socket, to, payload) => {
    if (left-- > 0) socket.send(to, payload, 100)
  }
  for (const [client, server] of build(topology)) {
    const answering = server.bind(PORT, ({ source, payload }) => send(answering, source, payload))
    const asking = client.bind(PORT, ({ source, payload }) => send(asking, source, payload))
    for (let i = 0; i < 8; i++) {
      scheduler.schedule(i * 1000, () => send(asking, answering.localAddress, client))
    }
  }
  const start = performance.now()
  await new Driver(scheduler).run()
  const ms = performance.now() - start
  const { delivered } = topology.fabric.counters
  if (delivered < PACKETS * 0.9) throw new Error(`only ${delivered} of ${PACKETS} packets arrived`)
  return { ms, delivered }
}

const figures = []
for (const [name, build] of cases) {
  const results = await rounds(options.rounds, () => exchange(build))
  figures.push(figure(name, 'packets/s', results, ({ ms, delivered }) => (1000 * delivered) / ms))
}
report('network: packets through the virtual internet', figures, options)
