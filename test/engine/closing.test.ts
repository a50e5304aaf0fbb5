import { expect, test } from 'vitest'
import { failed, onEveryCarrier, outcome, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { MemoryConnection } from '../support/memory-node.ts'

/** One of everything that waits on a connection. */
async function everythingThatWaits(connection: MemoryConnection): Promise<readonly { readonly now: unknown }[]> {
  const stream = await connection.openStream()
  await stream.write(text('!'))
  return [
    connection.recv(),
    connection.acceptStream(),
    connection.acceptReceiveStream(),
    stream.read(),
    stream.write(new Uint8Array(1_000_000)),
    (async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await connection.send(new Uint8Array(500_000))
    })(),
    (async (): Promise<void> => {
      for (let i = 0; i < 1_000; i++) await connection.openStream()
    })(),
  ].map((promise) => track<unknown>(promise))
}

onEveryCarrier('close()', (make) => {
  test('tells the other side its code and reason, and settles all that waits on both', async () => {
    const { client, server } = await make()
    const [here, there] = [await everythingThatWaits(client), await everythingThatWaits(server)]
    await settle()
    client.close(42, 'the answer')
    await settle()
    const local = { closeCode: 42, reason: 'the answer', by: 'local' }
    const remote = { ...local, by: 'remote' }
    expect(await client.closed).toEqual({ ...local, refused: false })
    expect(await server.closed).toEqual({ ...remote, refused: false })
    expect(here.map(({ now }) => now).filter((now) => !isValue(now))).toEqual(
      here.filter(({ now }) => !isValue(now)).map(() => failed('connection-closed', local)),
    )
    expect(there.map(({ now }) => now).filter((now) => !isValue(now))).toEqual(
      there.filter(({ now }) => !isValue(now)).map(() => failed('connection-closed', remote)),
    )
    // What had arrived before may have gone to who waited; all others fail.
    expect(here.filter(({ now }) => isValue(now)).length).toBeLessThanOrEqual(3)
    expect(there.filter(({ now }) => isValue(now)).length).toBeLessThanOrEqual(3)
  })

  test('without arguments is code 0', async () => {
    const { client, server } = await make()
    client.close()
    expect(await server.closed).toEqual({ closeCode: 0, reason: '', by: 'remote', refused: false })
  })

  test('counts once; of two sides at once each sees its own', async () => {
    const { client, server } = await make()
    client.close(1, 'first')
    client.close(2, 'second')
    server.close(3, 'third')
    expect(await client.closed).toMatchObject({ closeCode: 1, by: 'local' })
    expect(await server.closed).toMatchObject({ closeCode: 3, by: 'local' })
  })

  test('by one handle is for all', async () => {
    const { client, server } = await make()
    const clone = client.clone()
    client.close(5)
    expect(clone.isConnected()).toBe(false)
    expect(await outcome(clone.send(text('x')))).toEqual(failed('connection-closed', { closeCode: 5, by: 'local' }))
    expect(await outcome(clone.openStream())).toEqual(failed('connection-closed', { closeCode: 5, by: 'local' }))
    expect(await clone.closed).toMatchObject({ closeCode: 5 })
    await clone.end()
    expect((await server.closed).closeCode).toBe(5)
  })

  test('at once after a call on another handle: nothing is accepted any more', async () => {
    const { client } = await make()
    const clone = client.clone()
    client.close(6)
    // Before anything else could run.
    expect(await outcome(clone.send(text('lost')))).toEqual(failed('connection-closed', { closeCode: 6 }))
  })

  test('checks its arguments', async () => {
    const { client } = await make()
    for (const code of [-1, 2 ** 32, 0.5, Number.NaN]) {
      expect(() => client.close(code)).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
    }
    expect(() => client.close(0, 'é'.repeat(513))).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
    expect(client.isConnected()).toBe(true)
    client.close(2 ** 32 - 1, 'é'.repeat(512))
    expect(await client.closed).toMatchObject({ closeCode: 2 ** 32 - 1 })
  })

  test('a lost network closes both sides, by `transport`', async () => {
    const { client, server } = await make()
    const waiting = await everythingThatWaits(client)
    client.carrier.fail('idle for 30 s')
    await settle()
    const info = { closeCode: 0, reason: 'idle for 30 s', by: 'transport' }
    expect(await client.closed).toEqual({ ...info, refused: false })
    expect(await server.closed).toEqual({ ...info, refused: false })
    expect(waiting.map(({ now }) => now)).toEqual(waiting.map(() => failed('connection-closed', info)))
    expect(client.isConnected() || server.isConnected()).toBe(false)
  })

  test('what had arrived before the other side closed can still be read', async () => {
    const { client, server } = await make()
    await client.send(text('message'))
    const stream = await client.openStream()
    await stream.write(text('stream'))
    await stream.finish()
    await settle()
    client.close(1, 'bye')
    await server.closed
    expect(string(await server.recv())).toBe('message')
    expect(string(await (await server.acceptStream()).readToEnd(10))).toBe('stream')
    expect(await outcome(server.recv())).toEqual(failed('connection-closed', { closeCode: 1, by: 'remote' }))
    expect(await outcome(server.acceptStream())).toEqual(failed('connection-closed', { closeCode: 1, by: 'remote' }))
  })

  test('who waits gets what had arrived, however close behind the close was', async () => {
    const { client, server, network } = await make()
    const waiting = [
      track(server.acceptStream().then((stream) => stream.readToEnd(10).then(string))),
      track(server.acceptReceiveStream().then((stream) => stream.readToEnd(10).then(string))),
      track(server.recv().then(string)),
    ]
    network.hold()
    const [twoWay, oneWay] = [await client.openStream(), await client.openSendStream()]
    await Promise.all([twoWay.write(text('two-way')), oneWay.write(text('one-way')), client.send(text('message'))])
    await Promise.all([twoWay.finish(), oneWay.finish()])
    await settle()
    network.deliverAll()
    server.carrier.closedByPeer({ closeCode: 3, reason: 'bye', by: 'remote' })
    await settle()
    expect(waiting.map(({ now }) => now)).toEqual(['two-way', 'one-way', 'message'].map((value) => ({ value })))
    network.release()
  })

  test('iteration over messages ends without an error', async () => {
    const { client, server } = await make()
    const iterating = track(
      (async (): Promise<void> => {
        for await (const _ of server) throw new Error('there are none')
      })(),
    )
    client.close(9, 'over')
    await settle()
    expect(iterating.now).toEqual({ value: undefined })
  })
})

function isValue(now: unknown): boolean {
  return typeof now === 'object' && now !== null && 'value' in now
}

onEveryCarrier('a connection', (make) => {
  test('tells its paths and their changes until nobody wants to know', async () => {
    const { client } = await make()
    const seen: string[] = []
    const listener = client.onPathChange((paths) => void seen.push(paths.map(({ kind }) => kind).join()))
    const path = { kind: 'relay' as const, remote: 'https://relay.example', selected: true, rttMs: 80 }
    client.carrier.setPaths([path])
    expect(client.paths()).toEqual([path])
    expect(client.stats()).toMatchObject({ path: 'relay', rttMs: 80 })
    listener[Symbol.dispose]()
    client.carrier.setPaths([])
    expect(seen).toEqual(['relay'])
    expect(client.stats()).toMatchObject({ path: 'none', rttMs: undefined })
  })

  test('knows its peer and its protocol', async () => {
    const { client, server, a, b } = await make()
    expect(client.remoteNodeId().equals(b.localNodeId())).toBe(true)
    expect(server.remoteNodeId().equals(a.localNodeId())).toBe(true)
    expect([client.alpn, server.alpn]).toEqual(['moosicbox/p2p/1', 'moosicbox/p2p/1'])
  })

  test('counts its time', async () => {
    const { client, runtime } = await make()
    await runtime.advance(1_234)
    expect(client.stats().durationMs).toBe(1_234)
  })

  test('two that are opened by both sides at once are two', async () => {
    const { a, b } = await make()
    const listener = await a.listen()
    const back = await b.connect(a.localNodeId())
    const accepted = await listener.accept()
    await back.send(text('on the second'))
    expect(string(await accepted.recv())).toBe('on the second')
    expect(a.endpoint.connections.size).toBe(2)
  })
})
