import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { PkarrDiscovery } from '../../src/discovery/index.ts'
import type { RecordPublish } from '../../src/discovery/index.ts'
import { decodeBody, encodeBody, signRecord } from '../../src/discovery/pkarr/signed-packet.ts'
import { signName } from '../../src/discovery/signed-name.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'
import { MemoryNode } from '../support/memory-node.ts'
import { ManualRuntime, settle } from '../support/manual-runtime.ts'

const key = testSigningKey('home')
const id = key.nodeId
const address = new P2PAddress(id, ['192.0.2.1:4433', '[2001:db8::1]:4433'], ['https://relay.example/'])
const sign = (message: Uint8Array): Uint8Array => key.sign(message)
const thief = (message: Uint8Array): Uint8Array => testSigningKey('thief').sign(message)
const signed = signRecord({ address, userData: 'living-room' }, 1_700_000_000_000_000n, sign)

interface Server extends AsyncDisposable {
  readonly url: string
  /** What it has been asked, as `PUT /path`. */
  readonly asked: string[]
  readonly stored: Map<string, Uint8Array>
}

type Handler = (req: IncomingMessage, res: ServerResponse) => void

/** A pkarr server that keeps the later of two records, as iroh's does, or does what `instead` says. */
async function pkarrServer(instead?: Handler): Promise<Server> {
  const stored = new Map<string, Uint8Array>()
  const asked: string[] = []
  const store: Handler = (req, res) => {
    const { method, url = '' } = req
    if (method === 'GET') {
      const body = stored.get(url)
      res.writeHead(body ? 200 : 404).end(body)
      return
    }
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('end', () => {
      const body = Buffer.concat(parts)
      const before = stored.get(url)
      if (!before || body.readBigUInt64BE(64) >= Buffer.from(before).readBigUInt64BE(64)) stored.set(url, body)
      res.writeHead(204).end()
    })
  }
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`)
    ;(instead ?? store)(req, res)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stored,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

describe('a pkarr server', () => {
  test('is told where a node that listens is, and tells those who ask for it', async () => {
    await using server = await pkarrServer()
    const pkarr = new PkarrDiscovery({ server: server.url, publish: 'all', userData: 'kitchen' })
    const runtime = new ManualRuntime()
    const p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery: [pkarr] })
    expect(await pkarr.resolveId(id)).toBeUndefined()
    await p2p.listen()
    await runtime.advance(0)
    await published(p2p, 0)
    expect((await pkarr.resolveId(id))?.direct).toEqual(p2p.address().direct)
    const first = timestamp(server)

    p2p.endpoint.direct = ['192.0.2.99:1']
    for (const tell of p2p.endpoint.addressWatchers) tell()
    await runtime.advance(100)
    await published(p2p, 100)
    expect((await pkarr.resolveId(id))?.direct).toEqual(['192.0.2.99:1'])
    expect(timestamp(server)).toBeGreaterThan(first)

    const before = server.asked.length
    await runtime.advance(300_000)
    await published(p2p, 300_100)
    expect(server.asked.slice(before)).toEqual([`PUT /pkarr/${id.toString()}`])
    await p2p.close()
    expect(runtime.pendingTimers).toBe(0)
  })

  test('is told of relays alone, unless more or less is asked for', async () => {
    await using server = await pkarrServer()
    const node = {
      id,
      runtime: new ManualRuntime(),
      address: () => address,
      onAddressChange: () => ({ [Symbol.dispose]: () => {} }),
      sign,
    }
    const announce = async (publish: RecordPublish | undefined): Promise<unknown[]> => {
      const attempts: unknown[] = []
      const onPublished = (error: unknown): void => void attempts.push(error)
      const pkarr = new PkarrDiscovery({ server: server.url, publish })
      const announcement = pkarr.announce({ ...node, onPublished })
      if (!announcement) return ['not announced']
      await node.runtime.advance(0)
      await until(() => attempts.length === 1)
      await announcement[Symbol.asyncDispose]()
      return attempts
    }
    const told = async (): Promise<unknown> => {
      const found = await new PkarrDiscovery({ server: server.url }).resolveId(id)
      return found && [found.direct, found.relays]
    }
    expect(await announce('nothing')).toEqual(['not announced'])
    expect(server.asked).toEqual([])
    expect(await announce(undefined)).toEqual([undefined])
    expect(await told()).toEqual([[], address.relays])
    expect(await announce('all')).toEqual([undefined])
    expect(await told()).toEqual([address.direct, address.relays])
    expect(await announce('relays')).toEqual([undefined])
    expect(await told()).toEqual([[], address.relays])

    // Without a relay.
    const before = server.asked.length
    node.address = () => new P2PAddress(id, address.direct)
    const [error] = await announce('relays')
    expect(error).toMatchObject({ code: 'discovery-failed', query: id.toString() })
    expect(String(error)).toMatch(/nothing to publish: this node has no relay, and its own addresses .*'all'/)
    expect(server.asked.length).toBe(before)
    expect(await announce('all')).toEqual([undefined])
    expect(await told()).toEqual([address.direct, []])
  })

  test('is given a later record than it has, though the clock was set back in between', async () => {
    await using server = await pkarrServer()
    const run = async (runtime: ManualRuntime, direct: string): Promise<bigint[]> => {
      const discovery = [new PkarrDiscovery({ server: server.url, publish: 'all' })]
      await using p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery })
      p2p.endpoint.direct = [direct]
      await p2p.listen()
      await runtime.advance(0)
      await published(p2p, runtime.now())
      const first = timestamp(server)
      const atMs = runtime.now() + 300_000
      await runtime.advance(300_000)
      await published(p2p, atMs)
      return [first, timestamp(server)]
    }
    const ahead = new ManualRuntime()
    await ahead.advance(86_400_000)
    expect(await run(ahead, '192.0.2.1:1')).toEqual([1_700_086_400_000_000n, 1_700_086_700_000_000n])
    // What it learnt of the first holds for the second, too.
    expect(await run(new ManualRuntime(), '192.0.2.2:2')).toEqual([1_700_086_700_000_001n, 1_700_086_700_000_002n])
    expect((await new PkarrDiscovery({ server: server.url }).resolveId(id))?.direct).toEqual(['192.0.2.2:2'])
    const path = `/pkarr/${id.toString()}`
    const once = [`GET ${path}`, `PUT ${path}`, `PUT ${path}`]
    expect(server.asked).toEqual([...once, ...once, `GET ${path}`])
  })

  test.each([
    ['that of another', encodeBody(signRecord({ address, userData: undefined }, 2n ** 60n, thief))],
    ['cut', encodeBody(signed).subarray(0, 80)],
    ['too long', new Uint8Array(100_000).fill(255)],
  ])('is given the record of now in place of one that is %s', async (_, body) => {
    let put: Uint8Array | undefined
    await using server = await pkarrServer((req, res) => {
      if (req.method === 'GET') res.writeHead(200).end(body)
      else req.on('data', (part: Buffer) => (put = part)).on('end', () => res.writeHead(204).end())
    })
    const runtime = new ManualRuntime()
    const discovery = [new PkarrDiscovery({ server: server.url, publish: 'all' })]
    await using p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery })
    await p2p.listen()
    await runtime.advance(0)
    await published(p2p, 0)
    expect(decodeBody(id, put ?? new Uint8Array()).timestampUs).toBe(1_700_000_000_000_000n)
  })

  test('that does not say what it has is given nothing, and asked again', async () => {
    let fails = true
    await using server = await pkarrServer((req, res) => {
      req.resume()
      const got = fails ? 500 : 404
      res.writeHead(req.method === 'GET' ? got : 204).end()
    })
    const runtime = new ManualRuntime()
    const discovery = [new PkarrDiscovery({ server: server.url, publish: 'all' })]
    await using p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery })
    await p2p.listen()
    await runtime.advance(0)
    await until(() => p2p.announcements()[0]?.error !== undefined)
    expect(p2p.announcements()[0]?.error?.message).toMatch(/status 500/)
    fails = false
    await runtime.advance(2_000)
    await published(p2p, 2_000)
    expect(server.asked.map((text) => text.slice(0, 3))).toEqual(['GET', 'GET', 'PUT'])
  })

  test('has the name that a node is registered with, before it listens or after, signed by the node', async () => {
    await using server = await pkarrServer()
    const pkarr = new PkarrDiscovery({ server: server.url, publish: 'all' })
    const runtime = new ManualRuntime()
    const p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery: [pkarr] })
    await p2p.register('living-room')
    await p2p.listen()
    await runtime.advance(0)
    await published(p2p, 0)
    expect(await pkarr.nameOf(id)).toBe('living-room')
    expect((await pkarr.resolveId(id))?.direct).toEqual(p2p.address().direct)
    await p2p.register('attic')
    await runtime.advance(100)
    await published(p2p, 100)
    expect(await pkarr.nameOf(id)).toBe('attic')
    await p2p.close()

    // A record of the node's own in which the name is another's.
    const userData = signName('attic', thief)
    server.stored.set(`/pkarr/${id.toString()}`, encodeBody(signRecord({ address, userData }, 2n ** 60n, sign)))
    expect(await pkarr.nameOf(id)).toBeUndefined()
    expect(await pkarr.nameOf(testNodeId('nobody'))).toBeUndefined()
  })

  test('publishes no name beside a text, or where nothing is published', async () => {
    await using server = await pkarrServer()
    for (const options of [{ userData: 'mine' }, { publish: 'nothing' }] as const) {
      const pkarr = new PkarrDiscovery({ server: server.url, ...options })
      const p2p = MemoryNode.create(new MemoryNetwork(), 'home', { discovery: [pkarr] })
      await expect(p2p.register('attic')).rejects.toMatchObject({ code: 'invalid-configuration' })
    }
  })

  test('that fails is tried again, ever more rarely, and the node tells why', async () => {
    let fails = true
    await using server = await pkarrServer((req, res) => {
      req.resume()
      const works = req.method === 'GET' ? 404 : 204
      res.writeHead(fails ? 503 : works).end()
    })
    const runtime = new ManualRuntime()
    const discovery = [new PkarrDiscovery({ server: server.url, publish: 'all' })]
    const p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery })
    await p2p.listen()
    await runtime.advance(0)
    await until(() => p2p.announcements()[0]?.error !== undefined)
    expect(p2p.announcements()[0]?.error?.message).toMatch(/127\.0\.0\.1:\d+: it answered with status 503/)
    for (const [afterMs, times] of [
      [2_000, 2],
      [4_000, 3],
    ] as const) {
      // prettier-ignore
      await runtime.advance(afterMs)
      await until(() => server.asked.length === times && runtime.pendingTimers === 1)
    }
    fails = false
    await runtime.advance(8_000)
    await until(() => p2p.announcements()[0]?.publishedMs === 14_000)
    expect(p2p.announcements()[0]?.error).toBeUndefined()
    await p2p.close()
  })

  test('is not believed when it lies, and its failures are told', async () => {
    const forged = encodeBody(signRecord({ address, userData: undefined }, 5n, thief))
    const cases: [Handler, RegExp, timeoutMs?: number][] = [
      [(_, res) => res.writeHead(200).end(forged), /the signature is not that of/],
      [(_, res) => res.writeHead(200).end(Buffer.alloc(10)), /not valid: it has only 10 bytes/],
      [(_, res) => res.writeHead(200).end(Buffer.alloc(1_000_000)), /more than 1072 bytes/],
      [(_, res) => res.writeHead(500).end('oops'), /status 500/],
      [(_, res) => res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /cannot be reached/],
      [(_, res) => res.destroy(), /cannot be reached/],
      [() => {}, /no answer within 50 ms/, 50],
    ]
    for (const [handler, message, timeoutMs = 10_000] of cases) {
      await using server = await pkarrServer(handler)
      const pkarr = new PkarrDiscovery({ server: server.url, timeoutMs })
      await expect(pkarr.resolveId(id)).rejects.toMatchObject({
        code: 'discovery-failed',
        query: id.toString(),
        message: expect.stringMatching(message) as unknown,
      })
    }
  })

  test('cannot bring an older record back, of others or of its own nodes', async () => {
    await using server = await pkarrServer()
    const pkarr = new PkarrDiscovery({ server: server.url, publish: 'all' })
    const show = (direct: string, timestampUs: bigint, name: string): void => {
      const userData = signName(name, sign)
      const record = { address: new P2PAddress(id, [direct]), userData }
      server.stored.set(`/pkarr/${id.toString()}`, encodeBody(signRecord(record, timestampUs, sign)))
    }
    show('192.0.2.5:5', 5n, 'five')
    expect((await pkarr.resolveId(id))?.direct).toEqual(['192.0.2.5:5'])
    show('192.0.2.4:4', 4n, 'four')
    expect((await pkarr.resolveId(id))?.direct).toEqual(['192.0.2.5:5'])
    expect(await pkarr.nameOf(id)).toBe('five')
    show('192.0.2.6:6', 6n, 'six')
    expect((await pkarr.resolveId(id))?.direct).toEqual(['192.0.2.6:6'])

    const runtime = new ManualRuntime()
    await using p2p = MemoryNode.create(new MemoryNetwork(), 'home', { runtime, discovery: [pkarr] })
    await p2p.listen()
    await runtime.advance(0)
    await published(p2p, 0)
    show('192.0.2.7:7', 7n, 'seven')
    expect((await pkarr.resolveId(id))?.direct).toEqual(p2p.address().direct)
    server.stored.clear()
    expect(await pkarr.resolveId(id)).toBeUndefined()
  })

  test('need not be waited for', async () => {
    await using server = await pkarrServer(() => {})
    const controller = new AbortController()
    const asking = new PkarrDiscovery({ server: server.url }).resolveId(id, { signal: controller.signal })
    await until(() => server.asked.length > 0)
    controller.abort()
    await expect(asking).rejects.toMatchObject({ code: 'aborted' })
  })

  test('has a URL, and its options make sense', () => {
    for (const server of ['', 'dns.example.org', 'ftp://dns.example.org']) {
      expect(() => new PkarrDiscovery({ server })).toThrow(/server = .*must be the URL/)
    }
    const server = 'https://dns.example.org'
    for (const publish of [true, false, 'addresses']) {
      expect(() => new PkarrDiscovery({ server, publish: publish as never })).toThrow(/publish = .*must be 'relays'/)
    }
    expect(() => new PkarrDiscovery({ server, timeoutMs: 0 })).toThrow(/timeoutMs = 0/)
    expect(() => new PkarrDiscovery({ server, userData: 'x'.repeat(246) })).toThrow(/at most 245 bytes/)
    expect(() => new PkarrDiscovery({ server, relay: 'x' } as never)).toThrow(/no option "relay"/)
  })
})

const timestamp = (server: Server): bigint => Buffer.from([...server.stored.values()][0] ?? []).readBigUInt64BE(64)

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) {
    await settle()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(condition()).toBe(true)
}

const published = (p2p: MemoryNode, atMs: number): Promise<void> =>
  until(() => p2p.announcements()[0]?.publishedMs === atMs)
