/** A node's relays through every door: which it uses, what it says of them, tokens, and relays that are none. */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions, RelayEvent } from '../../src/iroh/index.ts'
import type { RelayOptions, RelayServer } from '../../src/relay/index.ts'
import { counterpart, freePort, run } from '../interop/counterparts.ts'
import { makeAuthority, makeCertificate } from '../support/certificates.ts'
import { startRelay } from '../support/relays.ts'
import { DOORS, NATIVE_DOOR } from './doors.ts'
import { LOOPBACK } from './endpoints.ts'
import { delayedTcp } from './delayed-tcp.ts'

const SOON = { timeout: 20_000 }
const WAIT_MS = 10_000
/** Each way, to a relay that is not the nearest. */
const FAR_MS = 150
const open: { close(): unknown }[] = []
const folder = mkdtempSync(join(tmpdir(), 'p2p-relays-'))
const authority = makeAuthority(folder)
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

const start = (options?: Partial<RelayOptions>): Promise<RelayServer> => startRelay(open, options)

async function create(options: IrohCreateOptions): Promise<IrohP2P> {
  const node = await IrohP2P.create({ bind: LOOPBACK, relayTimeoutMs: WAIT_MS, ...options })
  open.push(node)
  return node
}

/** Something on a port that is no relay. */
async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({ close: () => server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

describe.each(DOORS)('through the $name door', ({ name: binding }) => {
  const attached = binding === 'native' ? 'attached' : 'unknown'

  test('a relay that wants a token is used with it, named without it, and carries what two say to each other', async () => {
    const relay = await start({ tokens: ['s3cret'] })
    const [a, b] = await Promise.all([
      create({ binding, relay: [{ url: relay.url, token: 's3cret' }] }),
      create({ binding, relay: [`${relay.url}?token=s3cret`] }),
    ])
    expect(b.address().relays).toEqual([`${relay.url}/`])
    expect(b.address().toTicket()).not.toContain('s3cret')
    await expect.poll(() => relay.metrics().clients, SOON).toBe(2)
    const listener = await b.listen()
    const to = new P2PAddress(b.localNodeId(), [], b.address().relays)
    const [client, server] = await Promise.all([a.connect(to), listener.accept()])
    await client.send(new TextEncoder().encode('hello'))
    expect(new TextDecoder().decode(await server.recv())).toBe('hello')
    expect(relay.metrics().packetsSent).toBeGreaterThan(4)
    expect(relay.metrics().denied).toBe(0)
  })

  test('a relay can be given a token, added, and removed', async () => {
    const first = await start({ tokens: ['s3cret'] })
    const node = await create({ binding, relay: [first.url] })
    await expect.poll(() => first.metrics().denied, SOON).toBeGreaterThan(0)
    const second = await start()
    node.addRelay(second.url)
    expect(node.removeRelay(first.url)).toBe(true)
    expect(node.removeRelay(first.url)).toBe(false)
    await expect.poll(() => second.metrics().clients, { timeout: 40_000 }).toBe(1)
    await expect.poll(() => node.address().relays, SOON).toEqual([`${second.url}/`])
    expect(node.relays().map(({ url, home }) => [url, home])).toEqual([[`${second.url}/`, true]])
    expect(() => node.addRelay('ftp://relay.example')).toThrow(/http/)
  })

  test('a node without relays takes none', async () => {
    const node = await create({ binding, relay: 'disabled' })
    expect(() => node.addRelay('http://127.0.0.1:1')).toThrow(/'disabled'/)
    expect(node.relays()).toEqual([])
  })

  test('of several relays the nearest is home, and the next takes over when that is removed', async () => {
    const [near, far] = [await start(), await start()]
    const delayed = await delayedTcp(far.port, FAR_MS)
    open.push(delayed)
    const node = await create({ binding, relay: [delayed.url, near.url] })
    const states = (): string[] => node.relays().map(({ url, home, state }) => `${url} ${home} ${state}`)
    await expect
      .poll(() => states().toSorted(), SOON)
      .toEqual([`${delayed.url} false standby`, `${near.url}/ true ${attached}`].toSorted())
    const events: string[] = []
    node.onRelayChange(({ kind, url }) => events.push(`${kind} ${url === delayed.url ? 'far' : 'near'}`))
    expect(node.removeRelay(near.url)).toBe(true)
    const takesOver = binding === 'native' ? ['lost near', 'home far', 'attached far'] : ['home far']
    await expect.poll(() => events, { timeout: 40_000 }).toEqual(takesOver)
    await expect.poll(() => far.metrics().clients, SOON).toBe(1)
    await expect.poll(states, SOON).toEqual([`${delayed.url} true ${attached}`])
  })

  test('a certificate of an authority that is not trusted', async () => {
    const tls = makeCertificate(folder, `untrusted-${binding}`, ['IP:127.0.0.1'], authority)
    const relay = await start({ tls })
    const node = await create({ binding, relay: [relay.url], relayTimeoutMs: 1_000 })
    await expect.poll(() => node.relays()[0]?.reason, SOON).toMatch(/authority that is not trusted; see relayRoots/)
    expect(node.relays()[0]?.state).toBe('unreachable')
    const report = await node.networkReport()
    expect(report.relays[0]).toMatchObject({ state: 'unreachable', latencyMs: undefined })
  })

  test('relays that are none are said to be so', async () => {
    const silent = await listening(createServer((socket) => socket.on('error', () => undefined)))
    const other = await listening(createHttpServer((_, response) => response.writeHead(404).end()))
    const gone = `http://127.0.0.1:${await freePort()}/`
    const node = await create({ binding, relay: [silent, other, gone], relayTimeoutMs: 500, reflectors: 'disabled' })
    const reasons = (): (string | undefined)[] => node.relays().map(({ reason }) => reason)
    await expect
      .poll(reasons, SOON)
      .toEqual([
        expect.stringContaining('does not answer within 5000 ms'),
        expect.stringContaining('is no relay: it has no /ping (status 404)'),
        expect.stringContaining('nobody listens there'),
      ])
    expect(node.relays().map(({ state }) => state)).toEqual(['unreachable', 'unreachable', 'unreachable'])
    expect(node.address().relays).toEqual([])
  })
})

describe.runIf(NATIVE_DOOR.here)('through the native door', () => {
  const binding = 'native'

  test('a relay that denies says why', async () => {
    const relay = await start({ tokens: ['s3cret'] })
    const node = await create({ binding, relay: [relay.url] })
    const denied = { home: true, state: 'denied', reason: 'the token is missing or unknown' }
    await expect.poll(() => node.relays(), SOON).toEqual([{ url: `${relay.url}/`, ...denied }])
  })

  test('what happens to relays is told as it happens', async () => {
    const relay = await start()
    const node = await create({ binding, relay: [relay.url] })
    await expect.poll(() => node.relays()[0]?.state, SOON).toBe('attached')
    const events: RelayEvent[] = []
    const listening = node.onRelayChange((event) => events.push(event))
    await relay.close()
    await expect.poll(() => events[0]?.kind, SOON).toBe('lost')
    const back = await start({ port: relay.port })
    await expect.poll(() => events.at(-1)?.kind, SOON).toBe('attached')
    expect(events.map(({ kind }) => kind)).toEqual(['lost', ...events.slice(1, -1).map(() => 'failed'), 'attached'])
    // It comes with the first attempt to come back, or before.
    expect(events.some(({ reason = '' }) => /refused|reset|closed/i.test(reason))).toBe(true)
    // Each failure once, however often it was tried.
    expect(new Set(events.map(({ reason }) => reason)).size).toBe(events.length)
    const times = events.map(({ atMs }) => atMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times[0]).toBeGreaterThan(0)
    listening[Symbol.dispose]()
    const count = events.length
    await back.close()
    await expect.poll(() => node.relays()[0]?.state, SOON).toBe('detached')
    expect(events).toHaveLength(count)
  })

  test('a certificate for another name', async () => {
    const tls = makeCertificate(folder, 'misnamed', ['DNS:other.example'], authority)
    const relay = await start({ tls })
    const roots = { relayRoots: [authority.cert] }
    const node = await create({ binding, relay: [relay.url], relayTimeoutMs: 1_000, ...roots })
    await expect.poll(() => node.relays()[0]?.reason, SOON).toMatch(/certificate is for another name/)
    expect(node.relays()[0]?.state).toBe('unreachable')
  })
})

const program = counterpart('iroh-relay')

describe.skipIf(program === undefined)('iroh-relay (skipped: not installed)', () => {
  test.each(DOORS)('lets in who has a token, and nobody else: $name', async ({ name: binding }) => {
    const port = await freePort()
    const config = join(folder, `relay-${binding}.toml`)
    const lines = [`http_bind_addr = "127.0.0.1:${port}"`, 'enable_metrics = false', 'access.shared_token = ["s3cret"]']
    await writeFile(config, lines.join('\n'))
    await using relay = run(program ?? '', ['--dev', '--config-path', config])
    const url = `http://127.0.0.1:${port}/`
    await expect
      .poll(
        () =>
          fetch(`${url}ping`).then(
            ({ status }) => status,
            () => relay.output(),
          ),
        SOON,
      )
      .toBe(200)
    const [a, b, stranger] = await Promise.all([
      create({ binding, relay: [{ url, token: 's3cret' }] }),
      create({ binding, relay: [{ url, token: 's3cret' }] }),
      create({ binding, relay: [{ url, token: 'wrong' }] }),
    ])
    const listener = await b.listen()
    const to = new P2PAddress(b.localNodeId(), [], [url])
    const [client] = await Promise.all([a.connect(to), listener.accept()])
    expect(client.isConnected()).toBe(true)
    await expect(stranger.connect(to, { timeoutMs: 2_000 })).rejects.toMatchObject({ code: 'timeout' })
    expect(stranger.relays()[0]?.state).toBe(binding === 'native' ? 'denied' : 'unknown')
  })
})
