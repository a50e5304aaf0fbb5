import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import type { StreamKind } from '../../src/core/connection.ts'
import { P2P_ALPN } from '../../src/core/system.ts'
import type { Authorize } from '../../src/core/system.ts'
import { failed, outcome, string, text, track } from '../support/engine-suite.ts'
import { ManualRuntime, settle } from '../support/manual-runtime.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'
import { MemoryNode } from '../support/memory-node.ts'
import type { MemoryConnection, MemoryNodeOptions } from '../support/memory-node.ts'

const twoNodes = (
  options: MemoryNodeOptions = {},
): { network: MemoryNetwork; runtime: ManualRuntime; a: MemoryNode; b: MemoryNode } => {
  const network = new MemoryNetwork()
  const runtime = new ManualRuntime()
  const make = (name: string): MemoryNode => MemoryNode.create(network, name, { runtime, ...options })
  return { network, runtime, a: make('a'), b: make('b') }
}

describe('listening', () => {
  test('accepts connections in the order of their coming, by accept and by iteration', async () => {
    const { a, b } = twoNodes()
    await using listener = await b.listen()
    const connections = [await a.connect(b.localNodeId()), await a.connect(b.localNodeId())]
    const accepted: MemoryConnection[] = []
    for await (const connection of listener) {
      accepted.push(connection)
      expect(connection.remoteNodeId().equals(a.localNodeId())).toBe(true)
      if (accepted.length === 2) break
    }
    await connections[0]?.send(text('first'))
    await connections[1]?.send(text('second'))
    expect([string(await accepted[0]?.recv()), string(await accepted[1]?.recv())]).toEqual(['first', 'second'])
  })

  test('is at one of the bound addresses, or all of them', async () => {
    const { a, b } = twoNodes()
    const bound = b.endpoint.boundAddresses()[0] ?? ''
    const all = await b.listen()
    expect(all.localAddr()).toBe(bound)
    all.close()
    const one = await b.listen(bound)
    expect(one.localAddr()).toBe(bound)
    expect(await outcome(a.listen('10.0.0.1:1'))).toEqual(
      failed('invalid-configuration', { setting: 'addr', value: '10.0.0.1:1' }),
    )
  })

  test('checks protocols and kinds', async () => {
    const { b } = twoNodes()
    const bad = [
      { alpns: [] },
      { alpns: [''] },
      { alpns: ['x'.repeat(256)] },
      { kinds: [] },
      { kinds: ['other' as StreamKind] },
    ]
    for (const options of bad) expect(await outcome(b.listen('', options))).toEqual(failed('invalid-configuration'))
  })

  test('twice for the same protocol is refused, until the first is closed', async () => {
    const { b } = twoNodes()
    const first = await b.listen('', { alpns: ['one', 'two'] })
    expect(await outcome(b.listen('', { alpns: ['two', 'three'] }))).toEqual(
      failed('already-listening', { alpn: 'two' }),
    )
    await b.listen('', { alpns: ['three'] })
    first.close()
    await b.listen('', { alpns: ['two'] })
  })

  test('for nothing, or for another protocol, refuses', async () => {
    const { a, b } = twoNodes()
    const refused = failed('refused', { node: b.localNodeId().toString() })
    expect(await outcome(a.connect(b.localNodeId()))).toEqual(refused)
    const listener = await b.listen('', { alpns: ['other'] })
    expect(await outcome(a.connect(b.localNodeId()))).toEqual(refused)
    expect(await outcome(a.connect(b.localNodeId(), { alpn: 'other' }))).toHaveProperty('value')
    listener.close()
    expect(await outcome(a.connect(b.localNodeId(), { alpn: 'other' }))).toEqual(refused)
  })

  test('that is closed: accept fails, iteration ends, who waits is refused, who was accepted stays', async () => {
    const { a, b } = twoNodes()
    const listener = await b.listen()
    const first = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    const second = await a.connect(b.localNodeId())
    await settle()
    const iterating = track(
      (async (): Promise<number> => {
        let count = 0
        for await (const _ of listener) count++
        return count
      })(),
    )
    await settle()
    const waiting = track(listener.accept())
    const third = await a.connect(b.localNodeId())
    await settle()
    const fourth = await a.connect(b.localNodeId())
    await settle()
    listener.close()
    listener.close()
    await settle()
    // The loop had taken the second and gone on to wait, then `accept`; the third went to the loop.
    expect(iterating.now).toEqual({ value: 2 })
    expect(waiting.now).toHaveProperty('value')
    expect(await outcome(listener.accept())).toEqual(failed('connection-closed', { by: 'local' }))
    await first.send(text('still here'))
    expect(string(await accepted.recv())).toBe('still here')
    expect([second.isConnected(), third.isConnected(), fourth.isConnected()]).toEqual([true, true, true])
    const fifth = outcome(a.connect(b.localNodeId()))
    expect(await fifth).toEqual(failed('refused'))
  })

  test('that is closed before a connection is accepted refuses it', async () => {
    const { a, b } = twoNodes()
    const listener = await b.listen()
    const connection = await a.connect(b.localNodeId())
    const receiving = track(connection.recv())
    await settle()
    listener.close()
    await settle()
    expect(await connection.closed).toMatchObject({ refused: true, by: 'remote', closeCode: 0 })
    expect(receiving.now).toEqual(failed('refused'))
  })
})

describe('authorize', () => {
  test.each<[string, Authorize, boolean]>([
    ['true', () => true, true],
    ['a promise of true', () => Promise.resolve(true), true],
    ['false', () => false, false],
    ['a promise of false', () => Promise.resolve(false), false],
    ['something that is merely truthy', () => 'yes' as unknown as boolean, false],
    [
      'an exception',
      () => {
        throw new Error('secret internals')
      },
      false,
    ],
    ['a rejection', () => Promise.reject(new Error('secret internals')), false],
  ])('%s lets the peer in accordingly', async (_name, authorize, allowed) => {
    const { a, b } = twoNodes()
    const listener = await b.listen('', { authorize })
    const connection = await a.connect(b.localNodeId())
    const accepted = track(listener.accept())
    await settle()
    expect(connection.isConnected()).toBe(allowed)
    expect(accepted.now === 'pending').toBe(!allowed)
  })

  test('is asked about the peer by its id, and about the protocol', async () => {
    const { a, b } = twoNodes()
    const asked: string[] = []
    const authorize: Authorize = (peer, alpn) => {
      asked.push(`${peer.toString()} ${alpn}`)
      return false
    }
    await b.listen('', { authorize, alpns: [P2P_ALPN, 'other/1'] })
    await a.connect(b.localNodeId())
    await settle()
    await a.connect(b.localNodeId(), { alpn: 'other/1' })
    await settle()
    const id = testNodeId('a').toString()
    expect(asked).toEqual([`${id} ${P2P_ALPN}`, `${id} other/1`])
  })

  test('may be everyone, said aloud; anything else that is no function is an error', async () => {
    const { a, b } = twoNodes()
    expect(await outcome(b.listen('', { authorize: 'everybody' as 'everyone' }))).toEqual(
      failed('invalid-configuration', { setting: 'authorize' }),
    )
    const listener = await b.listen('', { authorize: 'everyone' })
    await a.connect(b.localNodeId())
    expect((await listener.accept()).remoteNodeId().equals(testNodeId('a'))).toBe(true)
  })

  test('hears through its signal that its answer is of no use any more', async () => {
    const { a, b, runtime } = twoNodes({ limits: { authorizeTimeoutMs: 1_000 } })
    const signals: AbortSignal[] = []
    const authorize: Authorize = (_peer, _alpn, { signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    }
    await b.listen('', { authorize })
    const late = await a.connect(b.localNodeId())
    await settle()
    expect(signals[0]?.aborted).toBe(false)
    await runtime.advance(1_000)
    expect(signals[0]?.aborted).toBe(true)
    expect(await late.closed).toMatchObject({ refused: true, reason: 'not authorized in time' })
    const gone = await a.connect(b.localNodeId())
    await settle()
    gone.close()
    await settle()
    expect(signals[1]?.aborted).toBe(true)
  })

  test('saying no fails everything that is pending with `refused`, without internals', async () => {
    const { a, b } = twoNodes()
    let decide: (allowed: boolean) => void = () => {}
    const decision = new Promise<boolean>((resolve) => (decide = resolve))
    await b.listen('', { authorize: () => decision })
    const connection = await a.connect(b.localNodeId())
    const stream = await connection.openStream()
    await stream.write(text('hello'))
    const pending = [
      connection.recv(),
      connection.acceptStream(),
      connection.acceptReceiveStream(),
      stream.read(),
      stream.write(new Uint8Array(1_000_000)),
      connection.send(new Uint8Array(1_000_000)).then(() => connection.send(new Uint8Array(1_000_000))),
    ].map((promise) => track<unknown>(promise))
    await settle()
    decide(false)
    await settle()
    const refused = failed('refused', { node: b.localNodeId().toString() })
    expect(pending.map(({ now }) => now)).toEqual(pending.map(() => refused))
    expect(await connection.closed).toEqual({ closeCode: 0, reason: 'not authorized', by: 'remote', refused: true })
    expect(await outcome(connection.send(text('x')))).toEqual(refused)
    expect(await outcome(connection.openStream())).toEqual(refused)
  })

  test('that takes its time holds a place, so that no more than the limit get in', async () => {
    const { a, b } = twoNodes({ limits: { maxConnections: 2 } })
    const decisions: ((allowed: boolean) => void)[] = []
    const listener = await b.listen('', { authorize: () => new Promise((resolve) => decisions.push(resolve)) })
    const connections = await Promise.all(Array.from({ length: 5 }, () => a.connect(b.localNodeId())))
    await settle()
    expect(decisions.length).toBe(2)
    for (const decide of decisions) decide(true)
    await settle()
    expect(connections.filter((connection) => connection.isConnected()).length).toBe(2)
    await listener.accept()
    await listener.accept()
    expect(await outcome(listener.accept())).toBe('pending')
  })

  test('that never answers refuses when its time is over', async () => {
    const { a, b, runtime } = twoNodes({ limits: { authorizeTimeoutMs: 2_000 } })
    await b.listen('', { authorize: () => new Promise(() => {}) })
    const connection = await a.connect(b.localNodeId())
    await runtime.advance(1_999)
    expect(connection.isConnected()).toBe(true)
    await runtime.advance(1)
    expect(await connection.closed).toMatchObject({ refused: true })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('that is still thinking when the peer leaves gives its place back, and nobody is let in', async () => {
    const { a, b, runtime } = twoNodes({ limits: { maxConnections: 1 } })
    let answer: boolean | Promise<boolean> = new Promise(() => {})
    const listener = await b.listen('', { authorize: () => answer })
    const first = await a.connect(b.localNodeId())
    await settle()
    first.close()
    await settle()
    answer = true
    const second = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    await second.send(text('let in'))
    expect(string(await accepted.recv())).toBe('let in')
    await second.end()
    await settle()
    expect(runtime.pendingTimers).toBe(0)
  })

  test('that is still thinking when its listener is closed refuses', async () => {
    const { a, b } = twoNodes()
    let decide: (allowed: boolean) => void = () => {}
    const listener = await b.listen('', { authorize: () => new Promise((resolve) => (decide = resolve)) })
    const connection = await a.connect(b.localNodeId())
    await settle()
    listener.close()
    decide(true)
    await settle()
    expect(await connection.closed).toMatchObject({ refused: true })
  })
})

describe('limits of a listener', () => {
  test('`maxConnectionsPerPeer` leaves room for others; one that ends makes room', async () => {
    const { network, runtime, a, b } = twoNodes({ limits: { maxConnectionsPerPeer: 2 } })
    const c = MemoryNode.create(network, 'c', { runtime })
    const listener = await b.listen()
    const first = await a.connect(b.localNodeId())
    await a.connect(b.localNodeId())
    const third = await a.connect(b.localNodeId())
    expect(await third.closed).toMatchObject({
      refused: true,
      reason: 'it holds its limit of 2 connections from one peer',
    })
    const other = await c.connect(b.localNodeId())
    await settle()
    expect(other.isConnected()).toBe(true)
    for (let i = 0; i < 3; i++) await listener.accept()
    await first.end()
    await settle()
    const again = await a.connect(b.localNodeId())
    await settle()
    expect(again.isConnected()).toBe(true)
  })

  test('`maxConnections` at a time; one that ends makes room', async () => {
    const { a, b } = twoNodes({ limits: { maxConnections: 2 } })
    const listener = await b.listen()
    const [first] = [await a.connect(b.localNodeId()), await a.connect(b.localNodeId())]
    const refused = await a.connect(b.localNodeId())
    expect(await refused.closed).toMatchObject({ refused: true, reason: expect.stringContaining('2') as string })
    await listener.accept()
    await first.end()
    await settle()
    const next = await a.connect(b.localNodeId())
    await settle()
    expect(next.isConnected()).toBe(true)
  })

  test('`acceptBacklog` waiting to be accepted; accepting makes room', async () => {
    const { a, b } = twoNodes({ limits: { acceptBacklog: 2 } })
    const listener = await b.listen()
    const connections = []
    for (let i = 0; i < 3; i++) connections.push(await a.connect(b.localNodeId()))
    await settle()
    expect(connections.map((connection) => connection.isConnected())).toEqual([true, true, false])
    await listener.accept()
    const next = await a.connect(b.localNodeId())
    await settle()
    expect(next.isConnected()).toBe(true)
  })
})

describe('kinds of streams', () => {
  test('two listeners share a node and a protocol; each gets its kind, and handles are counted together', async () => {
    const { a, b } = twoNodes()
    const streams = await b.listen()
    const requests = await b.listen('', { kinds: ['request'] })
    expect(await outcome(b.listen('', { kinds: ['stream', 'request'] }))).toEqual(
      failed('already-listening', { alpn: P2P_ALPN }),
    )
    const connection = await a.connect(b.localNodeId())
    const [forStreams, forRequests] = [await streams.accept(), await requests.accept()]
    const request = await connection.openStream({ kind: 'request' })
    await request.write(text('a request'))
    const stream = await connection.openStream()
    await stream.write(text('a stream'))
    await connection.send(text('a message'))
    expect(string(await (await forRequests.acceptStream({ kind: 'request' })).read())).toBe('a request')
    expect(string(await (await forStreams.acceptStream()).read())).toBe('a stream')
    expect(string(await forStreams.recv())).toBe('a message')
    await forRequests.end()
    expect(connection.isConnected()).toBe(true)
    await forStreams.end()
    expect(connection.isConnected()).toBe(false)
  })

  test('closing one listener takes a waiting connection from it, and not from the other', async () => {
    const { a, b } = twoNodes()
    const streams = await b.listen()
    const requests = await b.listen('', { kinds: ['request'] })
    const connection = await a.connect(b.localNodeId())
    await settle()
    streams.close()
    await settle()
    expect(connection.isConnected()).toBe(true)
    const accepted = await requests.accept()
    const request = await connection.openStream({ kind: 'request' })
    await request.write(text('still'))
    expect(string(await (await accepted.acceptStream({ kind: 'request' })).read())).toBe('still')
    await connection.end()
  })

  test('`authorize` of each decides for its kind', async () => {
    const { a, b } = twoNodes()
    const streams = await b.listen('', { authorize: () => false })
    const requests = await b.listen('', { kinds: ['request'], authorize: () => true })
    const connection = await a.connect(b.localNodeId())
    await requests.accept()
    expect(await outcome(streams.accept())).toBe('pending')
    const stream = await connection.openStream()
    const read = track(stream.read())
    await stream.write(text('unwanted'))
    await settle()
    expect(read.now).toEqual(failed('stream-reset'))
  })

  test('that nobody takes are reset, in words that say so, and others go on', async () => {
    const { a, b } = twoNodes()
    const listener = await b.listen('', { kinds: ['request'] })
    const connection = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    const [twoWay, oneWay] = [await connection.openStream(), await connection.openSendStream()]
    const read = track(twoWay.read())
    await twoWay.write(text('x'))
    await oneWay.write(text('x'))
    await settle()
    const words = expect.stringContaining('nobody there takes streams of this kind') as unknown
    expect(read.now).toEqual(failed('stream-reset', { message: words }))
    expect(await outcome(twoWay.write(text('x')))).toEqual(failed('stream-stopped', { message: words }))
    expect(await outcome(oneWay.write(text('x')))).toEqual(failed('stream-stopped', { message: words }))
    const request = await connection.openStream({ kind: 'request' })
    await request.write(text('wanted'))
    expect(string(await (await accepted.acceptStream({ kind: 'request' })).read())).toBe('wanted')
  })

  test('a side that connected takes streams and messages, and requests once it asks for them', async () => {
    const { a, b } = twoNodes()
    const listener = await b.listen()
    const connection = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    const asking = track(connection.acceptStream({ kind: 'request' }))
    const request = await accepted.openStream({ kind: 'request' })
    await request.write(text('x'))
    await settle()
    expect(asking.now).toHaveProperty('value')
  })

  test('there are no others', async () => {
    const { a, b } = twoNodes()
    await b.listen()
    const connection = await a.connect(b.localNodeId())
    const kind = 'other' as StreamKind
    expect(await outcome(connection.openStream({ kind }))).toEqual(failed('invalid-configuration', { setting: 'kind' }))
    expect(await outcome(connection.acceptStream({ kind }))).toEqual(
      failed('invalid-configuration', { setting: 'kind' }),
    )
  })

  test('on another protocol every stream is a stream, and listeners do not share it', async () => {
    const { a, b } = twoNodes()
    const listener = await b.listen('', { alpns: ['other'] })
    expect(await outcome(b.listen('', { alpns: ['other'], kinds: ['request'] }))).toEqual(failed('already-listening'))
    const connection = await a.connect(b.localNodeId(), { alpn: 'other' })
    const accepted = await listener.accept()
    expect(await outcome(connection.openStream({ kind: 'request' }))).toEqual(failed('unsupported'))
    expect(await outcome(accepted.acceptStream({ kind: 'request' }))).toEqual(failed('unsupported'))
  })

  test('too many that wait for acceptStream are reset with a limit', async () => {
    const { a, b } = twoNodes({ limits: { maxWaitingStreams: 2 } })
    const listener = await b.listen()
    const connection = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    const reads = []
    for (let i = 0; i < 3; i++) {
      const stream = await connection.openStream()
      await stream.write(Uint8Array.of(i))
      reads.push(track(stream.read()))
      await (await connection.openSendStream()).write(Uint8Array.of(i))
    }
    await settle()
    expect(reads.map(({ now }) => now)).toEqual(['pending', 'pending', failed('stream-reset')])
    expect(await (await accepted.acceptStream()).read()).toEqual(Uint8Array.of(0))
    expect(await (await accepted.acceptReceiveStream()).read()).toEqual(Uint8Array.of(0))
    const next = await connection.openStream()
    await next.write(Uint8Array.of(9))
    expect(await (await accepted.acceptStream()).read()).toEqual(Uint8Array.of(1))
    expect(await (await accepted.acceptStream()).read()).toEqual(Uint8Array.of(9))
  })
})
