// The honest client: asks for something small every 20 ms over the connection that it has, and twice a second over a
// connection that it makes, and tells how long that takes.
import { DefaultP2P, P2PAddress, testSigningKey } from '@moosicbox/p2p'

const [door, ticket] = process.argv.slice(2)
const home = P2PAddress.parse(ticket)
const PING = { method: 'GET', path: '/ping' }
const EVERY_MS = 20
const CONNECT_EVERY_MS = 500
/** Longer is not served. */
const PATIENCE_MS = 10_000

const node = await DefaultP2P.create({
  secretKey: testSigningKey('honest'),
  relay: 'disabled',
  bind: ['127.0.0.1:0', '[::1]:0'],
  binding: door,
})
let figures = { requests: [], connects: [], failed: [] }

async function measure(list, work) {
  const start = performance.now()
  try {
    await work(AbortSignal.timeout(PATIENCE_MS))
    list.push(performance.now() - start)
  } catch (error) {
    figures.failed.push(`${error.code}: ${error.message}`)
  }
}

async function ping(signal) {
  const answer = await node.request(home, { ...PING, signal })
  if ((await answer.text()) !== 'pong') throw new Error('that was no answer')
}

/** A connection of its own, closed when a message shows that it is served: one that is refused hears of it. */
async function connect(signal) {
  const connection = await node.connect(home, { signal })
  try {
    const stream = await connection.openStream({ kind: 'request', signal })
    await stream.write(Uint8Array.of(0xff), { signal })
    stream.reset(0)
    // The server gives up what it does not understand, which takes it to have been let in.
    await stream.read(1, { signal }).catch((error) => {
      if (error.code !== 'stream-reset') throw error
    })
  } finally {
    connection.close()
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
async function repeat(everyMs, work) {
  for (;;) {
    const start = performance.now()
    await work()
    await pause(Math.max(0, everyMs - (performance.now() - start)))
  }
}

await ping()
void repeat(EVERY_MS, () => measure(figures.requests, ping))
void repeat(CONNECT_EVERY_MS, () => measure(figures.connects, connect))
process.on('message', () => {
  process.send(figures)
  figures = { requests: [], connects: [], failed: [] }
})
process.on('disconnect', () => process.exit(0))
process.send('ready')
