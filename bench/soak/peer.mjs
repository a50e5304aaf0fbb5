// A peer of the soak: does one thing after the other with the server, checks every byte that comes, and tells how it
// went. It may be killed or stopped at any moment.
import { setMaxListeners } from 'node:events'
import { DefaultP2P, P2PAddress, P2PError, SecretKey } from '@moosicbox/p2p'
import { contentOf, isContent, randomFrom, withNumber } from './content.mjs'

const { key, relay, ticket, seed, first, pauseMs } = JSON.parse(process.argv[2])
const random = randomFrom(seed)
const home = P2PAddress.parse(ticket)
/** Longest time of one thing; whatever is stuck for so long ends with an error that says where. */
const PATIENCE_MS = 45_000
/** What may be told of something that a fault has hit. */
const EXPECTED = new Set([
  'aborted',
  'connection-closed',
  'connection-failed',
  'delivery-unconfirmed',
  'no-route',
  'refused',
  'stream-reset',
  'stream-stopped',
  'timeout',
])

let flow = first
const counts = { done: 0, failed: 0, bytes: 0, lost: 0, codes: {} }
const ending = new AbortController()

const node = await DefaultP2P.create({
  secretKey: SecretKey.fromBytes(Buffer.from(key, 'hex')),
  relay: [relay],
  relayTimeoutMs: 500,
  bind: ['127.0.0.1:0', '[::1]:0'],
  limits: { idleTimeoutMs: 10_000 },
})

/** Something arrived that was not sent, or did not arrive although it was confirmed. */
function lost(what) {
  counts.lost++
  process.send({ lost: `${what} (seed ${seed})` })
}

const connect = (signal) => {
  // Sometimes over the relay alone at first.
  const to = random.next() < 0.3 ? new P2PAddress(home.id, [], home.relays) : home
  return node.connect(to, { signal, timeoutMs: 15_000 })
}

const work = {
  async echo(signal) {
    const [number, length] = [flow++, random.between(0, 300_000)]
    const body = contentOf(number, length)
    const answer = await node.request(home, { method: 'POST', path: '/echo', body, signal })
    if (!isContent(await answer.bytes(), number, length)) lost(`request ${number}: ${length} B came back changed`)
    counts.bytes += 2 * length
  },
  async download(signal) {
    const [number, length] = [flow++, random.between(0, 900_000)]
    const answer = await node.request(home, { method: 'GET', path: `/bytes/${number}/${length}`, signal })
    if (!isContent(await answer.bytes(), number, length)) lost(`download ${number}: ${length} B came changed`)
    counts.bytes += length
  },
  async cancel(signal) {
    const giveUp = AbortSignal.any([signal, AbortSignal.timeout(random.between(0, 20))])
    const path = `/bytes/${flow++}/900000`
    await node
      .request(home, { method: 'GET', path, signal: giveUp })
      .then((answer) => answer.bytes())
      .catch((error) => {
        if (!giveUp.aborted) throw error
      })
  },
  async messages(signal) {
    const number = flow++
    const count = random.between(1, 60)
    const connection = await connect(signal)
    try {
      const hear = async () => {
        for (let i = 0; i < count; i++) {
          const message = await connection.recv({ signal })
          const expected = withNumber(number, i * 97)
          if (Buffer.compare(message, expected) !== 0) lost(`message ${i} of ${number} came back changed`)
          counts.bytes += 2 * message.length
        }
      }
      const hearing = hear()
      hearing.catch(() => {})
      for (let i = 0; i < count; i++) await connection.send(withNumber(number, i * 97), { signal })
      if (random.next() < 0.5) await hearing
      await connection.end({ signal })
    } catch (error) {
      connection.close()
      throw error
    }
    // What `end` has confirmed has arrived.
    const tally = await node.request(home, { method: 'GET', path: `/tally/${number}`, signal })
    const heard = (await tally.json()).count
    if (heard !== count) lost(`${count} messages of ${number} were confirmed, ${heard} had arrived`)
  },
  async streams(signal) {
    const connection = await connect(signal)
    const one = async () => {
      const [number, length] = [flow++, random.between(0, 400_000)]
      const stream = await connection.openStream({ signal })
      const givesUp = random.next() < 0.2
      const send = async () => {
        const bytes = contentOf(number, length)
        for (let at = 0; at < length; at += 50_000) await stream.write(bytes.subarray(at, at + 50_000), { signal })
        await stream.finish()
      }
      const sending = send()
      sending.catch(() => {})
      if (givesUp) {
        await stream.read(1000, { signal })
        stream.reset(7)
        stream.stop(7)
        return
      }
      const back = await stream.readToEnd(length + 1, { signal })
      await sending
      if (!isContent(back, number, length)) lost(`stream ${number}: ${length} B came back changed`)
      counts.bytes += 2 * length
    }
    try {
      const results = await Promise.allSettled(Array.from({ length: random.between(1, 8) }, one))
      const failed = results.find(({ status }) => status === 'rejected')
      if (failed) throw failed.reason
      await connection.end({ signal })
    } catch (error) {
      connection.close()
      throw error
    }
  },
  async datagrams(signal) {
    const number = flow++
    const connection = await connect(signal)
    try {
      for (let i = 0; i < 20; i++) connection.sendDatagram(withNumber(number, 50))
      const datagram = await connection.recvDatagram({ signal: AbortSignal.any([signal, AbortSignal.timeout(2000)]) })
      if (!isContent(datagram.subarray(4), number, 50)) lost(`a datagram of ${number} came back changed`)
    } finally {
      connection.close()
    }
  },
  async garbage(signal) {
    // On our own protocol, so that it reaches the parsers.
    const connection = await node.connect(home, { signal, alpn: 'moosicbox/p2p/1', timeoutMs: 15_000 })
    try {
      for (let i = 0; i < 5; i++) {
        const stream = await connection.openStream({ signal, kind: 'request' })
        const bytes = Uint8Array.from({ length: random.between(1, 3000) }, () => random.between(0, 256))
        await stream.write(bytes, { signal })
        if (random.next() < 0.5) await stream.finish()
        else stream.reset(random.between(0, 100))
      }
    } finally {
      connection.close(random.between(0, 1000), 'garbage')
    }
  },
}

async function live() {
  while (!ending.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 2 * pauseMs * random.next()))
    const what = random.pick(Object.keys(work))
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      setMaxListeners(0, signal)
      await work[what](signal)
      counts.done++
    } catch (error) {
      counts.failed++
      const code = P2PError.is(error) ? error.code : String(error?.stack ?? error)
      counts.codes[code] = (counts.codes[code] ?? 0) + 1
      if (!P2PError.is(error) || !EXPECTED.has(error.code)) process.send({ unexpected: `${what}: ${code}` })
    }
  }
}

process.on('message', (message) => {
  if (message === 'end') ending.abort()
})
const report = setInterval(() => process.send({ counts }), 1000)
process.on('disconnect', () => process.exit(0))
process.send({ backend: node.backend })
await Promise.all(Array.from({ length: 3 }, live))
clearInterval(report)
await node.close()
process.send({ counts })
process.disconnect()
