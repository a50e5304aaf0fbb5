/**
 * Connecting and listening: who is let in, who is not, and how they learn it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { testNodeId } from '../../core/keys.ts'
import { P2P_ALPN } from '../../core/system.ts'
import { fails, roundTrip, string, text } from './expect.ts'
import { settling } from './pair.ts'
import type { Connection, ContractCases, ContractPair } from './pair.ts'

/** What a peer of whom nothing is heard may be told to be. */
/** More than one peer may have unless it is said. */
const MANY_CONNECTIONS = 60
const UNREACHABLE = ['timeout', 'no-route', 'node-not-found'] as const

const ascending = (x = 0, y = 0): number => x - y

/** Connects and expects to be turned away by `b`. */
async function turnedAway(pair: ContractPair): Promise<void> {
  const { a, b } = pair
  let connection: Connection
  try {
    connection = await a.connect(b.address())
  } catch (error) {
    // The refusal may be there before the handshake counts as done.
    await fails(Promise.reject(error), 'refused', { node: b.localNodeId().toString() })
    return
  }
  pair.watch(connection)
  const pending = [connection.recv(), connection.acceptStream(), connection.acceptReceiveStream()]
  const { by, refused } = await connection.closed
  assert.deepEqual({ by, refused }, { by: 'remote', refused: true })
  for (const promise of pending) await fails(promise, 'refused', { node: b.localNodeId().toString() })
  await fails(connection.send(text('x')), 'refused')
}

/** The cases. */
export const connectingCases: ContractCases = {
  'a node cannot connect to itself': async ({ a }) => {
    await fails(a.connect(a.localNodeId()), 'self-connect')
    await fails(a.connect(a.address()), 'self-connect')
    await fails(a.connect(a.address().toTicket()), 'self-connect')
  },
  'a node that does not listen refuses': {
    listen: false,
    run: async ({ a, b }) => {
      await fails(a.connect(b.address()), 'refused', { node: b.localNodeId().toString() })
    },
  },
  'a node that listens for other protocols refuses': async ({ a, b }) => {
    await fails(a.connect(b.address(), { alpn: 'nobody/speaks/this' }), 'refused', { node: b.localNodeId().toString() })
  },
  'a node that has ceased to listen refuses, and keeps the connections that it accepted': async (pair) => {
    const [client, server] = await pair.connect()
    pair.listener.close()
    await fails(pair.listener.accept(), 'connection-closed', { by: 'local' })
    await fails(pair.a.connect(pair.b.address()), 'refused')
    await roundTrip(client, server)
    pair.listener.close()
    const again = await pair.b.listen()
    const [third] = await Promise.all([pair.a.connect(pair.b.address()), again.accept()])
    assert(pair.watch(third).isConnected())
  },
  'closing a listener wakes who waits for it': async ({ listener }) => {
    const accepting = listener.accept()
    const iterating = (async (): Promise<number> => {
      let count = 0
      for await (const _ of listener) count++
      return count
    })()
    listener.close()
    await fails(accepting, 'connection-closed')
    assert.equal(await iterating, 0)
  },
  'a listener gives every connection once, in a loop': async (pair) => {
    const { a, b, listener } = pair
    const accepting = (async (): Promise<Connection[]> => {
      const accepted: Connection[] = []
      for await (const connection of listener) {
        if (accepted.push(connection) === 3) break
      }
      return accepted
    })()
    const connected = await Promise.all([0, 1, 2].map(() => a.connect(b.address())))
    const accepted = await accepting
    await Promise.all(connected.map((connection, i) => pair.watch(connection).send(Uint8Array.of(i))))
    const heard = await Promise.all(accepted.map(async (connection) => (await pair.watch(connection).recv())[0]))
    assert.deepEqual(heard.sort(ascending), [0, 1, 2])
  },
  'who is not authorized learns that it was refused, and so does everything that waits': {
    listen: { authorize: (peer) => !peer.equals(testNodeId('a')) },
    run: turnedAway,
  },
  'an authorize that fails, or that takes its time to say no, lets nobody in': {
    listen: false,
    run: async (pair) => {
      const failing = await pair.b.listen('', {
        authorize: () => {
          throw new Error('the list of friends is lost')
        },
      })
      await turnedAway(pair)
      failing.close()
      await pair.b.listen('', { authorize: () => pair.b.runtime.sleep(20).then(() => false) })
      await turnedAway(pair)
    },
  },
  'authorize is asked with the id of the peer, and lets it in': {
    listen: false,
    run: async (pair) => {
      const asked: string[] = []
      const listener = await pair.b.listen('', {
        authorize: async (peer) => {
          asked.push(peer.toString())
          await Promise.resolve()
          return true
        },
      })
      const [client, server] = await Promise.all([pair.a.connect(pair.b.address()), listener.accept()])
      assert.deepEqual(asked, [pair.a.localNodeId().toString()])
      await roundTrip(pair.watch(client), pair.watch(server))
    },
  },
  'a listener that is full refuses': {
    limits: { b: { maxConnections: 1 } },
    run: async (pair) => {
      const [client, server] = await pair.connect()
      await turnedAway(pair)
      await roundTrip(client, server)
      await client.end()
      await server.closed
      const [again, accepted] = await pair.connect()
      await roundTrip(again, accepted)
    },
  },
  'a listener lets no more wait to be accepted than it may': {
    limits: { b: { acceptBacklog: 1 } },
    run: async (pair) => {
      const waiting = pair.watch(await pair.a.connect(pair.b.address()))
      // Its first word has come, so it has been let in; nobody has accepted it.
      await waiting.send(text('waiting'))
      await turnedAway(pair)
      const accepted = pair.watch(await pair.listener.accept())
      assert.equal(string(await accepted.recv()), 'waiting')
    },
  },
  'connections that nobody has accepted are refused when the listener is closed': async (pair) => {
    const { a, b, listener } = pair
    const first = pair.watch(await a.connect(b.address()))
    const [second] = await Promise.all([a.connect(b.address()), listener.accept()])
    listener.close()
    const ended = await Promise.race([first.closed, pair.watch(second).closed])
    assert.deepEqual([ended.by, ended.refused], ['remote', true])
  },
  'what is sent before it is accepted, while authorize thinks, is delivered': {
    listen: false,
    run: async (pair) => {
      let decide: (yes: boolean) => void = () => {}
      const asked = new Promise<void>((resolve) => {
        void pair.b
          .listen('', {
            authorize: () => {
              resolve()
              return new Promise<boolean>((answer) => (decide = answer))
            },
          })
          .then((listener) => (accepting = listener.accept()))
      })
      let accepting: Promise<Connection> | undefined
      const client = pair.watch(await pair.a.connect(pair.b.address()))
      await client.send(text('early message'))
      const stream = await client.openStream()
      await stream.write(text('early stream'))
      await stream.finish()
      await asked
      decide(true)
      const server = await accepting
      assert(server)
      pair.watch(server)
      assert.equal(string(await server.recv()), 'early message')
      assert.equal(string(await (await server.acceptStream()).readToEnd(100)), 'early stream')
    },
  },
  'nobody of that id is found out in time': async ({ a }) => {
    const nobody = testNodeId('nobody')
    const error = await fails(a.connect(nobody, { timeoutMs: 500 }), UNREACHABLE)
    if (error.code !== 'timeout') assert.equal(error.node, nobody.toString())
  },
  'nobody at that address any more is found out in time': async (pair) => {
    const gone = await pair.third()
    await gone.listen()
    const address = gone.address()
    await gone.close()
    const startMs = pair.runtime.now()
    const error = await fails(pair.a.connect(address, { timeoutMs: 500 }), UNREACHABLE)
    if (error.code === 'timeout') assert.equal(error.afterMs, 500)
    if (pair.runtime.kind === 'simulated') assert(pair.runtime.now() - startMs <= 500)
  },
  'options of connect that make no sense are refused': async ({ a, b }) => {
    await fails(a.connect(b.address(), { timeoutMs: 0 }), 'invalid-configuration')
    await fails(a.connect(b.address(), { alpn: '' }), 'invalid-configuration')
    await fails(a.connect(b.address(), { alpn: 'x'.repeat(256) }), 'invalid-configuration')
    await fails(a.connect({} as unknown as string), 'invalid-configuration')
  },
  'a node listens once for a protocol': async ({ b, listener }) => {
    await fails(b.listen(), 'already-listening', { alpn: P2P_ALPN })
    const other = await b.listen('', { alpns: ['one', 'two'] })
    await fails(b.listen('', { alpns: ['two', 'three'] }), 'already-listening', { alpn: 'two' })
    other.close()
    const [again, free] = await Promise.all([
      b.listen('', { alpns: ['two'] }),
      (async () => {
        listener.close()
        return await b.listen()
      })(),
    ])
    assert.notEqual(again, free)
  },
  'two listeners share the protocol when they take different kinds': async (pair) => {
    const { a, b, listener } = pair
    const requests = await b.listen('', { kinds: ['request'] })
    await fails(b.listen('', { kinds: ['request'] }), 'already-listening')
    const [client, forStreams, forRequests] = await Promise.all([
      a.connect(b.address()),
      listener.accept(),
      requests.accept(),
    ])
    const request = await client.openStream({ kind: 'request' })
    await request.write(text('request'))
    const [stream] = await pair.stream(pair.watch(client), pair.watch(forStreams))
    const accepted = await pair.watch(forRequests).acceptStream({ kind: 'request' })
    assert.equal(string(await accepted.read()), 'request')
    // The connection lives until both have given it up.
    await forRequests.end()
    assert(forStreams.isConnected())
    await roundTrip(client, forStreams)
    stream.reset()
  },
  'a listener is bound where it says, and nowhere else': async ({ b, listener }) => {
    assert(b.address().direct.includes(listener.localAddr()))
    listener.close()
    const again = await b.listen(listener.localAddr())
    assert.equal(again.localAddr(), listener.localAddr())
    await fails(b.listen('203.0.113.7:1', { alpns: ['x'] }), 'invalid-configuration')
  },
  'options of listen that make no sense are refused': async ({ b }) => {
    await fails(b.listen('', { alpns: [] }), 'invalid-configuration')
    await fails(b.listen('', { alpns: [''] }), 'invalid-configuration')
    await fails(b.listen('', { alpns: ['x'], kinds: [] }), 'invalid-configuration')
  },
  'two sides that connect to each other at once have two connections': async (pair) => {
    const { a, b, listener } = pair
    const other = await a.listen()
    const [byA, toB, byB, toA] = await Promise.all([
      a.connect(b.address()),
      listener.accept(),
      b.connect(a.address()),
      other.accept(),
    ])
    await Promise.all([byA.send(text('by a')), byB.send(text('by b'))])
    assert.equal(string(await pair.watch(toB).recv()), 'by a')
    assert.equal(string(await pair.watch(toA).recv()), 'by b')
    byA.close(1)
    assert.equal((await toB.closed).closeCode, 1)
    await roundTrip(pair.watch(byB), toA)
    pair.watch(byA)
  },
  'many connections between two nodes live side by side': {
    limits: { b: { maxConnectionsPerPeer: MANY_CONNECTIONS } },
    run: async (pair) => {
      const { a, b, listener } = pair
      const count = Math.min(pair.scale.many, MANY_CONNECTIONS)
      const connected = await Promise.all(Array.from({ length: count }, () => a.connect(b.address())))
      const accepted = await Promise.all(Array.from({ length: count }, () => listener.accept()))
      const heard = settling(Promise.all(accepted.map(async (connection) => (await pair.watch(connection).recv())[0])))
      await Promise.all(connected.map((connection, i) => pair.watch(connection).send(Uint8Array.of(i))))
      assert.deepEqual(
        (await heard.promise).sort(ascending),
        Array.from({ length: count }, (_, i) => i),
      )
    },
  },
  'a third node is told apart': async (pair) => {
    const c = await pair.third()
    const [client] = await pair.connect()
    const [other, accepted] = await Promise.all([c.connect(pair.b.address()), pair.listener.accept()])
    assert(pair.watch(accepted).remoteNodeId().equals(testNodeId('c')))
    client.close()
    await roundTrip(pair.watch(other), accepted)
  },
}
