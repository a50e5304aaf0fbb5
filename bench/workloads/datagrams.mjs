// Workloads of plain datagrams: what the virtual internet costs by itself. Each runs once and says how long it took, how
// many packets there were, and how much virtual time has passed.
import { Scheduler, Topology } from '../../dist/simulator/index.js'
import { randomStream } from '../../dist/simulator/random.js'

const PORT = 7000
const REQUEST = Object.freeze({ is: 'request' })
const ANSWER = Object.freeze({ is: 'answer' })

/** Runs events to the end, or to `untilUs`: plain callbacks need no settling. */
function drive(scheduler, untilUs = Number.POSITIVE_INFINITY) {
  scheduler.driving = true
  while (scheduler.advance(untilUs));
  scheduler.driving = false
}

/** Runs `build` and then the events; measures both together. */
function measure(untilUs, build) {
  const start = performance.now()
  const scheduler = new Scheduler(1n)
  const topology = new Topology(scheduler, { defaultLatencyMs: 25, defaultPacketLoss: 0 })
  const expected = build(scheduler, topology)
  const buildMs = performance.now() - start
  drive(scheduler, untilUs)
  const ms = performance.now() - start
  const { sent, delivered } = topology.fabric.counters
  if (delivered < expected() * 0.999)
    throw new Error(`only ${delivered} of ${expected()} packets arrived, ${sent} were sent`)
  const virtualMs = scheduler.nowUs() / 1000
  return { ms, buildMs, virtualMs, packets: delivered, events: scheduler.eventsRun, hash: scheduler.audit.digest() }
}

/** A socket that answers requests; `onAnswer` hears of answers. */
function echo(iface, onAnswer = () => {}) {
  const socket = iface.bind(PORT, ({ source, payload }) => {
    if (payload === REQUEST) socket.send(source, ANSWER, 100)
    else onAnswer()
  })
  return socket
}

/**
 * W1: ten hosts, each a request of 100 B to a random other every 100 virtual ms, and its answer; 25 ms one way. With
 * `nat`, each is behind a NAT of its own that forwards its port, so that every packet is translated twice.
 */
export function w1({ seconds = 3600, nat = true } = {}) {
  return measure(undefined, (scheduler, topology) => {
    const random = randomStream(1n, 'w1')
    const targets = []
    const sockets = Array.from({ length: 10 }, (_, i) => {
      const lan = nat ? topology.lan({ nat: 'home' }) : undefined
      const iface = topology.host(`host-${i}`, { lan })
      targets.push(lan ? topology.fabric.book.parse(lan.forwardPort(iface, PORT)) : undefined)
      return echo(iface)
    })
    for (const [i, socket] of sockets.entries()) {
      let left = seconds * 10
      const tick = () => {
        const other = (i + 1 + random.nextBelow(9)) % 10
        socket.send(targets[other] ?? sockets[other].localAddress, REQUEST, 100)
        if (--left > 0) scheduler.schedule(100_000, tick)
      }
      scheduler.schedule(i * 10_000, tick)
    }
    return () => seconds * 10 * 10 * 2
  })
}

/**
 * W3: `hosts` hosts, one ping a virtual second for `seconds`, and its answer. Every other host is public, and pinged; the
 * others are behind a home NAT each.
 */
export function w3({ hosts = 1000, seconds = 60, nat = true } = {}) {
  return measure(undefined, (scheduler, topology) => {
    const random = randomStream(1n, 'w3')
    const servers = []
    const sockets = Array.from({ length: hosts }, (_, i) => {
      const isPublic = i % 2 === 0
      const lan = isPublic || !nat ? undefined : topology.lan({ nat: 'home' })
      const socket = echo(topology.host(`host-${i}`, { lan }))
      if (isPublic) servers.push(socket.localAddress)
      return socket
    })
    for (const [i, socket] of sockets.entries()) {
      let left = seconds
      const tick = () => {
        socket.send(servers[random.nextBelow(servers.length)], REQUEST, 100)
        if (--left > 0) scheduler.schedule(1_000_000, tick)
      }
      scheduler.schedule((i * 1_000_000) / hosts, tick)
    }
    return () => hosts * seconds * 2
  })
}

/** W4: `seeds` worlds of five hosts, each host twenty requests to the next. */
export function w4({ seeds = 1000 } = {}) {
  const start = performance.now()
  let packets = 0
  let events = 0
  let virtualMs = 0
  for (let seed = 0; seed < seeds; seed++) {
    const scheduler = new Scheduler(BigInt(seed))
    const topology = new Topology(scheduler, { defaultLatencyMs: 25, defaultPacketLoss: 0.01 })
    const sockets = Array.from({ length: 5 }, (_, i) => echo(topology.host(`host-${i}`)))
    for (const [i, socket] of sockets.entries()) {
      const to = sockets[(i + 1) % 5].localAddress
      let left = 20
      const tick = () => {
        socket.send(to, REQUEST, 100)
        if (--left > 0) scheduler.schedule(100_000, tick)
      }
      scheduler.schedule(i * 1000, tick)
    }
    drive(scheduler)
    packets += topology.fabric.counters.delivered
    events += scheduler.eventsRun
    virtualMs += scheduler.nowUs() / 1000
  }
  if (packets < seeds * 180) throw new Error(`only ${packets} packets arrived`)
  return { ms: performance.now() - start, packets, events, virtualMs }
}

/** What a host takes of memory: `hosts` of them with a socket each, half of them behind a NAT, before the first packet. */
export function memory({ hosts = 10_000 } = {}) {
  globalThis.gc?.()
  const before = process.memoryUsage()
  const start = performance.now()
  const scheduler = new Scheduler(1n)
  const topology = new Topology(scheduler)
  const sockets = Array.from({ length: hosts }, (_, i) => {
    const lan = i % 2 === 0 ? undefined : topology.lan({ nat: 'home' })
    return echo(topology.host(`host-${i}`, { lan }))
  })
  const ms = performance.now() - start
  globalThis.gc?.()
  const after = process.memoryUsage()
  const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  if (sockets.length !== hosts) throw new Error('not all are there')
  return { ms, bytesPerHost: bytes / hosts, packets: 0, events: 0, virtualMs: 0 }
}
