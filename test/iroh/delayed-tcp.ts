/**
 * A way to a server on loopback that takes a while: a TCP proxy.
 *
 * @module
 */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'

/** What stands in front of the server. */
export interface DelayedTcp {
  /** In place of the server's own. */
  readonly url: string
  close(): void
}

/** Opens a way to a port of 127.0.0.1 that takes `delayMs` each way. What is sent keeps its order. */
export async function delayedTcp(port: number, delayMs: number): Promise<DelayedTcp> {
  const sockets = new Set<Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const later = (work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      work()
    }, delayMs)
    timers.add(timer)
  }
  const track = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const carry = (from: Socket, to: Socket): void => {
    from.on('data', (bytes: Buffer) => later(() => to.write(bytes)))
    from.on('close', () => later(() => to.destroy()))
  }
  const server = createServer({ noDelay: true }, (front) => {
    const back = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const socket of [front, back]) track(socket)
    carry(front, back)
    carry(back, front)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close()
      for (const timer of timers) clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
    },
  }
}
