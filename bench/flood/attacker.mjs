// The attacker: strangers that try to connect, a known peer that opens streams, or garbage on the socket.
import { createSocket } from 'node:dgram'
import { randomBytes } from 'node:crypto'
import { DefaultP2P, P2PAddress, SecretKey, testSigningKey } from '@moosicbox/p2p'

const [how, ticket, number] = process.argv.slice(2)
const count = Number(number)
const home = P2PAddress.parse(ticket)
/** Not the address of the honest client. */
const bind = ['127.0.0.66:0', '[::1]:0']
const IN_FLIGHT = 128
/** Strangers' identities; each makes as many attempts as it takes. */
const KEYS = 50

const create = (secretKey) => DefaultP2P.create({ secretKey, relay: 'disabled', bind })

/** `work` so many times, as many at a time as the attacker can bear. */
async function flood(times, work) {
  let left = times
  const one = async () => {
    while (left-- > 0) await work(left).catch(() => {})
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
}

const attacks = {
  /** Handshakes by those who are not let in. */
  async strangers() {
    const nodes = await Promise.all(Array.from({ length: KEYS }, () => create(SecretKey.generate())))
    process.send('ready')
    await flood(count, async (i) => {
      const connection = await nodes[i % KEYS].connect(home, { timeoutMs: 10_000 })
      // To the end that the server gives it, so that nothing is given up early.
      await connection.closed
    })
    await Promise.all(nodes.map((node) => node.close()))
  },
  /** Streams by one who is, with what no parser takes, half of them left open. */
  async streams() {
    const node = await create(testSigningKey('hostile'))
    const connections = await Promise.all(Array.from({ length: 8 }, () => node.connect(home)))
    process.send('ready')
    const garbage = randomBytes(4096)
    await flood(count, async (i) => {
      const stream = await connections[i % connections.length].openStream({
        kind: i % 4 === 0 ? 'stream' : 'request',
        signal: AbortSignal.timeout(5000),
      })
      await stream.write(garbage.subarray(0, 1 + (i % 4096)))
      if (i % 2 === 0) stream.reset(1)
      else await stream.finish()
    })
    for (const connection of connections) connection.close()
    await node.close()
  },
  /** Packets that look like the first of a connection, and are none. */
  async packets() {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.66')
    const port = Number(home.direct[0].split(':').at(-1))
    process.send('ready')
    for (let i = 0; i < count; i++) {
      const packet = randomBytes(1200)
      packet[0] = 0xc0
      packet.writeUInt32BE(1, 1)
      await new Promise((resolve) => socket.send(packet, port, '127.0.0.1', resolve))
    }
    socket.close()
  },
}

await attacks[how]()
process.disconnect()
