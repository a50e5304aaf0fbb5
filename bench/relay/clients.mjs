// Clients of a relay, as bare as they can be, so that the relay and not they are what is measured.
import { createRequire } from 'node:module'
import { blake3 } from '@noble/hashes/blake3.js'
import { SigningKey } from '../../dist/core/keys.js'

// Not an import: its types would bring Node's to every script that is checked together with this one.
const { WebSocket } = createRequire(import.meta.url)('ws')
const CONTEXT = Buffer.from('iroh-relay handshake v1 challenge signature')
const HEAD_BYTES = 34
let made = 0

/** A client that the relay has accepted; packets are counted, and told to `onPacket`, the end to `onEnd`. */
export function connect(url) {
  const secret = new Uint8Array(32)
  new DataView(secret.buffer).setUint32(0, ++made)
  const key = new SigningKey(secret)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/relay`, ['iroh-relay-v2', 'iroh-relay-v1'], {
    perMessageDeflate: false,
  })
  const client = { id: key.nodeId.asBytes(), socket, received: 0, onPacket: undefined, onEnd: undefined }
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', (code) => {
      const error = new Error(`the relay closed the connection: ${code}`)
      reject(error)
      client.onEnd?.(error)
    })
    socket.on('message', (frame) => {
      switch (frame[0]) {
        case 0: {
          const message = blake3(frame.subarray(1), { context: CONTEXT })
          socket.send(Buffer.concat([Buffer.of(1), client.id, Buffer.of(64), key.sign(message)]))
          break
        }
        case 2:
          resolve(client)
          break
        case 6:
        case 7:
          client.received++
          client.onPacket?.(frame)
          break
        case 9:
          socket.send(Buffer.concat([Buffer.of(10), frame.subarray(1)]))
          break
        default:
      }
    })
  })
}

/** A datagram of `bytes` for `to`. */
export function packetFor(to, bytes) {
  const frame = Buffer.alloc(HEAD_BYTES + bytes, 7)
  frame[0] = 4
  frame.set(to.id, 1)
  frame[33] = 0
  return frame
}

/** Sends `count` packets along each of `pairs`, never more than `ahead` of what has arrived on one. */
export function pump(pairs, bytes, count, ahead) {
  return Promise.all(
    pairs.map(
      ([from, to]) =>
        new Promise((resolve, reject) => {
          from.onEnd = reject
          to.onEnd = reject
          let sent = 0
          let got = 0
          const send = () => {
            // A frame of its own each time: ws masks what it sends, in place.
            while (sent < count && sent - got < ahead) {
              from.socket.send(packetFor(to, bytes))
              sent++
            }
          }
          to.onPacket = () => {
            got++
            if (got === count) resolve()
            else send()
          }
          send()
        }),
    ),
  )
}
