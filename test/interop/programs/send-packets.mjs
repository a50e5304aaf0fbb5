// Multicasts packets, given in base64, from an address of this host; and before each a hundred that make no sense.
import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'

const [from, ...packets] = process.argv.slice(2)
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
const send = (bytes) => new Promise((resolve) => socket.send(bytes, 5353, '224.0.0.251', resolve))

await new Promise((resolve) => socket.bind({ address: from, port: 5353 }, resolve))
socket.setMulticastInterface(from)
for (const packet of packets) {
  const bytes = Buffer.from(packet, 'base64')
  for (let i = 0; i < 100; i++) {
    const noise = i % 2 === 0 ? randomBytes(1 + i * 10) : Buffer.from(bytes)
    if (i % 2 === 1) noise.writeUInt8(i, (i * 7) % 12)
    await send(noise)
  }
  await send(bytes)
}
console.log('sent')
socket.close()
