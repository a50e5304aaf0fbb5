import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import type { AnnouncedNode, P2PDiscovery } from '../../src/core/system.ts'
import { failed, outcome, track } from '../support/engine-suite.ts'
import { ManualRuntime, settle } from '../support/manual-runtime.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'
import { MemoryNode } from '../support/memory-node.ts'

const home = new P2PAddress(testNodeId('home'), ['127.0.0.1:7'])
const other = new P2PAddress(testNodeId('other'), ['127.0.0.1:8'])

type Answer = P2PAddress | undefined | Error | 'silence'

/** A source that gives one answer to everything, after `afterMs`. */
function source(name: string, runtime: ManualRuntime, answer: Answer, afterMs = 0): P2PDiscovery & { asked: number } {
  const resolve = async (): Promise<P2PAddress | undefined> => {
    self.asked++
    if (answer === 'silence') return new Promise(() => {})
    if (afterMs > 0) await runtime.sleep(afterMs)
    if (answer instanceof Error) throw answer
    return answer
  }
  const self = { name, asked: 0, resolveName: resolve, resolveId: resolve }
  return self
}

function node(...make: ((runtime: ManualRuntime) => P2PDiscovery)[]): { node: MemoryNode; runtime: ManualRuntime } {
  const runtime = new ManualRuntime()
  const discovery = make.map((one) => one(runtime))
  return { node: MemoryNode.create(new MemoryNetwork(), 'me', { runtime, discovery }), runtime }
}

describe('a look-up', () => {
  test('takes the answer of the first source in their order, though a later one was quicker', async () => {
    const { node: p2p, runtime } = node(
      (clock) => source('slow', clock, home, 100),
      (clock) => source('quick', clock, other),
    )
    const found = track(p2p.discover('it'))
    await runtime.advance(100)
    expect(found.now).toEqual({ value: testNodeId('home') })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('waits for a silent source no longer than the limit, and no source waits for another', async () => {
    const { node: p2p, runtime } = node(
      (clock) => source('silent', clock, 'silence'),
      (clock) => source('also silent', clock, 'silence'),
      (clock) => source('knows', clock, home),
    )
    const found = track(p2p.discover('it'))
    await runtime.advance(4_999)
    expect(found.now).toBe('pending')
    await runtime.advance(1)
    expect(found.now).toEqual({ value: testNodeId('home') })
  })

  test('fails with what the first source that failed said, when nobody knows', async () => {
    const { node: p2p, runtime } = node(
      (clock) => source('empty', clock, undefined),
      (clock) => source('broken', clock, new Error('no such thing')),
    )
    const found = track(p2p.discover('it'))
    await runtime.advance(0)
    expect(found.now).toEqual(failed('discovery-failed', { query: 'it' }))
    expect((found.now as { error: Error }).error.message).toMatch(/empty, broken.*no such thing/)
  })

  test('reports who knew what, how long it took, and why not', async () => {
    const { node: p2p, runtime } = node(
      (clock) => source('silent', clock, 'silence'),
      (clock) => source('empty', clock, undefined, 20),
      (clock) => source('knows', clock, home, 30),
    )
    const report = track(p2p.lookUp('it'))
    await runtime.advance(5_000)
    expect(report.now).toMatchObject({
      value: {
        query: 'it',
        address: home,
        sources: [
          { source: 'silent', tookMs: 5000, address: undefined, error: { code: 'timeout', afterMs: 5000 } },
          { source: 'empty', tookMs: 20, address: undefined, error: undefined },
          { source: 'knows', tookMs: 30, address: home, error: undefined },
        ],
      },
    })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('takes a text that is an id for one, in any form', async () => {
    const asked: string[] = []
    const byId: P2PDiscovery = {
      name: 'ids',
      resolveName: () => Promise.reject(new Error('asked for a name')),
      resolveId: (id) => {
        asked.push(id.toString())
        return Promise.resolve(home)
      },
    }
    const { node: p2p } = node(() => byId)
    const id = testNodeId('home')
    for (const query of [id, id.toString(), id.toHex()]) {
      expect((await p2p.lookUp(query)).address).toBe(home)
    }
    expect(asked).toEqual([id, id, id].map(String))
  })

  test('ends at once when its caller gives up, and leaves no timer', async () => {
    const { node: p2p, runtime } = node((clock) => source('silent', clock, 'silence'))
    const controller = new AbortController()
    const waiting = [track(p2p.discover('it', { signal: controller.signal })), track(p2p.lookUp('it', controller))]
    await settle()
    controller.abort(new Error('enough'))
    await settle()
    expect(waiting.map(({ now }) => now)).toEqual([failed('aborted'), failed('aborted')])
    expect(runtime.pendingTimers).toBe(0)
  })
})

describe('what sources keep', () => {
  test('they keep for as long as a node has them, listening or not', async () => {
    let attached = 0
    const it: P2PDiscovery = {
      name: 'keeping',
      resolveName: () => Promise.resolve(undefined),
      resolveId: () => Promise.resolve(undefined),
      attach: () => {
        attached++
        return { [Symbol.asyncDispose]: () => Promise.resolve(void attached--) }
      },
    }
    const nodes = [node(() => it).node, node(() => it).node]
    expect(attached).toBe(2)
    for (const [i, p2p] of nodes.entries()) {
      expect(await outcome(p2p.close())).toHaveProperty('value')
      expect(attached).toBe(1 - i)
    }
  })

  test('is let go of though one of them fails at it', async () => {
    const broken = { [Symbol.asyncDispose]: () => Promise.reject(new Error('no')) }
    const { node: p2p } = node((clock) => ({ ...source('broken', clock, undefined), attach: () => broken }))
    expect(await outcome(p2p.close())).toHaveProperty('value')
  })
})

describe('announcements', () => {
  const announcing = (): P2PDiscovery & { nodes: AnnouncedNode[]; running: number } => {
    const self = {
      name: 'announcing',
      nodes: [] as AnnouncedNode[],
      running: 0,
      resolveName: () => Promise.resolve(undefined),
      resolveId: () => Promise.resolve(undefined),
      announce(announced: AnnouncedNode): AsyncDisposable {
        self.nodes.push(announced)
        self.running++
        return { [Symbol.asyncDispose]: () => Promise.resolve(void self.running--) }
      },
    }
    return self
  }

  test('begin with the first listener, once, and end with the node', async () => {
    const it = announcing()
    const { node: p2p } = node(() => it)
    await settle()
    expect(it.running).toBe(0)
    const first = await p2p.listen()
    first.close()
    await p2p.listen()
    expect(it.nodes.length).toBe(1)
    expect(it.nodes[0]?.id.equals(p2p.localNodeId())).toBe(true)
    expect(p2p.announcements()).toEqual([{ source: 'announcing', publishedMs: undefined, error: undefined }])
    expect(await outcome(p2p.close())).toHaveProperty('value')
    expect(it.running).toBe(0)
    expect(p2p.endpoint.addressWatchers.size).toBe(0)
  })

  test('hear of a changed address, and only of a changed one', async () => {
    const it = announcing()
    const { node: p2p } = node(() => it)
    await p2p.listen()
    let heard = 0
    const watching = it.nodes[0]?.onAddressChange(() => heard++)
    const tell = (): void => p2p.endpoint.addressWatchers.forEach((listener) => listener())
    tell()
    expect(heard).toBe(0)
    p2p.endpoint.direct = ['127.0.0.1:99']
    tell()
    tell()
    expect(heard).toBe(1)
    expect(it.nodes[0]?.address().direct).toEqual(['127.0.0.1:99'])
    watching?.[Symbol.dispose]()
    p2p.endpoint.direct = ['127.0.0.1:100']
    tell()
    expect(heard).toBe(1)
    await p2p.close()
  })

  test('tell how they fare', async () => {
    const it = announcing()
    const { node: p2p, runtime } = node(() => it)
    await p2p.listen()
    await runtime.advance(10)
    it.nodes[0]?.onPublished(undefined)
    expect(p2p.announcements()).toEqual([{ source: 'announcing', publishedMs: 10, error: undefined }])
    it.nodes[0]?.onPublished(new Error('the server is gone'))
    const [state] = p2p.announcements()
    expect(state?.publishedMs).toBe(10)
    expect(P2PError.is(state?.error, 'discovery-failed')).toBe(true)
    await p2p.close()
  })
})
