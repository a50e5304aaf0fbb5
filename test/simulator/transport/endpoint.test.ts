import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../../src/core/address.ts'
import { P2PError } from '../../../src/core/errors.ts'
import type { P2PErrorCode } from '../../../src/core/errors.ts'
import { testNodeId } from '../../../src/core/keys.ts'
import { pattern } from './pair.ts'
import { echo, readAll, World, writeAll } from './world.ts'

async function failure(promise: Promise<unknown>): Promise<P2PError> {
  try {
    await promise
  } catch (error) {
    if (P2PError.is(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

const code = async (promise: Promise<unknown>): Promise<P2PErrorCode> => (await failure(promise)).code

describe('connecting', () => {
  test('takes a round trip over the fabric and tells both sides who they speak to', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    expect(world.kernel.nowUs()).toBe(75_000)
    expect(here.remoteId.equals(testNodeId('server'))).toBe(true)
    expect(there.remoteId.equals(testNodeId('client'))).toBe(true)
    expect([here.alpn, there.alpn]).toEqual(['test', 'test'])
    expect(here.paths()).toMatchObject([{ kind: 'direct', remote: '198.18.0.1:49152', selected: true, rttMs: 50 }])
    expect(there.paths()).toMatchObject([{ kind: 'direct', remote: '198.18.0.2:49152', selected: true, rttMs: 50 }])
  })

  test('is refused without a protocol in common', async () => {
    const world = new World()
    const [server, client] = [world.node('server', { listens: false }), world.node('client')]
    expect(await world.until(failure(client.connect(server)))).toMatchObject({
      code: 'refused',
      node: testNodeId('server').toString(),
    })
    server.endpoint.setAlpns(['other'])
    expect(await world.until(code(client.connect(server)))).toBe('refused')
    await world.until(client.connect(server, { alpn: 'other' }))
    expect(server.incoming.length).toBe(0)
    await world.until(server.accept())
  })

  test('fails with timeout where nobody is', async () => {
    const world = new World()
    const client = world.node('client')
    const address = new P2PAddress(testNodeId('nobody'), ['198.18.7.7:1'])
    expect(await world.until(failure(client.connect(address)))).toMatchObject({ code: 'timeout', afterMs: 30_000 })
    // To the millisecond, as timers are coarse.
    expect(Math.round(world.kernel.nowUs() / 10_000)).toBe(3_000)
  })

  test('fails with no-route where no address is known, at once', async () => {
    const world = new World()
    const client = world.node('client')
    expect(await world.until(code(client.connect(new P2PAddress(testNodeId('nobody')))))).toBe('no-route')
    expect(world.kernel.nowUs()).toBe(0)
  })

  test('asks the look-up for an id without addresses', async () => {
    const world = new World()
    const server = world.node('server')
    const client = world.node('client', {
      lookup: (id) => (id.equals(testNodeId('server')) ? server.endpoint.address() : undefined),
    })
    await world.until(client.connect(new P2PAddress(testNodeId('server'))))
    expect(await world.until(code(client.connect(new P2PAddress(testNodeId('nobody')))))).toBe('no-route')
  })

  test('tries all addresses at once', async () => {
    const world = new World()
    const [server, client] = [world.node('server'), world.node('client')]
    const direct = ['198.18.99.1:5', '10.1.2.3:4', ...server.endpoint.address().direct]
    const connection = await world.until(client.connect(new P2PAddress(testNodeId('server'), direct)))
    expect(world.kernel.nowUs()).toBe(50_000)
    expect(connection.paths()[0]?.remote).toBe(server.endpoint.boundAddresses()[0])
  })

  test('is not taken in by somebody else at the address', async () => {
    const world = new World()
    const [stranger, client] = [world.node('stranger'), world.node('client')]
    const address = new P2PAddress(testNodeId('server'), stranger.endpoint.address().direct)
    expect(await world.until(code(client.connect(address)))).toBe('connection-failed')
    expect(world.kernel.nowUs()).toBe(50_000)
    expect(stranger.incoming.length).toBe(0)
  })

  test('finds the right one although a stranger answers first', async () => {
    const world = new World()
    const stranger = world.node('stranger', { link: { latencyMs: 1 } })
    const [server, client] = [world.node('server'), world.node('client', { link: { latencyMs: 1 } })]
    const direct = [...stranger.endpoint.address().direct, ...server.endpoint.address().direct]
    const connection = await world.until(client.connect(new P2PAddress(testNodeId('server'), direct)))
    expect(connection.remoteId.equals(testNodeId('server'))).toBe(true)
    expect(stranger.incoming.length).toBe(0)
    // Nothing of what was measured with the stranger counts.
    expect(connection.paths()[0]?.rttMs).toBe(undefined)
    const stream = await connection.openBi()
    void echo(await world.until(server.accept()))
    await writeAll(stream.send, pattern(5_000))
    expect(await world.until(readAll(stream.receive))).toEqual(pattern(5_000))
    // The first sample is of an acknowledgement that waited 25 ms.
    const rttMs = connection.paths()[0]?.rttMs ?? 0
    expect(rttMs >= 27 && rttMs <= 27 + 25).toBe(true)
  })

  test('is dropped when its caller gives up', async () => {
    const world = new World()
    const [server, client] = [world.node('server'), world.node('client')]
    const controller = new AbortController()
    const connecting = code(client.connect(server, { signal: controller.signal }))
    world.kernel.schedule(40_000, () => {
      world.kernel.woke(0)
      controller.abort()
    })
    expect(await world.until(connecting)).toBe('aborted')
    expect(world.kernel.nowUs()).toBe(40_000)
    world.kernel.runFor(10_000_000)
    expect(server.incoming.length).toBe(0)
    controller.abort()
    expect(await world.until(code(client.connect(server, { signal: controller.signal })))).toBe('aborted')
  })

  test('from both sides at once makes two connections', async () => {
    const world = new World()
    const [a, b] = [world.node('a'), world.node('b')]
    const connections = await world.until(Promise.all([a.connect(b), b.connect(a), a.accept(), b.accept()]))
    expect(new Set(connections).size).toBe(4)
  })

  test('a player behind a home NAT reaches a public server, which sees the NAT', async () => {
    const world = new World()
    const server = world.node('server')
    const client = world.node('client', { lan: world.topology.lan({ nat: 'home' }) })
    const [here, there] = await world.until(Promise.all([client.connect(server), server.accept()]))
    expect(there.paths()[0]?.remote.startsWith('198.18.')).toBe(true)
    expect(client.endpoint.boundAddresses()[0]?.startsWith('192.168.1.')).toBe(true)
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(300_000))
    expect(Buffer.compare(await world.until(readAll(stream.receive)), pattern(300_000))).toBe(0)
  })
})

describe('streams', () => {
  test('echo any size, many at once', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    void echo(there)
    const sizes = [0, 1, 100, 1_199, 1_200, 65_536, 1_000_000]
    const results = await world.until(
      Promise.all(
        sizes.map(async (size, i) => {
          const stream = await here.openBi()
          await writeAll(stream.send, pattern(size, i))
          return readAll(stream.receive)
        }),
      ),
    )
    expect(results.map((bytes, i) => Buffer.compare(bytes, pattern(sizes[i] as number, i)))).toEqual(sizes.map(() => 0))
  })

  test('a request and its answer take a round trip', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    void echo(there)
    world.kernel.runFor(1_000_000)
    const startUs = world.kernel.nowUs()
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(100))
    await world.until(readAll(stream.receive))
    expect(world.kernel.nowUs() - startUs).toBe(50_000)
  })

  test('one-way streams go both ways, and are accepted in order', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    for (const byte of [1, 2, 3]) {
      const stream = await here.openUni()
      await writeAll(stream, Uint8Array.of(byte))
    }
    const received: number[] = []
    for (let i = 0; i < 3; i++)
      received.push((await world.until(readAll(await world.until(there.acceptUni()))))[0] ?? 0)
    expect(received).toEqual([1, 2, 3])
    const back = await there.openUni()
    await writeAll(back, pattern(10))
    expect(await world.until(readAll(await world.until(here.acceptUni())))).toEqual(pattern(10))
  })

  test('a write waits for a reader who is slow, and holds no more than the windows allow', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    const stream = await here.openUni()
    const state = { written: false }
    const writing = stream.write(pattern(3_000_000)).then(() => (state.written = true))
    const incoming = await world.until(there.acceptUni())
    await world.kernel.drive(() => false, world.kernel.nowUs() + 5_000_000)
    expect(state.written).toBe(false)
    let length = 0
    while (!state.written) length += (await world.until(incoming.read(100_000)))?.length ?? 0
    expect(length).toBeLessThan(3_000_000)
    await writing
    await stream.finish()
    const rest = await world.until(readAll(incoming))
    expect(length + rest.length).toBe(3_000_000)
  })

  test('opening waits while too many are open', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    for (let i = 0; i < 100; i++) await writeAll((await here.openBi()).send, Uint8Array.of(1))
    let opened = false
    const opening = here.openBi().then((stream) => {
      opened = true
      return stream
    })
    await world.kernel.drive(() => false, world.kernel.nowUs() + 1_000_000)
    expect(opened).toBe(false)
    void echo(there)
    await world.until(opening)
  })

  test('bytes and a reset that come within the time an answer takes are a reset, and not the end of a stream', async () => {
    const world = new World()
    const server = world.node('server', { transport: { processingUs: 3_000 } })
    const client = world.node('client')
    const [here, there] = await world.until(Promise.all([client.connect(server), server.accept()]))
    const { send } = await here.openBi()
    await send.write(pattern(10))
    const { receive } = await world.until(there.acceptBi())
    expect((await receive.read(100))?.length).toBe(10)

    const reading = failure(receive.read(100))
    await send.write(pattern(10))
    world.kernel.schedule(1_500, () => send.reset(7))
    expect(await world.until(reading)).toMatchObject({ code: 'stream-reset', streamCode: 7 })
  })

  test('a reset and a stop reach the other side and whoever waits', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    const stream = await here.openBi()
    const blocked = failure(stream.send.write(pattern(5_000_000)))
    const theirs = await world.until(there.acceptBi())
    theirs.receive.stop(7)
    expect(await world.until(blocked)).toMatchObject({ code: 'stream-stopped', streamCode: 7 })
    expect(await failure(stream.send.write(pattern(1)))).toMatchObject({ code: 'stream-stopped' })
    const reading = failure(stream.receive.read(10))
    theirs.send.reset(8)
    expect(await world.until(reading)).toMatchObject({ code: 'stream-reset', streamCode: 8 })
    // A reset of one's own ends a write that waits, and a stop a read.
    const second = await here.openBi()
    const writing = failure(second.send.write(pattern(5_000_000)))
    const waiting = failure(second.receive.read(1))
    second.send.reset(9)
    second.receive.stop(10)
    expect(await writing).toMatchObject({ code: 'stream-reset', streamCode: 9 })
    expect(await waiting).toMatchObject({ code: 'stream-stopped', streamCode: 10 })
    const other = await world.until(there.acceptBi())
    expect(await world.until(failure(readAll(other.receive)))).toMatchObject({ code: 'stream-reset', streamCode: 9 })
    expect(await world.until(failure(other.send.write(pattern(5))))).toMatchObject({ streamCode: 10 })
  })

  test("delivery is confirmed when the peer's transport has everything, read or not", async () => {
    const world = new World()
    const { here } = await world.pair()
    const stream = await here.openUni()
    await writeAll(stream, pattern(1_000))
    const startUs = world.kernel.nowUs()
    await world.until(stream.acknowledged?.() ?? Promise.reject(new Error('no such thing')))
    expect(world.kernel.nowUs() - startUs).toBeLessThanOrEqual(50_000 + 25_000)
    await stream.acknowledged?.()
  })
})

describe('a host that moves', () => {
  test('keeps its connections, as the peer sends to where its packets come from', async () => {
    const world = new World()
    const { client, here, there } = await world.pair()
    void echo(there)
    let changes = 0
    there.onPathChange(() => changes++)
    const before = there.paths()[0]?.remote
    world.topology.move(client.network, { lan: world.topology.lan({ nat: 'symmetric' }) })
    const stream = await here.openBi()
    const [, answer] = await world.until(
      Promise.all([writeAll(stream.send, pattern(200_000)), readAll(stream.receive)]),
    )
    expect(Buffer.compare(answer, pattern(200_000))).toBe(0)
    expect(there.paths()[0]?.remote).not.toBe(before)
    expect(changes).toBeGreaterThan(0)
  })
})

describe('the end', () => {
  test('of a connection settles everything that waits, on both sides', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    const stream = await here.openBi()
    await stream.send.write(pattern(10))
    const theirs = await world.until(there.acceptBi())
    const waiting = [
      stream.receive.read(1),
      stream.send.acknowledged?.() ?? Promise.resolve(),
      here.acceptBi(),
      here.acceptUni(),
      theirs.receive.read(100).then(() => theirs.receive.read(100)),
      there.acceptBi(),
      there.acceptUni(),
    ].map((promise) => failure(promise))
    here.close(42, 'enough')
    const errors = await world.until(Promise.all(waiting))
    expect(errors.map((error) => error.code)).toEqual(errors.map(() => 'connection-closed'))
    expect(errors[0]).toMatchObject({ closeCode: 42, reason: 'enough', by: 'local' })
    expect(errors[5]).toMatchObject({ closeCode: 42, reason: 'enough', by: 'remote' })
    expect(await here.closed).toEqual({ closeCode: 42, reason: 'enough', by: 'local' })
    expect(await there.closed).toEqual({ closeCode: 42, reason: 'enough', by: 'remote' })
    expect(await code(here.openBi())).toBe('connection-closed')
    expect(await code(stream.send.write(pattern(1)))).toBe('connection-closed')
    expect(here.paths()).toEqual([])
    world.kernel.run()
    expect(world.kernel.pending).toBe(0)
  })

  test('leaves what has arrived before to read', async () => {
    const world = new World()
    const { here, there } = await world.pair()
    const stream = await here.openUni()
    await writeAll(stream, pattern(1_000))
    await world.until(stream.acknowledged?.() ?? Promise.resolve())
    here.close(1, '')
    await world.until(there.closed)
    expect(await readAll(await there.acceptUni())).toEqual(pattern(1_000))
    expect(await code(there.acceptUni())).toBe('connection-closed')
  })

  test('comes by itself when the peer has lost its power', async () => {
    const world = new World()
    const { server, here } = await world.pair()
    server.endpoint.destroy()
    expect(await world.until(here.closed)).toMatchObject({ by: 'transport', closeCode: 0 })
    expect(world.kernel.nowUs()).toBeLessThan(36_000_000)
    expect(await code(here.openBi())).toBe('connection-closed')
  })

  test('of a node closes its connections, and waits until its peers know', async () => {
    const world = new World()
    const { client, here, there } = await world.pair()
    const startUs = world.kernel.nowUs()
    await world.until(client.endpoint.close())
    expect(world.kernel.nowUs() - startUs).toBe(50_000)
    expect(await here.closed).toMatchObject({ by: 'local' })
    expect(await there.closed).toMatchObject({ by: 'remote' })
    await client.endpoint.close()
    expect(await code(client.connect(new P2PAddress(testNodeId('server'), ['198.18.0.1:1'])))).toBe('connection-closed')
    world.kernel.run()
  })

  test('of a node takes at most 3 s when nobody answers', async () => {
    const world = new World()
    const { client, server } = await world.pair()
    server.endpoint.destroy()
    const startUs = world.kernel.nowUs()
    await world.until(client.endpoint.close())
    expect(world.kernel.nowUs() - startUs).toBeLessThanOrEqual(3_000_000)
    // The port is free again.
    client.network.bind(49_152, () => {}).close()
  })

  test("of a host's power is silent: nothing is sent, and nothing settles", async () => {
    const world = new World()
    const { client, here } = await world.pair()
    let settled = false
    void here.closed.then(() => (settled = true))
    here.acceptBi().catch(() => (settled = true))
    // At rest, so that nothing comes from the other side either.
    await world.kernel.drive(() => false, 1_000_000)
    const { sent } = world.topology.fabric.counters
    await (await here.openUni()).write(pattern(10))
    client.endpoint.destroy()
    await world.kernel.drive(() => false, 2_000_000)
    expect(settled).toBe(false)
    expect(world.topology.fabric.counters.sent).toBe(sent)
  })
})

describe('the history', () => {
  async function run(seed: string): Promise<{ hash: number; count: number }> {
    const world = new World({ seed, defaultPacketLoss: 0.05 })
    const { here, there } = await world.pair()
    void echo(there)
    for (let i = 0; i < 5; i++) {
      const stream = await here.openBi()
      await writeAll(stream.send, pattern(30_000, i))
      await world.until(readAll(stream.receive))
    }
    here.close(0, '')
    await world.until(there.closed)
    return { hash: world.kernel.audit.hash, count: world.kernel.audit.count }
  }

  test('is the same for the same seed, and another for another', async () => {
    const first = await run('one')
    expect(await run('one')).toEqual(first)
    expect((await run('two')).hash).not.toBe(first.hash)
  })

  test('holds a digest of every payload, when it is written and when it is read', async () => {
    const world = new World({ keepRecords: true })
    const { here, there } = await world.pair()
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(100))
    await world.until(readAll(stream.receive))
    const records = world.kernel.audit.records.filter(({ kind }) => kind === 66 || kind === 67)
    expect(records.map(({ kind, host, c }) => [kind, host, c])).toEqual([
      [67, 1, 100],
      [66, 0, 100],
      [67, 0, 100],
      [66, 1, 100],
    ])
    expect(new Set(records.map(({ b }) => b)).size).toBe(1)
    expect(world.kernel.audit.records.filter(({ kind }) => kind === 64).length).toBe(2)
  })
})
