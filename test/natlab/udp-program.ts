/**
 * The process of a machine with plain UDP sockets, which does what its parent asks for, call by call.
 *
 * @module
 */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'

/** What the parent asks. */
export type UdpCall = { readonly id: number } & (
  | { readonly method: 'bind'; readonly echoes: boolean }
  | { readonly method: 'send'; readonly socket: number; readonly text: string; readonly to: string }
  | { readonly method: 'received'; readonly socket: number }
)

/** A datagram that came, and when: milliseconds of the machine's clock, which all processes share. */
export interface Received {
  readonly text: string
  readonly from: string
  readonly atMs: number
}

interface Bound {
  readonly socket: Socket
  readonly received: Received[]
}

const MAX_RECEIVED = 10_000
const sockets: Bound[] = []

async function bind(echoes: boolean): Promise<number> {
  const socket = createSocket('udp4')
  const received: Received[] = []
  socket.on('message', (bytes: Buffer, { address, port }: RemoteInfo) => {
    if (received.length < MAX_RECEIVED) {
      received.push({ text: bytes.toString(), from: `${address}:${port}`, atMs: Number(process.hrtime.bigint()) / 1e6 })
    }
    if (echoes) socket.send(bytes, port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, resolve))
  return sockets.push({ socket, received }) - 1
}

async function perform(call: UdpCall): Promise<unknown> {
  if (call.method === 'bind') {
    const index = await bind(call.echoes)
    return { index, port: sockets[index]?.socket.address().port }
  }
  const bound = sockets[call.socket]
  if (!bound) throw new Error(`there is no socket ${call.socket}`)
  if (call.method === 'received') return bound.received
  const [address = '', port] = call.to.split(':')
  const atMs = Number(process.hrtime.bigint()) / 1e6
  await new Promise<void>((resolve) => bound.socket.send(call.text, Number(port), address, () => resolve()))
  return atMs
}

process.on('message', (call: UdpCall) => {
  perform(call).then(
    (result) => process.send?.({ id: call.id, result }),
    (error: unknown) => process.send?.({ id: call.id, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
