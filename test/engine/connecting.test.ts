import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import type { NodeId } from '../../src/core/node-id.ts'
import type { P2PDiscovery } from '../../src/core/system.ts'
import { failed, outcome, string, text, track } from '../support/engine-suite.ts'
import { ManualRuntime, settle } from '../support/manual-runtime.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'
import type { MemoryNetworkOptions } from '../support/memory-carrier.ts'
import { MemoryNode } from '../support/memory-node.ts'
import type { MemoryNodeOptions } from '../support/memory-node.ts'

const setUp = (
  options: MemoryNodeOptions & MemoryNetworkOptions = {},
): { network: MemoryNetwork; runtime: ManualRuntime; a: MemoryNode; b: MemoryNode } => {
  const network = new MemoryNetwork(options)
  const runtime = new ManualRuntime()
  const make = (name: string): MemoryNode => MemoryNode.create(network, name, { runtime, ...options })
  return { network, runtime, a: make('a'), b: make('b') }
}

describe('connect', () => {
  test('takes an id, an address, or the text of either', async () => {
    const { a, b } = setUp()
    await b.listen()
    const id = b.localNodeId()
    const address = b.address()
    const targets = [id, address, id.toString(), id.toHex(), address.toTicket(), ` ${id.toString().toUpperCase()}\n`]
    for (const target of targets) {
      const connection = await a.connect(target)
      expect(connection.remoteNodeId().equals(id)).toBe(true)
    }
  })

  test('takes ids and addresses of another copy of this package', async () => {
    const { a, b } = setUp()
    await b.listen()
    const id = { asBytes: () => b.localNodeId().asBytes() } as unknown as NodeId
    const address = { id, direct: b.address().direct, relays: [] } as unknown as P2PAddress
    for (const target of [id, address]) expect((await a.connect(target)).isConnected()).toBe(true)
  })

  test.each([undefined, null, 7, {}, [], { id: 7 }])('%j is nobody to connect to', async (target) => {
    const { a } = setUp()
    expect(await outcome(a.connect(target as unknown as string))).toEqual(
      failed('invalid-configuration', { setting: 'peer' }),
    )
  })

  test('says what is wrong with a text', async () => {
    const { a } = setUp()
    expect(await outcome(a.connect('nobody'))).toEqual(failed('invalid-node-id', { value: 'nobody' }))
    expect(await outcome(a.connect('endpointaaaa'))).toEqual(failed('invalid-configuration', { setting: 'ticket' }))
  })

  test('to oneself is refused, in any form', async () => {
    const { a } = setUp()
    await a.listen()
    for (const self of [a.localNodeId(), a.address(), a.localNodeId().toHex()]) {
      expect(await outcome(a.connect(self))).toEqual(failed('self-connect'))
    }
  })

  test('checks protocol and time', async () => {
    const { a, b } = setUp()
    await b.listen()
    for (const alpn of ['', 'x'.repeat(256), 'é'.repeat(128)]) {
      expect(await outcome(a.connect(b.localNodeId(), { alpn }))).toEqual(
        failed('invalid-configuration', { setting: 'alpn' }),
      )
    }
    // The longest that there is; nobody serves it.
    expect(await outcome(a.connect(b.localNodeId(), { alpn: 'x'.repeat(255) }))).toEqual(failed('refused'))
    for (const timeoutMs of [0, -1, Number.NaN]) {
      expect(await outcome(a.connect(b.localNodeId(), { timeoutMs }))).toEqual(
        failed('invalid-configuration', { setting: 'timeoutMs' }),
      )
    }
  })

  test.each([
    [undefined, 30_000],
    [250, 250],
  ])('gives up after timeoutMs (%d): `timeout`, and no timer is left', async (timeoutMs, afterMs) => {
    const { a, runtime } = setUp()
    const connecting = track(a.connect(testNodeId('nobody'), { timeoutMs }))
    await runtime.advance(afterMs - 1)
    expect(connecting.now).toBe('pending')
    await runtime.advance(1)
    expect(connecting.now).toEqual(failed('timeout', { afterMs }))
    expect(runtime.pendingTimers).toBe(0)
  })

  test('leaves no timer behind when it succeeds or fails', async () => {
    const { a, b, runtime } = setUp()
    expect(await outcome(a.connect(b.localNodeId()))).toEqual(failed('refused'))
    await b.listen()
    await a.connect(b.localNodeId())
    expect(runtime.pendingTimers).toBe(0)
  })

  test('is given up through a signal, and a connection that comes too late is closed', async () => {
    const { a, b, network, runtime } = setUp()
    await b.listen()
    network.hold()
    const controller = new AbortController()
    const connecting = track(a.connect(b.localNodeId(), { signal: controller.signal }))
    await settle()
    controller.abort('changed my mind')
    await settle()
    expect(connecting.now).toEqual(failed('aborted', { cause: 'changed my mind' }))
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0)
    network.release()
    await settle()
    expect(a.endpoint.connections.size + b.endpoint.connections.size).toBe(0)
    expect(runtime.pendingTimers).toBe(0)
    expect(await outcome(a.connect(b.localNodeId(), { signal: AbortSignal.abort() }))).toEqual(failed('aborted'))
  })

  test('after or during close of the node fails', async () => {
    const { a, b, runtime } = setUp()
    await b.listen()
    const connecting = track(a.connect(testNodeId('nobody')))
    await settle()
    const closing = track(a.close())
    await settle()
    expect(connecting.now).toEqual(failed('connection-closed', { by: 'local' }))
    expect(closing.now).toHaveProperty('value')
    const closed = failed('connection-closed', { reason: 'node closed', by: 'local' })
    expect(await outcome(a.connect(b.localNodeId()))).toEqual(closed)
    expect(await outcome(a.listen())).toEqual(closed)
    expect(await outcome(a.register('a'))).toEqual(closed)
    expect(await outcome(a.discover('a'))).toEqual(closed)
    expect(runtime.pendingTimers).toBe(0)
  })
})

describe('closing a node', () => {
  test('ends its connections and listeners gracefully', async () => {
    const { a, b } = setUp()
    const listener = await b.listen()
    const connection = await a.connect(b.localNodeId())
    const accepted = await listener.accept()
    await accepted.send(text('last words'))
    await b.close()
    expect(string(await connection.recv())).toBe('last words')
    expect(await connection.closed).toMatchObject({ by: 'remote', reason: 'ended' })
    expect(await outcome(listener.accept())).toEqual(failed('connection-closed'))
    await b.close()
    expect(await outcome(a.connect(b.localNodeId(), { timeoutMs: 1 }))).not.toHaveProperty('value')
  })

  test('is disposal', async () => {
    const { a, b } = setUp()
    await b.listen()
    {
      await using node = a
      await node.connect(b.localNodeId())
    }
    expect(a.endpoint.connections.size).toBe(0)
    expect(await outcome(a.listen())).toEqual(failed('connection-closed'))
  })

  test('takes no longer than `endTimeoutMs` when a peer does not confirm', async () => {
    const { a, b, runtime } = setUp({ windowBytes: 100, limits: { endTimeoutMs: 1_000, drainBufferBytes: 1 } })
    const listener = await b.listen()
    const connection = await a.connect(b.localNodeId())
    await listener.accept()
    const write = track((await connection.openStream()).write(new Uint8Array(100_000)))
    const closing = track(a.close())
    await runtime.advance(999)
    expect(closing.now).toBe('pending')
    await runtime.advance(1)
    expect(closing.now).toHaveProperty('value')
    expect(write.now).toEqual(failed('connection-closed'))
  })
})

describe('names', () => {
  class Names implements P2PDiscovery {
    readonly name: string
    readonly known = new Map<string, P2PAddress>()
    asked = 0
    /** `at once`, `never`, or what to fail with. */
    answer: unknown = 'at once'

    constructor(name: string, entries: Readonly<Record<string, P2PAddress>> = {}) {
      this.name = name
      for (const [key, address] of Object.entries(entries)) this.known.set(key, address)
    }

    resolveName(name: string): Promise<P2PAddress | undefined> {
      this.asked++
      if (this.answer === 'never') return new Promise(() => {})
      if (this.answer !== 'at once') return Promise.reject(this.answer)
      return Promise.resolve(this.known.get(name))
    }

    resolveId(id: NodeId): Promise<P2PAddress | undefined> {
      return this.resolveName(id.toString())
    }
  }

  class Registry extends Names {
    publish(name: string, address: P2PAddress): Promise<void> {
      if (this.answer === 'never') return new Promise(() => {})
      if (this.answer !== 'at once') return Promise.reject(this.answer)
      this.known.set(name, address)
      return Promise.resolve()
    }
  }

  test('are registered with every source that can, and discovered in the order of the sources', async () => {
    const first = new Names('first', { both: new P2PAddress(testNodeId('one')) })
    const second = new Registry('second', { both: new P2PAddress(testNodeId('two')) })
    const third = new Registry('third')
    const { a, b } = setUp({ discovery: [first, second, third] })
    await b.register('bob')
    expect(second.known.get('bob')?.toTicket()).toBe(b.address().toTicket())
    expect(third.known.get('bob')?.toTicket()).toBe(b.address().toTicket())
    expect((await a.discover('bob')).equals(b.localNodeId())).toBe(true)
    expect((await a.discover('both')).equals(testNodeId('one'))).toBe(true)
  })

  test('that nobody knows are `node-not-found`, naming the sources', async () => {
    const { a } = setUp({ discovery: [new Names('phone book')] })
    expect(await outcome(a.discover('nobody'))).toEqual(
      failed('node-not-found', { node: 'nobody', message: expect.stringContaining('phone book') as unknown }),
    )
    const { a: lonely } = setUp()
    expect(await outcome(lonely.discover('x'))).toEqual(failed('node-not-found'))
  })

  test('cannot be registered without a source that publishes', async () => {
    const { a } = setUp({ discovery: [new Names('read-only')] })
    expect(await outcome(a.register('a'))).toEqual(failed('unsupported', { what: 'register', backend: 'memory' }))
    const { a: other } = setUp({ discovery: [new Registry('r')] })
    expect(await outcome(other.register(''))).toEqual(failed('invalid-configuration', { setting: 'name' }))
  })

  test('one source that fails does not silence the others; when none knows, its failure is told', async () => {
    const [broken, working] = [new Names('broken'), new Names('working', { x: new P2PAddress(testNodeId('x')) })]
    broken.answer = new Error('no network')
    const { a } = setUp({ discovery: [broken, working] })
    expect((await a.discover('x')).equals(testNodeId('x'))).toBe(true)
    expect(await outcome(a.discover('y'))).toEqual(failed('discovery-failed', { query: 'y' }))
  })

  test('one source that takes no name does not keep it from the others, and its failure is told', async () => {
    const [broken, working] = [new Registry('broken'), new Registry('working')]
    broken.answer = new Error('the disk is full')
    const { a } = setUp({ discovery: [broken, working] })
    expect(await outcome(a.register('x'))).toEqual(
      failed('discovery-failed', {
        message: expect.stringMatching(/through broken failed: the disk is full/) as unknown,
      }),
    )
    expect(working.known.has('x')).toBe(true)
  })

  test('every failure of registering is a P2PError', async () => {
    const registry = new Registry('r')
    const { a } = setUp({ discovery: [registry] })
    registry.answer = new TypeError('undefined is not a function')
    expect(await outcome(a.register('a'))).toEqual(failed('discovery-failed', { query: 'a', cause: registry.answer }))
    registry.answer = P2PError.of('timeout', 'slow', { afterMs: 1 })
    expect(await outcome(a.register('a'))).toEqual(failed('timeout'))
  })

  test('are waited for no longer than the signal says, even by a source that does not listen to it', async () => {
    const registry = new Registry('deaf')
    registry.answer = 'never'
    const { a } = setUp({ discovery: [registry] })
    const controller = new AbortController()
    const { signal } = controller
    const waiting = [track<unknown>(a.discover('x', { signal })), track<unknown>(a.register('x', { signal }))]
    await settle()
    controller.abort('enough')
    await settle()
    expect(waiting.map(({ now }) => now)).toEqual(waiting.map(() => failed('aborted', { cause: 'enough' })))
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })

  test('an id without addresses is looked up when connecting; a deaf source does not outlast the time', async () => {
    const names = new Names('book')
    const { a, b, runtime } = setUp({ discovery: [names] })
    await b.listen()
    names.known.set(b.localNodeId().toString(), b.address())
    await a.connect(b.localNodeId())
    expect(names.asked).toBe(1)
    await a.connect(b.address())
    expect(names.asked).toBe(1)
    names.answer = new Error('broken')
    expect((await a.connect(b.localNodeId())).isConnected()).toBe(true)
    names.answer = 'never'
    const connecting = track(a.connect(b.localNodeId(), { timeoutMs: 100 }))
    await runtime.advance(100)
    expect(connecting.now).toEqual(failed('timeout', { afterMs: 100 }))
  })
})
