// hyperdht, for comparison: the peer-to-peer transport of Holepunch, whose nodes find each other by key in a DHT. One of its
// own with one node, on loopback. Frames as over TCP, on the one encrypted stream that a connection is.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import DHT from 'hyperdht'
import { serveFrames, streamLink } from './framed.mjs'

const HOST = '127.0.0.1'
/** Behind no NAT, and not part of the DHT. Otherwise it takes itself for unreachable, and hole punching on loopback comes to nothing. */
const node = (bootstrap) => new DHT({ host: HOST, bootstrap, firewalled: false, ephemeral: true })

async function freePort() {
  const socket = createSocket('udp4').bind(0, HOST)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

/** Starts to answer; tells where. */
export async function serveHyperdht() {
  const port = await freePort()
  await DHT.bootstrapper(port, HOST).ready()
  const bootstrap = [{ host: HOST, port }]
  const server = node(bootstrap).createServer(serveFrames)
  await server.listen()
  return { bootstrap, key: server.publicKey.toString('hex') }
}

/** The side. */
export function hyperdhtSide({ bootstrap, key }) {
  const dht = node(bootstrap)
  return {
    name: 'hyperdht',
    async connect() {
      const stream = dht.connect(Buffer.from(key, 'hex'))
      stream.on('error', () => {})
      if (!(await stream.opened)) throw new Error('hyperdht does not connect')
      return streamLink(stream)
    },
    close: () => dht.destroy(),
  }
}
