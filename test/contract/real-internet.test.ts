/** The network that the contract suite gives to real iroh: what its NATs do to plain datagrams, and who gets through them. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import type { NatPresetName } from '../../src/simulator/index.ts'
import { DOORS } from '../iroh/doors.ts'
import { irohBackend } from './support/iroh-backend.ts'
import { RealInternet, whyNoInternet } from './support/real-internet.ts'

const WHY_NOT = whyNoInternet()
const SOON = { timeout: 10_000 }
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

/** A socket, and what has come to it, with the address it came from. */
async function bound(ip: string): Promise<{ socket: Socket; heard: string[] }> {
  const socket = createSocket('udp4')
  const heard: string[] = []
  socket.on('message', (bytes, from) => heard.push(`${bytes.toString()} ${from.address}:${from.port}`))
  socket.bind(0, ip)
  await once(socket, 'listening')
  open.push(() => socket.close())
  return { socket, heard }
}

describe.skipIf(WHY_NOT !== undefined)('datagrams', () => {
  /** Somebody inside, two public servers, and what a server is answered. */
  async function world(nat: NatPresetName, latencyMs = 0) {
    const internet = RealInternet.open({ latencyMs })
    open.push(() => internet.close())
    const inside = await bound(internet.home(nat).insideIp)
    const servers = await Promise.all(
      [internet.home(), internet.home()].map(async (home) => {
        const { socket, heard } = await bound(home.insideIp)
        const [ip = '', port] = (await home.publish(`${home.insideIp}:${socket.address().port}`)).split(':')
        return { socket, heard, ip, port: Number(port), own: home.insideIp }
      }),
    )
    const [first, second] = servers
    if (!first || !second) throw new Error('there are no servers')
    const seenFrom = async (server: typeof first, text: string): Promise<string> => {
      inside.socket.send(text, server.port, server.ip)
      await expect.poll(() => server.heard.some((line) => line.startsWith(text)), SOON).toBe(true)
      return server.heard.find((line) => line.startsWith(text))?.split(' ')[1] ?? ''
    }
    return { inside, first, second, seenFrom }
  }

  function send(from: { socket: Socket }, text: string, to: string): void {
    const [ip = '', port] = to.split(':')
    from.socket.send(text, Number(port), ip)
  }

  test.each([
    ['full-cone', true, true],
    ['home', true, false],
    ['symmetric', false, false],
  ] as const)('%s: one port for all is %s, strangers come in is %s', async (nat, isOnePort, letsIn) => {
    const { inside, first, second, seenFrom } = await world(nat)
    const outside = await seenFrom(first, 'hello')
    // What is sent before the answer, and is let in, comes before it.
    send(second, 'stranger', outside)
    send(first, 'answer', outside)
    await expect.poll(() => inside.heard.some((line) => line.startsWith('answer')), SOON).toBe(true)
    const fromStranger = letsIn ? [`stranger ${second.ip}:${second.port}`] : []
    expect(inside.heard.toSorted()).toEqual([`answer ${first.ip}:${first.port}`, ...fromStranger])
    expect((await seenFrom(second, 'hello')) === outside).toBe(isOnePort)
  })

  test('no way leads from one inside to another', async () => {
    const { inside, first, seenFrom } = await world('full-cone')
    send(first, 'past it', `127.1.0.1:${inside.socket.address().port}`)
    inside.socket.send('past it', first.socket.address().port, first.own)
    // The loopback interface keeps the order.
    await seenFrom(first, 'hello')
    expect(first.heard).toHaveLength(1)
    expect(inside.heard).toEqual([])
  })

  test('a datagram is not there before the latency is over', async () => {
    const { first, seenFrom } = await world('home', 50)
    const startMs = performance.now()
    await seenFrom(first, 'hello')
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(50)
    expect(first.heard).toHaveLength(1)
  })
})

describe.skipIf(WHY_NOT !== undefined).each(DOORS)('through the $name door', ({ name }) => {
  /** The path that two get in the end, once it is the one that they must get. */
  const pathOf = async (nats: readonly [NatPresetName, NatPresetName], wanted: string): Promise<string> => {
    let path = ''
    await irohBackend(name).run(
      async (world) => {
        const [a, b] = [await world.create('a'), await world.create('b')]
        const listener = await b.listen()
        const [client, server] = await Promise.all([a.connect(b.address()), listener.accept()])
        const talk = async (): Promise<string> => {
          await client.send(Uint8Array.of(1))
          await server.recv()
          return client.stats().path
        }
        await expect.poll(talk, SOON).toBe(wanted)
        path = await talk()
        for (const end of [client, server]) end.close()
      },
      { nats },
    )
    return path
  }

  test('two behind home routers punch through', async () => {
    expect(await pathOf(['home', 'home'], 'direct')).toBe('direct')
  })

  test('two of whom one has no UDP stay with the relay', async () => {
    expect(await pathOf(['full-cone', 'udp-blocked'], 'relay')).toBe('relay')
  })
})
