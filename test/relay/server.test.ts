/** The relay server and clients that behave. */
import { afterEach, describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { RelayServer, serveMetrics } from '../../src/relay/index.ts'
import type { RelayOptions } from '../../src/relay/index.ts'
import { bytes, TestClient } from './client.ts'

const relays: RelayServer[] = []

async function start(options: Partial<RelayOptions> = {}): Promise<RelayServer> {
  const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, ...options })
  relays.push(relay)
  return relay
}

afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.close({ graceMs: 50 })))
})

describe('the handshake', () => {
  test.each([
    [['iroh-relay-v2', 'iroh-relay-v1'], 'iroh-relay-v2'],
    [['iroh-relay-v1', 'iroh-relay-v2'], 'iroh-relay-v2'],
    [['iroh-relay-v1'], 'iroh-relay-v1'],
    [['other', 'iroh-relay-v1'], 'iroh-relay-v1'],
  ])('of %j picks %s', async (protocols, expected) => {
    const { url } = await start()
    const client = await TestClient.connect(url, 'alice', { protocols })
    expect(client.socket.protocol).toBe(expected)
  })

  test('refuses other protocols and other paths', async () => {
    const relay = await start()
    await TestClient.open(relay.url, 'alice', { protocols: ['other'] }).closed
    await TestClient.open(`${relay.url}/else`, 'alice').closed
    expect(relay.metrics()).toMatchObject({ accepted: 0, clients: 0 })
  })

  test('challenges each connection afresh', async () => {
    const { url } = await start()
    const [a, b] = [await TestClient.open(url, 'a').next(), await TestClient.open(url, 'b').next()]
    expect(a?.length).toBe(17)
    expect(a).not.toEqual(b)
  })

  test('denies a signature that is not of the id', async () => {
    const relay = await start()
    const client = await TestClient.greet(relay.url, 'alice', {
      challenge: () => bytes(1, testNodeId('alice').asBytes(), 64, new Uint8Array(64)),
    })
    expect(await client.next()).toEqual(bytes(3, 17, 'signature invalid'))
    expect((await client.closed).code).toBe(1008)
    expect(relay.metrics()).toMatchObject({ denied: 1, accepted: 0 })
  })

  test('has its time', async () => {
    const relay = await start({ limits: { handshakeTimeoutMs: 100 } })
    const client = TestClient.open(relay.url, 'alice')
    await client.closed
    expect(relay.metrics()).toMatchObject({ handshakeTimeouts: 1 })
  })

  test('that is not decided in time is over', async () => {
    const relay = await start({ access: () => new Promise(() => {}), limits: { handshakeTimeoutMs: 100 } })
    await (
      await TestClient.greet(relay.url, 'alice')
    ).closed
    expect(relay.metrics()).toMatchObject({ handshakeTimeouts: 1, accepted: 0 })
  })
})

describe('access', () => {
  const verdict = async (options: Partial<RelayOptions>, name: string, query = ''): Promise<string> => {
    const { url } = await start(options)
    const frame = await (await TestClient.greet(url, name, { query })).next()
    return frame?.[0] === 2 ? 'accepted' : (frame?.subarray(2).toString() ?? 'closed')
  }

  test.each([
    [{ allow: [testNodeId('alice')] }, 'alice', 'accepted'],
    [{ allow: [testNodeId('alice').toHex()] }, 'bob', 'not authorized'],
    [{ deny: [testNodeId('alice')] }, 'alice', 'not authorized'],
    [{ deny: [testNodeId('alice')] }, 'bob', 'accepted'],
    [{ allow: [testNodeId('alice')], deny: [testNodeId('alice').toString()] }, 'alice', 'not authorized'],
  ])('by lists (%#)', async (access, name, expected) => {
    expect(await verdict({ access }, name)).toBe(expected)
  })

  test('by a callback', async () => {
    const access: RelayOptions['access'] = async ({ id, token, remoteAddress }) => {
      if (remoteAddress !== '127.0.0.1') throw new Error(remoteAddress)
      if (token === 'fail') throw new Error('broken')
      return id.equals(testNodeId('alice')) || `who is ${token}?`
    }
    expect(await verdict({ access }, 'alice')).toBe('accepted')
    expect(await verdict({ access }, 'bob', '?token=bob')).toBe('who is bob?')
    expect(await verdict({ access }, 'alice', '?token=fail')).toBe('the relay cannot decide now')
  })

  test('by tokens', async () => {
    const tokens = ['first', 'second']
    expect(await verdict({ tokens }, 'alice', '?token=second')).toBe('accepted')
    expect(await verdict({ tokens }, 'alice', '?token=third')).toMatch(/token/)
    expect(await verdict({ tokens }, 'alice')).toMatch(/token/)
    expect(await verdict({ tokens, access: { deny: [testNodeId('alice')] } }, 'alice', '?token=first')).toMatch(/not/)
    const { url } = await start({ tokens })
    await TestClient.connect(url, 'alice', { headers: { authorization: 'Bearer first' } })
  })

  test('can end', async () => {
    const relay = await start()
    const client = await TestClient.connect(relay.url, 'alice')
    expect(relay.disconnect(testNodeId('alice'))).toBe(true)
    await client.closed
    expect(relay.disconnect(testNodeId('alice'))).toBe(false)
  })
})

describe('other rules', () => {
  const greeted = async (url: string, name: string, query = ''): Promise<unknown> =>
    (await (await TestClient.greet(url, name, { query })).next())?.[0] === 2

  test('cut off whose token is revoked, and nobody else', async () => {
    const relay = await start({ tokens: ['first', 'second'] })
    const [alice, bob] = [
      await TestClient.connect(relay.url, 'alice', { query: '?token=first' }),
      await TestClient.connect(relay.url, 'bob', { query: '?token=second' }),
    ]
    expect(await relay.setAdmission({ tokens: ['second', 'third'] })).toBe(1)
    await alice.closed
    await bob.settle()
    expect(await greeted(relay.url, 'alice', '?token=first')).toBe(false)
    expect(await greeted(relay.url, 'alice', '?token=third')).toBe(true)
    expect(relay.metrics()).toMatchObject({ denied: 2, accepted: 3 })
  })

  test('cut off whose id is denied, or allowed no more, and the callback is asked for the others', async () => {
    const relay = await start()
    const [alice, bob, carol] = [
      await TestClient.connect(relay.url, 'alice'),
      await TestClient.connect(relay.url, 'bob'),
      await TestClient.connect(relay.url, 'carol'),
    ]
    expect(await relay.setAdmission({ access: { deny: [testNodeId('alice')] } })).toBe(1)
    expect(await relay.setAdmission({ access: { allow: [testNodeId('alice'), testNodeId('bob')] } })).toBe(1)
    await Promise.all([alice.closed, carol.closed])
    const asked: string[] = []
    await relay.setAdmission({ access: ({ id }) => asked.push(id.toString()) > 0 })
    expect(asked).toEqual([testNodeId('bob').toString()])
    await bob.settle()
    expect(await relay.setAdmission({ access: () => Promise.reject(new Error('broken')) })).toBe(1)
    expect(await relay.setAdmission({})).toBe(0)
    expect(await greeted(relay.url, 'carol')).toBe(true)
  })

  test('count for a client that is being decided on', async () => {
    let decide: (verdict: boolean) => void = () => {}
    const relay = await start({ access: () => new Promise((resolve) => (decide = resolve)) })
    const verdict = greeted(relay.url, 'alice')
    await expect.poll(() => decide.length).toBe(1)
    await relay.setAdmission({ access: { deny: [testNodeId('alice')] } })
    decide(true)
    expect(await verdict).toBe(false)
  })

  test('that make no sense change nothing', async () => {
    const relay = await start({ tokens: ['first'] })
    const client = await TestClient.connect(relay.url, 'alice', { query: '?token=first' })
    await expect(relay.setAdmission({ tokens: [] })).rejects.toMatchObject({ code: 'invalid-configuration' })
    await expect(relay.setAdmission({ access: { deny: ['x'] } })).rejects.toMatchObject({ code: 'invalid-node-id' })
    await expect(relay.setAdmission({ token: 'x' } as never)).rejects.toMatchObject({ setting: 'token' })
    await client.settle()
    expect(await greeted(relay.url, 'bob')).toBe(false)
  })
})

describe('packets', () => {
  test('go to their destination, from their source', async () => {
    const relay = await start()
    const [a, b] = [await TestClient.connect(relay.url, 'a'), await TestClient.connect(relay.url, 'b')]
    a.send(4, b.idBytes, 1, 'one')
    a.send(5, b.idBytes, 2, 0, 2, 'two!')
    expect(await b.next()).toEqual(bytes(6, a.idBytes, 1, 'one'))
    expect(await b.next()).toEqual(bytes(7, a.idBytes, 2, 0, 2, 'two!'))
    b.send(4, a.idBytes, 0, new Uint8Array(65_536 - 33))
    expect((await a.next())?.length).toBe(65_537)
    expect(relay.metrics()).toMatchObject({ packetsReceived: 3, packetsSent: 3, queuedBytes: 0, clients: 2 })
  })

  test('to nobody are dropped silently', async () => {
    const relay = await start()
    const a = await TestClient.connect(relay.url, 'a')
    a.send(4, testNodeId('nobody').asBytes(), 0, 'one')
    await a.settle()
    expect(a.frames).toEqual([])
    expect(relay.metrics().packetsUnknown).toBe(1)
  })

  test('wait for a client that does not read, up to the limit, and the rest is dropped', async () => {
    const relay = await start({ limits: { queuePackets: 4 } })
    const [a, b] = [await TestClient.connect(relay.url, 'a'), await TestClient.connect(relay.url, 'b')]
    const other = await TestClient.connect(relay.url, 'other')
    b.socket.pause()
    const content = new Uint8Array(60_000)
    let sent = 0
    while (relay.metrics().packetsOverflowed === 0 && sent < 2000) {
      a.send(4, b.idBytes, 0, content)
      sent++
      await a.settle()
    }
    const { queuedBytes, packetsOverflowed } = relay.metrics()
    expect(packetsOverflowed).toBe(1)
    expect(queuedBytes).toBe(4 * 60_034)
    // Nobody else notices.
    a.send(4, other.idBytes, 0, 'hello')
    expect(await other.next()).toEqual(bytes(6, a.idBytes, 0, 'hello'))
    b.socket.resume()
    for (let i = 0; i < sent - 1; i++) expect((await b.next())?.length).toBe(60_034)
    await b.settle()
    expect(b.frames).toEqual([])
    expect(relay.metrics().queuedBytes).toBe(0)
  })

  test('are bounded in bytes as well', async () => {
    const relay = await start({ limits: { queueBytes: 100_000 } })
    const [a, b] = [await TestClient.connect(relay.url, 'a'), await TestClient.connect(relay.url, 'b')]
    b.socket.pause()
    for (let i = 0; i < 2000 && relay.metrics().packetsOverflowed === 0; i++) {
      a.send(4, b.idBytes, 0, new Uint8Array(60_000))
      await a.settle()
    }
    expect(relay.metrics()).toMatchObject({ packetsOverflowed: 1, queuedBytes: 60_034 })
    b.socket.terminate()
    await expect.poll(() => relay.metrics().queuedBytes).toBe(0)
  })

  test('of one who is gone: those it has sent to are told', async () => {
    const { url } = await start()
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => TestClient.connect(url, name)))
    a?.send(4, b?.idBytes ?? 0, 0, 'hello')
    await b?.next()
    await a?.close()
    expect(await b?.next()).toEqual(bytes(8, a?.idBytes ?? 0))
    await c?.settle()
    expect(c?.frames).toEqual([])
  })
})

describe('two connections of one id', () => {
  test.each([
    ['iroh-relay-v2', '13 \u0001', '13 \u0000'],
    ['iroh-relay-v1', '11 Another endpoint', '11 The connection is'],
  ])('%s', async (protocol, elsewhere, healthy) => {
    const { url } = await start()
    const options = { protocols: [protocol] }
    const other = await TestClient.connect(url, 'other')
    const first = await TestClient.connect(url, 'twin', options)
    const second = await TestClient.connect(url, 'twin', options)
    const told = async (): Promise<string> => {
      const frame = await first.next()
      return `${frame?.[0]} ${frame?.subarray(1, 18).toString()}`
    }
    expect(await told()).toContain(elsewhere)
    other.send(4, second.idBytes, 0, 'new')
    expect(await second.next()).toEqual(bytes(6, other.idBytes, 0, 'new'))
    await second.close()
    expect(await told()).toContain(healthy)
    other.send(4, first.idBytes, 0, 'old')
    expect(await first.next()).toEqual(bytes(6, other.idBytes, 0, 'old'))
  })

  test('are bounded', async () => {
    const relay = await start({ limits: { maxConnectionsPerId: 2 } })
    const first = await TestClient.connect(relay.url, 'twin')
    const second = await TestClient.connect(relay.url, 'twin')
    await TestClient.connect(relay.url, 'twin')
    expect((await first.closed).code).toBe(1001)
    await second.settle()
    expect(relay.metrics().clients).toBe(2)
  })
})

describe('pings', () => {
  test('are answered', async () => {
    const { url } = await start()
    const client = await TestClient.connect(url, 'a')
    client.send(9, '12345678')
    expect(await client.next()).toEqual(bytes(10, '12345678'))
    const pong = new Promise((resolve) => client.socket.once('pong', resolve))
    client.socket.ping()
    await pong
  })

  test('come to a silent client, and its answer keeps it', async () => {
    const relay = await start({ limits: { pingIntervalMs: 50, pongTimeoutMs: 400 } })
    const answers = await TestClient.connect(relay.url, 'answers')
    const silent = await TestClient.connect(relay.url, 'silent')
    const lies = await TestClient.connect(relay.url, 'lies')
    const over = new AbortController()
    const ended = Promise.all([silent.closed, lies.closed]).finally(() => over.abort())
    const keepUp = async (client: TestClient, payload: (ping: Buffer) => Uint8Array): Promise<void> => {
      while (!over.signal.aborted) {
        const ping = await client.next()
        if (!ping) return
        expect(ping[0]).toBe(9)
        expect(ping.length).toBe(9)
        client.send(10, payload(ping))
      }
    }
    await Promise.all([ended, keepUp(answers, (ping) => ping.subarray(1)), keepUp(lies, () => new Uint8Array(8))])
    expect(relay.metrics()).toMatchObject({ clientTimeouts: 2, clients: 1 })
  })
})

describe('a rate', () => {
  test('makes a client wait, and tells it once', async () => {
    const relay = await start({ rateLimit: { bytesPerSecond: 100_000, burstBytes: 10_000 } })
    const a = await TestClient.connect(relay.url, 'a')
    const b = await TestClient.connect(relay.url, 'b')
    const from = performance.now()
    for (let i = 0; i < 10; i++) a.send(4, b.idBytes, 0, new Uint8Array(5_000 - 34))
    expect(await a.next()).toEqual(bytes(13, 2))
    await a.settle()
    // 50,000 bytes, 10,000 of them at once, the last ping not read before the debt of all is paid.
    expect(performance.now() - from).toBeGreaterThan(350)
    for (let i = 0; i < 10; i++) expect((await b.next())?.[0]).toBe(6)
    expect(a.frames).toEqual([])
    expect(relay.metrics().rateLimited).toBeGreaterThan(0)
  })

  test('version 1 is not told', async () => {
    const relay = await start({ rateLimit: { bytesPerSecond: 100_000, burstBytes: 1_000 } })
    const a = await TestClient.connect(relay.url, 'a', { protocols: ['iroh-relay-v1'] })
    a.send(4, a.idBytes, 0, new Uint8Array(5_000))
    await a.settle()
    expect(a.frames.map((frame) => frame[0])).toEqual([6])
    expect(relay.metrics().rateLimited).toBe(1)
  })
})

describe('HTTP', () => {
  test('answers probes', async () => {
    const { url } = await start()
    const ping = await fetch(`${url}/ping`)
    expect([ping.status, ping.headers.get('access-control-allow-origin')]).toEqual([200, '*'])
    const probe = async (challenge: string): Promise<(string | number | null)[]> => {
      const response = await fetch(`${url}/generate_204`, { headers: { 'x-iroh-challenge': challenge } })
      return [response.status, response.headers.get('x-iroh-response')]
    }
    expect(await probe('ts_example.-1')).toEqual([204, 'response ts_example.-1'])
    expect(await probe('a b')).toEqual([204, null])
    expect(await probe('x'.repeat(64))).toEqual([204, null])
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
    expect((await fetch(`${url}/relay`)).status).toBe(426)
    expect((await fetch(`${url}/else`)).status).toBe(404)
    expect((await fetch(`${url}/ping`, { method: 'POST', body: 'x' })).status).toBe(405)
  })

  test('tells of reflectors', async () => {
    const id = testNodeId('reflector')
    const reflectors = [
      { id, port: 7843 },
      { id: id.toHex(), addresses: ['192.0.2.1:7844'] },
    ]
    const { url } = await start({ reflectors })
    const answer = await fetch(`${url}/reflector`)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toEqual({
      reflectors: [
        { id: id.toString(), port: 7843 },
        { id: id.toString(), addresses: ['192.0.2.1:7844'] },
      ],
    })
    expect((await fetch(`${(await start()).url}/reflector`)).status).toBe(404)
    expect((await fetch(`${(await start({ reflectors: [] })).url}/reflector`)).status).toBe(404)
  })

  test.each([
    [[{ id: 'x', port: 1 }], 'invalid-node-id'],
    [[{ id: testNodeId('r'), port: 0 }], 'invalid-configuration'],
    [[{ id: testNodeId('r') }], 'invalid-configuration'],
    [[{ id: testNodeId('r'), addresses: ['host:1'] }], 'invalid-configuration'],
    [[{ id: testNodeId('r'), port: 1, host: 'x' }], 'invalid-configuration'],
    [Array.from({ length: 5 }, () => ({ id: testNodeId('r'), port: 1 })), 'invalid-configuration'],
  ])('refuses reflectors that make no sense (%#)', async (reflectors, code) => {
    await expect(start({ reflectors })).rejects.toMatchObject({ code })
  })

  test('shows metrics to whom it should', async () => {
    const relay = await start({ metrics: true })
    await TestClient.connect(relay.url, 'a')
    const text = await (await fetch(`${relay.url}/metrics`)).text()
    expect(text).toContain('# TYPE p2p_relay_clients gauge\np2p_relay_clients 1\n')
    expect(text).toContain('# TYPE p2p_relay_accepted_total counter\np2p_relay_accepted_total 1\n')
    const closed = await start()
    expect((await fetch(`${closed.url}/metrics`)).status).toBe(404)
  })
})

describe('metrics on a port of their own', () => {
  test('are there alone, and for this machine alone', async () => {
    const relay = await start()
    const metrics = await serveMetrics(relay, { port: 0 })
    expect(metrics.url).toBe(`http://127.0.0.1:${metrics.port}/metrics`)
    const answer = await fetch(metrics.url)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4')
    expect(await answer.text()).toContain('p2p_relay_clients 0\n')
    expect((await fetch(`http://127.0.0.1:${metrics.port}/healthz`)).status).toBe(404)
    expect((await fetch(metrics.url, { method: 'POST' })).status).toBe(404)
    expect((await fetch(`${relay.url}/metrics`)).status).toBe(404)
    await expect(serveMetrics(relay, { port: metrics.port })).rejects.toMatchObject({ code: 'network' })
    await metrics.close()
    await expect(fetch(metrics.url)).rejects.toThrow('fetch failed')
  })

  test.each([
    [{ port: -1 }, 'port'],
    [{ port: 0, hots: '::1' } as never, 'hots'],
  ])('with settings that make no sense (%#)', async (options: { readonly port: number }, setting) => {
    await expect(serveMetrics(await start(), options)).rejects.toMatchObject({ code: 'invalid-configuration', setting })
  })
})

describe('the end', () => {
  test('is told to clients, after what waits for them', async () => {
    const relay = await start()
    const [a, b] = [await TestClient.connect(relay.url, 'a'), await TestClient.connect(relay.url, 'b')]
    a.send(4, b.idBytes, 0, 'last')
    await a.settle()
    const ended = relay.close({ reconnectWithinMs: 100, tryForMs: 3000 })
    expect(await b.next()).toEqual(bytes(6, a.idBytes, 0, 'last'))
    const restarting = await b.next()
    expect([restarting?.[0], restarting?.readUInt32BE(5)]).toEqual([12, 3000])
    expect(restarting?.readUInt32BE(1)).toBeLessThanOrEqual(100)
    expect((await b.closed).code).toBe(1001)
    await ended
    expect(relay.metrics()).toMatchObject({ clients: 0, connections: 0 })
    const again = await start({ port: relay.port })
    expect(again.url).toBe(relay.url)
    await TestClient.connect(again.url, 'a')
  })

  test('does not wait for those who do not end', async () => {
    const relay = await start()
    const client = await TestClient.connect(relay.url, 'a')
    client.socket.pause()
    const greeting = TestClient.open(relay.url, 'b')
    await greeting.next()
    await Promise.all([relay.close({ graceMs: 50 }), relay.close()])
    expect(relay.metrics().connections).toBe(0)
  })
})

describe('settings', () => {
  test.each([
    [{ port: -1 }, 'port'],
    [{ limits: { queuePackets: 0 } }, 'limits.queuePackets'],
    [{ limits: { quePackets: 1 } as never }, 'quePackets'],
    [{ tokens: [] }, 'tokens'],
    [{ tokens: [''] }, 'tokens'],
    [{ rateLimit: { bytesPerSecond: 0.5 } }, 'rateLimit.bytesPerSecond'],
    [{ tls: { cert: 'x', key: 'y' } }, 'tls'],
    [{ tls: { cert: '', key: 'y' } }, 'tls'],
    [{ acces: () => false } as never, 'acces'],
  ])('that make no sense (%#)', async (options: Partial<RelayOptions>, setting) => {
    await expect(start(options)).rejects.toMatchObject({ code: 'invalid-configuration', setting })
  })

  test('an id that is none, a port in use', async () => {
    await expect(start({ access: { allow: ['alice'] } })).rejects.toMatchObject({ code: 'invalid-node-id' })
    const { port } = await start()
    await expect(start({ port })).rejects.toMatchObject({ code: 'network' })
  })
})
