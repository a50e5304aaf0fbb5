// What was measured, done in the simulator: two nodes on one link, no relay, no NAT, a known address, a protocol of
// their own, so that streams carry nothing but the bytes below.
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
import { linkOptions } from './links.mjs'

const ALPN = 'fidelity'
const SMALL_BYTES = 100
const REQUESTS = 60
const BULK_BYTES = 1_048_576
const DOWN_BYTES = 102_400
/** Before anything is sent: both nodes are up. */
const START_MS = 10

async function serve(host) {
  const p2p = await SimulatorP2P.create({ host, relay: 'disabled' })
  const listener = await p2p.listen('', { alpns: [ALPN] })
  return { p2p, done: serveOne(listener) }
}

async function serveOne(listener) {
  const connection = await listener.accept()
  const small = new Uint8Array(SMALL_BYTES)
  const answerAll = async () => {
    const stream = await connection.acceptStream()
    for (;;) {
      const part = await stream.read(SMALL_BYTES)
      if (part === undefined) break
      if (part.length < SMALL_BYTES) await stream.readExactly(SMALL_BYTES - part.length)
      await stream.write(small)
    }
    await stream.finish()
  }
  await answerAll()
  await answerAll()
  for (let i = 0; i < 2; i++) {
    const upload = await connection.acceptReceiveStream()
    let left = BULK_BYTES
    for (let part = await upload.read(); part !== undefined; part = await upload.read()) left -= part.length
    if (left !== 0) throw new Error(`${left} bytes of an upload are missing`)
    const acknowledgement = await connection.openSendStream()
    await acknowledgement.write(new Uint8Array(1))
    await acknowledgement.finish()
  }
  const download = await connection.acceptStream()
  await download.readToEnd(SMALL_BYTES)
  await download.write(new Uint8Array(DOWN_BYTES))
  await download.finish()
  await connection.closed
}

async function request(stream, small) {
  await stream.write(small)
  await stream.readExactly(SMALL_BYTES)
}

async function upload(connection, bytes) {
  const stream = await connection.openSendStream()
  await stream.write(bytes)
  await stream.finish()
  const acknowledgement = await connection.acceptReceiveStream()
  await acknowledgement.readToEnd(1)
}

async function measure(host, peer) {
  const p2p = await SimulatorP2P.create({ host, relay: 'disabled' })
  const { runtime } = host
  // Timers tick in whole milliseconds: where between two ticks a repetition begins is left to chance, as it was.
  await runtime.sleep(START_MS + runtime.random())
  const time = async (work) => {
    const start = runtime.now()
    const result = await work()
    return [runtime.now() - start, result]
  }
  const small = new Uint8Array(SMALL_BYTES)
  const bulk = new Uint8Array(BULK_BYTES)
  const [connect, connection] = await time(() => p2p.connect(peer(), { alpn: ALPN }))
  const [first] = await time(async () => {
    const stream = await connection.openStream()
    await request(stream, small)
    await stream.finish()
  })
  const rtt = []
  const stream = await connection.openStream()
  for (let i = 0; i < REQUESTS; i++) rtt.push((await time(() => request(stream, small)))[0])
  await stream.finish()
  const [cold] = await time(() => upload(connection, bulk))
  const [warm] = await time(() => upload(connection, bulk))
  const [down100k] = await time(async () => {
    const download = await connection.openStream()
    await download.write(small)
    await download.finish()
    await download.readToEnd(DOWN_BYTES)
  })
  connection.close()
  return { connect, first, rtt, cold, warm, down100k }
}

/**
 * One repetition over the link of `row`; all times in milliseconds. Undefined when the connection did not outlive a long
 * burst of losses, as a real one would not: there is no time to compare then.
 */
export async function exchange(row, seed, options = {}) {
  const sim = new Simulation({ ...options, seed })
  let server
  let result
  const way = { up: linkOptions(row.up, row.emulatorMs), down: linkOptions(row.down, row.emulatorMs) }
  const { processingMs } = row
  sim.host('server', { link: { up: {}, down: {} }, processingMs }, async (host) => {
    server = await serve(host)
    await server.done
  })
  sim.host('client', { link: way, processingMs }, async (host) => {
    result = await measure(host, () => server.p2p.address())
  })
  try {
    await sim.run({ forMs: 3_600_000 })
  } catch (error) {
    if (error.cause?.code === 'connection-closed' || error.cause?.code === 'timeout') return undefined
    throw error
  } finally {
    await sim.close()
  }
  if (!result) throw new Error(`${row.name}, seed ${seed}: the exchange did not end`)
  return result
}
