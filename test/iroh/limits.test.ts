/**
 * What the native door keeps from JavaScript, and what a peer cannot make it hold.
 *
 * @module
 */
import { afterEach, describe, expect, test } from 'vitest'
import type { CarrierConnection, CarrierSendStream } from '../../src/core/carrier.ts'
import { LIBRARY_CODE } from '../../src/core/engine/wire.ts'
import { testNodeId } from '../../src/core/keys.ts'
import type { DoorSettings, IrohEndpoint } from '../../src/iroh/binding.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { nativeBinding } from '../../src/iroh/native/binding.ts'
import type { NativeConnection } from '../../src/iroh/native/connection.ts'
import { DOORS, NATIVE_DOOR } from './doors.ts'
import { ALPN, connect, incoming, LOOPBACK, openEndpoint, readAll, scrambled, useDoor } from './endpoints.ts'

const endpoints: IrohEndpoint[] = []
afterEach(async () => {
  await Promise.all(endpoints.splice(0).map(async (endpoint) => endpoint.close()))
})

async function open(name: string, settings: Partial<DoorSettings> = {}): Promise<IrohEndpoint> {
  useDoor({ binding: () => nativeBinding() })
  const endpoint = await openEndpoint(name, settings)
  endpoints.push(endpoint)
  return endpoint
}

/** A connection to a node with these bounds. */
async function pairOf(admission: DoorSettings['admission']): Promise<{ a: CarrierConnection; b: NativeConnection }> {
  const [client, server] = await Promise.all([open('a'), open('b', { admission })])
  const next = incoming(server)
  server.setAlpns([ALPN])
  const [a, b] = await Promise.all([connect(client, server), next()])
  return { a, b: b as NativeConnection }
}

/** Bytes that have come over the network. */
function arrivedBytes(connection: NativeConnection): number {
  const { addon, context } = connection.door
  const [handle = 0] = [...connection.door.connections].find(([, candidate]) => candidate === connection) ?? []
  return addon.stats(context, handle)[5] ?? 0
}

const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until it is so, for 20 s. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; !isSo(); i++) {
    if (i === 2000) throw new Error('it did not come about')
    await pause(10)
  }
}

/** Sends `bytes` on each of `count` streams, and ends them. */
async function flood(connection: CarrierConnection, count: number, bytes: Uint8Array): Promise<void> {
  const sendOne = async (): Promise<void> => {
    const stream = await connection.openUni()
    await stream.write(bytes)
    await stream.finish()
  }
  await Promise.all(Array.from({ length: count }, sendOne))
}

describe.skipIf(!NATIVE_DOOR.here)(`limits in Rust ${NATIVE_DOOR.why}`, () => {
  test('one who opens many streams does not make another wait', async () => {
    const [hostile, honest, server] = await Promise.all([open('hostile'), open('honest'), open('b')])
    const next = incoming(server)
    server.setAlpns([ALPN])
    const pairOver = async (client: IrohEndpoint): Promise<{ from: NativeConnection; to: NativeConnection }> => {
      const [from, to] = await Promise.all([connect(client, server), next()])
      return { from: from as NativeConnection, to: to as NativeConnection }
    }
    const [many, one] = [await pairOver(hostile), await pairOver(honest)]
    const order: string[] = []
    for (const [{ to }, name] of [
      [many, 'hostile'],
      [one, 'honest'],
    ] as const) {
      const accepted = to.accepted.bind(to)
      to.accepted = (...stream): void => {
        order.push(name)
        accepted(...stream)
      }
    }
    /** JavaScript is busy meanwhile, so that nothing is taken before all is there. */
    const send = ({ from, to }: typeof one, count: number): void => {
      const before = arrivedBytes(to)
      for (let i = 0; i < count; i++) void from.openBiNow()?.send.writeNow?.(new Uint8Array(1000))
      from.door.batch.flush()
      const limitMs = performance.now() + 5000
      while (arrivedBytes(to) < before + count * 1000 && performance.now() < limitMs);
    }
    send(many, 200)
    for (let i = 0; i < 4; i++) send(one, 1)
    await until(() => order.length === 204)
    // All 200 came first; a turn is worth eight of them.
    expect(order.indexOf('honest')).toBeLessThan(50)
  })

  test('of handshakes a second from one address, and then there is room again', async () => {
    const [a, b] = [await open('a'), await open('b', { admission: { maxHandshakesPerSecond: 2 } })]
    let heard = 0
    b.onIncoming = () => heard++
    b.setAlpns([ALPN])
    let made = 0
    const attempt = async (): Promise<unknown> =>
      connect(a, b).then(
        () => undefined,
        (error: unknown) => error,
      )
    let refusal: unknown = undefined
    // Six at once, and two more for every second that these take.
    while (refusal === undefined && made < 100) {
      refusal = await attempt()
      made++
    }
    expect(refusal).toMatchObject({ code: 'refused' })
    expect(made).toBeGreaterThan(6)
    expect(made).toBeLessThan(30)
    await until(() => heard === made - 1)
    let refusals = 0
    for (; refusals < 100 && (await attempt()) !== undefined; refusals++) await pause(50)
    expect(refusals).toBeLessThan(100)
  })

  test('of connections, in all and of a peer, hold before JavaScript hears of anybody', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')]
    let heard = 0
    b.onIncoming = () => heard++
    b.setAlpns([ALPN], { connections: 3, connectionsPerPeer: 2 })
    const first = await connect(a, b)
    await connect(a, b)
    const third = await connect(a, b)
    expect(await third.closed).toEqual({
      closeCode: LIBRARY_CODE.refused,
      reason: 'it holds its limit of 2 connections from one peer',
      by: 'remote',
    })
    await connect(c, b)
    const fourth = await connect(c, b)
    expect((await fourth.closed).reason).toBe('it holds its limit of 3 connections')
    expect(heard).toBe(3)
    // A place that is given back can be had again.
    first.close(0, '')
    let tries = 0
    const isBack = async (): Promise<boolean> => {
      await connect(a, b)
      await pause(20)
      return heard === 4
    }
    while (!(await isBack())) expect(++tries).toBeLessThan(200)
  })

  test('of bytes: streams that nobody reads hold no more than the share of their connection, and come whole', async () => {
    const { a, b } = await pairOf({ maxReceiveBytes: 1_048_576 })
    const bytes = scrambled(600_000)
    const sending = flood(a, 40, bytes)
    await until(() => arrivedBytes(b) > 400_000)
    await pause(500)
    // Half of it under way, half of it waiting here, and what was allowed before it was known who comes.
    expect(arrivedBytes(b)).toBeLessThan(3_000_000)
    const received = await Promise.all(Array.from({ length: 40 }, async () => readAll(await b.acceptUni())))
    await sending
    for (const one of received) expect(Buffer.compare(one, bytes)).toBe(0)
  })

  test('of bytes: what is read of one stream makes no room for more than that of others', async () => {
    const { a, b } = await pairOf({ maxReceiveBytes: 1_048_576 })
    // Of the half megabyte that may wait here, most does.
    for (let i = 0; i < 7; i++) await (await a.openUni()).write(scrambled(60_000))
    const { send } = await a.openBi()
    const sending = send.write(scrambled(4_000_000))
    const { receive } = await b.acceptBi()
    for (let left = 4_000_000; left > 0;) left -= (await receive.read(65_536))?.length ?? 0
    await sending
    const before = arrivedBytes(b)
    const open = Array.from({ length: 40 }, async () => (await a.openUni()).write(scrambled(60_000)))
    await Promise.all(open)
    await pause(500)
    // The rest of it, and as much as may be under way.
    expect(arrivedBytes(b) - before).toBeLessThan(800_000)
  })

  test('of bytes: many streams that stay open and are read go on', async () => {
    const { a, b } = await pairOf({ maxReceiveBytes: 131_072 })
    const streams: CarrierSendStream[] = []
    let taken = 0
    for (let i = 0; i < 100; i++) {
      const stream = await a.openUni()
      await stream.write(scrambled(10_000, i))
      streams.push(stream)
      const accepted = await b.acceptUni()
      const read = async (): Promise<void> => {
        for (let chunk = await accepted.read(65_536); chunk; chunk = await accepted.read(65_536)) taken += chunk.length
      }
      read().catch(() => {})
    }
    await until(() => taken === 1_000_000)
    await Promise.all(streams.map(async (stream) => stream.write(scrambled(10_000))))
    await until(() => taken === 2_000_000)
    expect(b.isFull).toBe(true)
  })

  test('of streams: over all connections of a peer', async () => {
    const [client, server] = await Promise.all([open('a'), open('b', { admission: { maxStreamsPerPeer: 32 } })])
    const accepted: CarrierConnection[] = []
    server.onIncoming = (connection) => accepted.push(connection)
    server.setAlpns([ALPN])
    const connections = [await connect(client, server), await connect(client, server)]
    await until(() => accepted.length === 2)
    let arrived = 0
    for (const connection of accepted) {
      const count = async (): Promise<void> => {
        for (;;) {
          await connection.acceptUni()
          arrived++
        }
      }
      count().catch(() => {})
    }
    // 64 each before it is known whose they are; so these wait until it is.
    await Promise.all(connections.map(async (connection) => flood(connection, 100, scrambled(10))))
    await until(() => arrived === 200)
    const openOne = async (connection: CarrierConnection): Promise<void> => {
      const stream = await connection.openUni()
      await stream.write(scrambled(10))
    }
    void Promise.all(connections.flatMap((connection) => Array.from({ length: 100 }, () => openOne(connection)))).catch(
      () => {},
    )
    await until(() => arrived >= 232)
    await pause(300)
    expect(arrived).toBeLessThan(200 + 2 * 64 + 32)
  })

  test('that make no sense are named', async () => {
    const local = { relay: 'disabled', bind: LOOPBACK } as const
    const create = (admission: unknown, binding: IrohCreateOptions['binding']): Promise<unknown> =>
      IrohP2P.create({ ...local, binding, admission: admission as never })
    await expect(create({ maxHandshakes: 0 }, 'native')).rejects.toMatchObject({
      code: 'invalid-configuration',
      setting: 'admission.maxHandshakes',
    })
    await expect(create({ maxHandshake: 5 }, 'native')).rejects.toMatchObject({ setting: 'maxHandshake' })
    await expect(create({ maxReceiveBytes: 5 }, 'official')).rejects.toMatchObject({
      code: 'unsupported',
      what: 'admission.maxReceiveBytes',
    })
  })
})

describe.each(DOORS)('a node through the $name door', ({ binding }) => {
  test('refuses by `maxConnectionsPerPeer`, in the same words', async () => {
    const local = { relay: 'disabled', bind: LOOPBACK, binding: binding() } as const
    await using server = await IrohP2P.create({ ...local, limits: { maxConnectionsPerPeer: 1 } })
    await using client = await IrohP2P.create(local)
    await server.listen('', { authorize: (peer) => !peer.equals(testNodeId('x')) })
    const first = await client.connect(server.address())
    const second = await client.connect(server.address())
    expect(await second.closed).toMatchObject({
      refused: true,
      reason: 'it holds its limit of 1 connections from one peer',
    })
    expect(first.isConnected()).toBe(true)
  })
})
