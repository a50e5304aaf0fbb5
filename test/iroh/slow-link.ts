/**
 * A link with a delay: a UDP proxy on loopback, which others can look at and cut.
 *
 * @module
 */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'

/** What a packet is on. */
type Direction = 'up' | 'down'

/** A link to one server. */
export interface SlowLink extends AsyncDisposable {
  /** What clients connect to. */
  readonly address: string
  /** Packets that have arrived at it so far. */
  readonly packets: { readonly direction: Direction; readonly bytes: Uint8Array; readonly from: number }[]
  /** Packets for which this is false are dropped. */
  passes: (direction: Direction, bytes: Uint8Array) => boolean
  /** Sends a packet to the server, from an address of its own. */
  replay(bytes: Uint8Array): void
}

async function bound(host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  return socket
}

/**
 * Opens a link from 127.0.0.1 to a port at ::1 that takes `delayMs` each way. Endpoints that are bound to one of these
 * each have no other way to each other.
 */
export async function slowLink(port: number, delayMs: number): Promise<SlowLink> {
  const [front, other] = [await bound('127.0.0.1'), await bound('::1')]
  const backs = new Map<number, Promise<Socket>>()
  const timers = new Set<NodeJS.Timeout>()
  let open = true
  const later = (work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (open) work()
    }, delayMs)
    timers.add(timer)
  }
  const link: SlowLink = {
    address: `127.0.0.1:${front.address().port}`,
    packets: [],
    passes: () => true,
    replay: (bytes) => other.send(bytes, port, '::1'),
    async [Symbol.asyncDispose]() {
      open = false
      for (const timer of timers) clearTimeout(timer)
      for (const socket of [front, other, ...(await Promise.all(backs.values()))]) socket.close()
    },
  }
  const backOf = (client: number): Promise<Socket> => {
    const known = backs.get(client)
    if (known) return known
    const opening = bound('::1').then((socket) => {
      socket.on('message', (bytes) => {
        link.packets.push({ direction: 'down', bytes, from: client })
        if (link.passes('down', bytes)) later(() => front.send(bytes, client, '127.0.0.1'))
      })
      return socket
    })
    backs.set(client, opening)
    return opening
  }
  front.on('message', (bytes, { port: client }) => {
    link.packets.push({ direction: 'up', bytes, from: client })
    if (!link.passes('up', bytes)) return
    const back = backOf(client)
    later(() => void back.then((socket) => socket.send(bytes, port, '::1')))
  })
  return link
}
