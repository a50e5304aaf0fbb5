// What was seen of real connections that begin over a relay: which pairs of NATs get a direct path and when, what a
// relayed connection is like, and what an outage of its relay does to it.
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'

const ALPN = 'fidelity'
const SMALL_BYTES = 100
const BULK_BYTES = 1_048_576
/** What a stream without an end sends, and how often, as in the NAT lab. */
const CHUNK_BYTES = 4096
const CHUNK_EVERY_MS = 20
/** How long a request waits for the next beside such streams. */
const REQUEST_EVERY_MS = 10
/** By then every node is attached to its relay and knows where it is seen from outside. */
const START_MS = 5000

/**
 * Two homes and a relay next to the core of the network; `client(connection, runtime)` runs when the connection is up and
 * its result is what this returns, with the milliseconds that connecting took.
 */
async function atHomes({ seed, nats, link, outage, streams = false }, client) {
  const sim = new Simulation({ seed })
  const relay = sim.relay('relay', { link: { up: {}, down: {} } })
  const place = (nat) =>
    nat === 'none' ? { link: { up: link, down: link } } : { lan: sim.lan({ nat, link: { up: link, down: link } }) }
  const create = (host) => SimulatorP2P.create({ host, relay: [relay.url] })
  let server
  sim.host('server', place(nats[1]), async (host) => {
    server = await create(host)
    const connection = await (await server.listen('', { alpns: [ALPN] })).accept()
    const oneWay = streams ? exchange(connection, host.runtime) : acknowledge(connection)
    await Promise.all([answer(connection), oneWay])
  })
  let result
  sim.host('client', place(nats[0]), async (host) => {
    const p2p = await create(host)
    const { runtime } = host
    await runtime.sleep(START_MS)
    const start = runtime.now()
    const connection = await p2p.connect(server.address(), { alpn: ALPN })
    const connect = runtime.now() - start
    if (streams) void exchange(connection, runtime)
    result = { connect, ...(await client(connection, runtime)) }
    connection.close()
  })
  if (outage) {
    sim.at(outage.atMs, () => relay.kill())
    sim.at(outage.atMs + outage.forMs, () => relay.start())
  }
  try {
    await sim.run({ forMs: 3_600_000 })
  } finally {
    await sim.close()
  }
  if (!result) throw new Error(`${nats.join(' to ')}, seed ${seed}: the client did not come to its end`)
  return result
}

/** Answers requests on two-way streams. */
async function answer(connection) {
  const small = new Uint8Array(SMALL_BYTES)
  const answerOne = async (stream) => {
    for (let part = await stream.read(SMALL_BYTES); part !== undefined; part = await stream.read(SMALL_BYTES)) {
      if (part.length < SMALL_BYTES) await stream.readExactly(SMALL_BYTES - part.length)
      await stream.write(small)
    }
  }
  await untilClosed(async () => {
    for (;;) void answerOne(await connection.acceptStream()).catch(() => {})
  })
}

/** Acknowledges what comes on one-way streams with a byte on one back. */
async function acknowledge(connection) {
  await untilClosed(async () => {
    for (;;) {
      const upload = await connection.acceptReceiveStream()
      await upload.readToEnd(BULK_BYTES)
      const acknowledgement = await connection.openSendStream()
      await acknowledgement.write(new Uint8Array(1))
      await acknowledgement.finish()
    }
  })
}

async function* requests(connection, runtime, pauseMs = 0) {
  const stream = await connection.openStream()
  const small = new Uint8Array(SMALL_BYTES)
  for (;;) {
    const start = runtime.now()
    await stream.write(small)
    await stream.readExactly(SMALL_BYTES)
    yield runtime.now() - start
    if (pauseMs > 0) await runtime.sleep(pauseMs)
  }
}

/** Sends all the time, and reads what the other side sends, until the connection ends. */
async function exchange(connection, runtime) {
  const chunk = new Uint8Array(CHUNK_BYTES)
  const send = async () => {
    const stream = await connection.openSendStream()
    for (;;) {
      await stream.write(chunk)
      await runtime.sleep(CHUNK_EVERY_MS)
    }
  }
  const receive = async () => {
    const stream = await connection.acceptReceiveStream()
    for (;;) await stream.read()
  }
  await Promise.all([untilClosed(send), untilClosed(receive)])
}

async function untilClosed(work) {
  try {
    await work()
  } catch (error) {
    if (error.code !== 'connection-closed') throw error
  }
}

const isDirect = (paths) => paths.some(({ kind, selected }) => kind === 'direct' && selected)

/** Whether a pair of NATs gets a direct path, and how many milliseconds after connecting. */
export function natPair({ seed, nats, linkMs, forMs = 12_000 }) {
  return atHomes({ seed, nats, link: { latencyMs: linkMs } }, async (connection, runtime) => {
    const start = runtime.now()
    let directAfter = isDirect(connection.paths()) ? 0 : undefined
    connection.onPathChange((paths) => {
      if (isDirect(paths)) directAfter ??= runtime.now() - start
    })
    for await (const _ of requests(connection, runtime)) if (runtime.now() - start > forMs) break
    return { outcome: isDirect(connection.paths()) ? 'direct' : 'relayed', directAfter }
  })
}

/** A connection that stays relayed, or one that needs no relay: requests one after the other, then transfers. */
export function loadAtHome({ seed, nats, linkMs, lossPercent = 0, requests: count, transfers }) {
  const link = { latencyMs: linkMs, packetLoss: lossPercent / 100 }
  return atHomes({ seed, nats, link }, async (connection, runtime) => {
    const requestMs = []
    for await (const time of requests(connection, runtime)) if (requestMs.push(time) === count) break
    const transferMs = []
    while (transferMs.length < transfers) {
      const start = runtime.now()
      const upload = await connection.openSendStream()
      await upload.write(new Uint8Array(BULK_BYTES))
      await upload.finish()
      await (await connection.acceptReceiveStream()).readToEnd(1)
      transferMs.push(runtime.now() - start)
    }
    return { requestMs, transferMs, outcome: isDirect(connection.paths()) ? 'direct' : 'relayed' }
  })
}

/**
 * The longest a request takes while the relay of a relayed connection is killed for `forMs`; undefined when the connection
 * dies of it, after 30 s of silence. With `streams` both sides also send all the time, more than their windows hold.
 */
export async function relayOutage({ seed, linkMs, forMs, streams = false }) {
  // Streams meet the outage at any moment between two of their chunks.
  const atMs = START_MS + (streams ? 7000 + ((seed * 37) % 1000) : 10_000 + (seed % 100) * 10)
  const link = { latencyMs: linkMs }
  const setting = { seed, nats: ['symmetric', 'symmetric'], link, outage: { atMs, forMs }, streams }
  const { stall } = await atHomes(setting, async (connection, runtime) => {
    let longest = 0
    try {
      for await (const time of requests(connection, runtime, streams ? REQUEST_EVERY_MS : 0)) {
        longest = Math.max(longest, time)
        if (longest > forMs || runtime.now() > atMs + forMs + 60_000) break
      }
    } catch (error) {
      if (error.code !== 'connection-closed') throw error
      return { stall: undefined }
    }
    return { stall: longest }
  })
  return stall === undefined ? undefined : { stall }
}
