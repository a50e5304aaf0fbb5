/**
 * The node itself: its end, its names, its runtime, and what its connections count.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { P2PError } from '../../core/errors.ts'
import { fails, roundTrip, scrambled, string, text } from './expect.ts'
import type { ContractCases } from './pair.ts'

/** The cases. */
export const nodeCases: ContractCases = {
  'closing a node ends its connections, and loses nothing that it sent': async (pair) => {
    const [client, server] = await pair.connect()
    await client.send(text('last words'))
    const stream = await client.openSendStream()
    await stream.write(scrambled(50_000))
    await pair.a.close()
    assert.equal(client.isConnected(), false)
    assert.equal((await server.closed).by, 'remote')
    assert.equal(string(await server.recv()), 'last words')
    assert.equal((await (await server.acceptReceiveStream()).readToEnd(50_000)).length, 50_000)
  },
  'closing a node fails what waits on it': async (pair) => {
    const gone = await pair.third()
    const address = gone.address()
    await gone.close()
    const [client, server] = await pair.connect()
    const waiting = [
      pair.a.connect(address, { timeoutMs: 60_000 }),
      client.recv(),
      client.acceptStream(),
      (await pair.a.listen()).accept(),
    ]
    const failing = waiting.map((promise) => fails(promise, 'connection-closed'))
    await pair.a.close()
    await Promise.all(failing)
    assert.equal((await server.closed).by, 'remote')
  },
  'a closed node does nothing more, and can be closed again': async ({ a, b }) => {
    await Promise.all([a.close(), a.close()])
    await a[Symbol.asyncDispose]()
    await fails(a.connect(b.address()), 'connection-closed', { by: 'local' })
    await fails(a.listen(), 'connection-closed')
    await fails(a.discover('anybody'), 'connection-closed')
    await fails(a.register('me'), 'connection-closed')
    assert(a.localNodeId().toString().length === 52)
  },
  'both nodes may be closed at the same time': async (pair) => {
    const [client, server] = await pair.connect()
    await Promise.all([pair.a.close(), pair.b.close()])
    await Promise.all([client.closed, server.closed])
  },
  'a node that was closed can be made again under the same id': async (pair) => {
    const first = await pair.third()
    const { id } = first.address()
    await first.close()
    const second = await pair.third()
    assert(second.localNodeId().equals(id))
    const [client, server] = await Promise.all([second.connect(pair.b.address()), pair.listener.accept()])
    await roundTrip(pair.watch(client), pair.watch(server))
  },
  'a name that was registered leads to its node': async (pair) => {
    const { a, b, listener } = pair
    await b.register('Home')
    const id = await a.discover('Home')
    assert(id.equals(b.localNodeId()))
    const [client, server] = await Promise.all([a.connect(id), listener.accept()])
    await roundTrip(pair.watch(client), pair.watch(server))
  },
  'a name that nobody registered is not found': async ({ a }) => {
    await fails(a.discover('nobody'), 'node-not-found', { node: 'nobody' })
  },
  'an empty name cannot be registered': async ({ a }) => {
    await fails(a.register(''), 'invalid-configuration')
  },
  'the counters of a connection count messages, bytes and streams': async (pair) => {
    const [client, server] = await pair.connect()
    await client.send(scrambled(1000))
    await client.send(new Uint8Array(0))
    await server.recv()
    await server.recv()
    const stream = await client.openStream()
    await stream.write(scrambled(500))
    await stream.finish()
    const accepted = await server.acceptStream()
    await accepted.readToEnd(500)
    await accepted.write(scrambled(30))
    await accepted.finish()
    await stream.readToEnd(30)
    const there = client.stats()
    const here = server.stats()
    assert.deepEqual([there.messagesSent, there.messagesReceived], [2, 0])
    assert.deepEqual([here.messagesSent, here.messagesReceived], [0, 2])
    assert.deepEqual([there.bytesSent, there.bytesReceived], [1500, 30])
    assert.deepEqual([here.bytesSent, here.bytesReceived], [30, 1500])
    assert.deepEqual([there.streamsOpened, there.streamsAccepted], [1, 0])
    assert.deepEqual([here.streamsOpened, here.streamsAccepted], [0, 1])
    assert(there.durationMs >= 0 && there.durationMs <= pair.runtime.now())
    assert.deepEqual(client.clone().stats().bytesSent, 1500)
  },
  'a connection knows its path, and how long a round trip on it takes': async (pair) => {
    const [client, server] = await pair.connect()
    await roundTrip(client, server)
    for (const connection of [client, server]) {
      const selected = connection.paths().filter((path) => path.selected)
      assert.equal(selected.length, 1)
      const { kind = 'none', remote = '' } = selected[0] ?? {}
      assert.equal(connection.stats().path, kind)
      if (pair.b.address().relays.length === 0) assert.equal(kind, 'direct')
      if (kind === 'direct') assert.match(remote, /^(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):\d+$/)
      else assert(URL.canParse(remote))
    }
    const { rttMs } = client.stats()
    assert(rttMs !== undefined && rttMs >= 0 && rttMs < 60_000, `rttMs is ${rttMs}`)
  },
  'a listener for changes of the path can be disposed of': async (pair) => {
    const [client] = await pair.connect()
    let calls = 0
    const listening = client.onPathChange((paths) => {
      assert(Array.isArray(paths))
      calls++
    })
    listening[Symbol.dispose]()
    listening[Symbol.dispose]()
    client.close()
    await client.closed
    assert.equal(calls, 0)
  },
  'a node says which backend it is': async ({ a, b }) => {
    assert(a.backend.length > 0)
    assert.equal(a.backend, b.backend)
  },
  'the runtime keeps time, sleeps, and can be told to wake up': async ({ runtime }) => {
    const startMs = runtime.now()
    const wallMs = runtime.wallClockMs()
    assert(Number.isInteger(wallMs))
    const order: string[] = []
    await new Promise<void>((resolve) => {
      runtime.setTimer(20, () => {
        order.push('second')
        resolve()
      })
      runtime.setTimer(5, () => order.push('first'))
      runtime.setTimer(1, () => order.push('cancelled')).cancel()
      runtime.setTimer(1, () => order.push('disposed'))[Symbol.dispose]()
    })
    await runtime.sleep(1)
    assert.deepEqual(order, ['first', 'second'])
    assert(runtime.now() - startMs >= 20)
    assert(runtime.wallClockMs() >= wallMs)
  },
  'the runtime draws random numbers and bytes': async ({ runtime }) => {
    const numbers = Array.from({ length: 20 }, () => runtime.random())
    assert(numbers.every((number) => number >= 0 && number < 1))
    assert(new Set(numbers).size > 10)
    assert.equal(runtime.randomBytes(0).length, 0)
    const [first, second] = [runtime.randomBytes(32), runtime.randomBytes(32)]
    assert.notDeepEqual(first, second)
  },
  'the runtime does real work, and tells its outcome': async ({ runtime }) => {
    assert.equal(await runtime.bridge('adding', () => Promise.resolve(1 + 1)), 2)
    const failure = P2PError.of('protocol', 'on purpose', {})
    await fails(
      runtime.bridge('failing', () => Promise.reject(failure)),
      'protocol',
    )
  },
}
