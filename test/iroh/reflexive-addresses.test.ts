/** What a node makes of the reflectors it knows: real ones through every door, and ones that misbehave. */
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { isReflexive } from '../../src/iroh/addresses.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { askForReflectors } from '../../src/iroh/reflector-offers.ts'
import { serveReflector } from '../../src/reflector/index.ts'
import { RelayServer } from '../../src/relay/index.ts'
import { realRuntime } from '../../src/runtime/index.ts'
import { DOORS } from './doors.ts'
import { LOOPBACK } from './endpoints.ts'

const SOON = { timeout: 20_000 }
const open: { close(): unknown }[] = []
const NOBODY = testNodeId('nobody').toString()

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

/** An HTTP server in the place of a relay. */
async function answering(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const saying =
  (status: number, body: string): RequestListener =>
  (_request, response) =>
    response.writeHead(status).end(body)

describe('what a relay offers', () => {
  const http = { runtime: realRuntime(), roots: [] }
  const offer = (...reflectors: unknown[]): string => JSON.stringify({ reflectors })

  test.each([
    ['nothing', saying(404, 'not found'), []],
    ['an empty list', saying(200, offer()), []],
    ['a port where it is itself', saying(200, offer({ id: NOBODY, port: 7843 })), [['127.0.0.1:7843']]],
    [
      'addresses elsewhere',
      saying(200, offer({ id: NOBODY, port: 1, addresses: ['192.0.2.1:2', '[2001:db8::1]:3'] })),
      [['192.0.2.1:2', '[2001:db8::1]:3']],
    ],
    [
      'more than are used',
      saying(200, offer(...Array.from({ length: 9 }, (_, i) => ({ id: NOBODY, port: i + 1 })))),
      [1, 2, 3, 4].map((port) => [`127.0.0.1:${port}`]),
    ],
  ])('%s', async (_what, listener, expected) => {
    const offers = await askForReflectors(http, await answering(listener), 10_000)
    expect(offers.map(({ direct }) => direct)).toEqual(expected)
    for (const { id } of offers) expect(id.toString()).toBe(NOBODY)
  })

  test.each([
    ['an error', saying(500, 'sorry'), 'protocol', /status 500/],
    ['no JSON', saying(200, '<html>'), 'protocol', /no JSON/],
    ['null', saying(200, 'null'), 'protocol', /JSON|list/],
    ['no list', saying(200, '{"reflectors":{}}'), 'protocol', /no list/],
    ['no id', saying(200, offer({ port: 1 })), 'protocol', /no id/],
    ['an id that is none', saying(200, offer({ id: 'x', port: 1 })), 'protocol', /"x" is no id/],
    ['no port', saying(200, offer({ id: NOBODY })), 'protocol', /no port/],
    ['port 0', saying(200, offer({ id: NOBODY, port: 0 })), 'protocol', /no port/],
    ['a name', saying(200, offer({ id: NOBODY, addresses: ['localhost:1'] })), 'protocol', /"localhost:1" is no/],
    ['one address', saying(200, offer({ id: NOBODY, addresses: 7 })), 'protocol', /7 is no ip:port/],
    ['without end', saying(200, 'x'.repeat(20_000)), 'protocol', /more than 16384 bytes/],
    [
      'another place',
      (_: unknown, response: Parameters<RequestListener>[1]) =>
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'protocol',
      /status 302/,
    ],
  ] as const)('%s, which is an error', async (_what, listener, code, message) => {
    const asked = askForReflectors(http, await answering(listener), 10_000)
    await expect(asked).rejects.toMatchObject({ code, message: expect.stringMatching(message) as unknown })
  })

  test('nothing, as nobody is there', async () => {
    await expect(askForReflectors(http, 'http://127.0.0.1:1', 10_000)).rejects.toMatchObject({ code: 'network' })
  })
})

test.each([
  ['203.0.113.1:5', true, false],
  ['192.168.1.1:5', true, false],
  ['[2001:db8::1]:5', true, false],
  ['127.0.0.1:5', false, true],
  ['[::1]:5', false, true],
  ['203.0.113.1:0', false, false],
  ['0.0.0.0:5', false, false],
  ['224.0.0.1:5', false, false],
  ['255.255.255.255:5', false, false],
  ['169.254.0.1:5', false, false],
  ['[::]:5', false, false],
  ['[ff02::1]:5', false, false],
  ['[fe80::1]:5', false, false],
  ['nonsense', false, false],
])('%s can be an address of a node: %j, on this machine: %j', (address, anywhere, here) => {
  expect([isReflexive(address, false), isReflexive(address, true)]).toEqual([anywhere, here])
})

describe.each(DOORS)('through the $name door', ({ name: binding }) => {
  const create = async (options: IrohCreateOptions = {}): Promise<IrohP2P> => {
    const node = await IrohP2P.create({ relay: 'disabled', bind: LOOPBACK, binding, ...options })
    open.push(node)
    return node
  }

  test('a node learns from the reflector of its relay where it is seen from, before it is there', async () => {
    const reflecting = await create()
    const reflector = await serveReflector(reflecting)
    const port = Number(reflector.localAddr.split(':').at(-1))
    const relay = await RelayServer.start({
      host: '127.0.0.1',
      port: 0,
      reflectors: [{ id: reflecting.localNodeId(), port }],
    })
    open.push(relay)
    const node = await create({ relay: [relay.url] })
    const [state] = node.reflectors()
    expect(state).toMatchObject({ relay: `${relay.url}/`, id: reflecting.localNodeId().toString(), error: undefined })
    expect(state?.observed.length).toBeGreaterThan(0)
    expect(node.address().direct).toEqual(expect.arrayContaining([...(state?.observed ?? [])]))
    expect(reflector.connections).toBe(1)
    await node.close()
    await expect.poll(() => reflector.connections, SOON).toBe(0)
  })

  test('a reflector that was given by its ticket, and comes back as another', async () => {
    const first = await create()
    await serveReflector(first)
    let offered = first
    const relay = await answering((request, response) => {
      const isAsked = request.url === '/reflector'
      const id = offered.localNodeId().toString()
      response
        .writeHead(isAsked ? 200 : 404)
        .end(JSON.stringify({ reflectors: [{ id, addresses: offered.address().direct }] }))
    })
    const node = await create({ relay: [relay], relayTimeoutMs: 3_000, reflectors: [first.address().toTicket()] })
    const ids = (): readonly (string | undefined)[] =>
      node.reflectors().flatMap(({ id, observed }) => (observed.length > 0 ? [id] : []))
    expect(ids()).toEqual([first.localNodeId().toString(), first.localNodeId().toString()])
    const second = await create()
    await serveReflector(second)
    offered = second
    await first.close()
    await expect.poll(ids, SOON).toEqual([second.localNodeId().toString()])
  })

  test('nobody is asked when reflectors are disabled', async () => {
    let asked = 0
    const relay = await answering((request, response) => {
      if (request.url === '/reflector') asked++
      response.writeHead(404).end()
    })
    await create({ relay: [relay], relayTimeoutMs: 200, reflectors: 'disabled' })
    await create({ relay: [relay], relayTimeoutMs: 200 })
    expect(asked).toBe(1)
  })

  test('a relay that never answers holds `create` up no longer than it may', async () => {
    const relay = await answering(() => {})
    const node = await create({ relay: [relay], relayTimeoutMs: 300 })
    expect(node.reflectors()).toEqual([])
    await expect.poll(() => node.reflectors()[0]?.error?.code, SOON).toBe('timeout')
  })

  test('a reflector that is not there is said to be so', async () => {
    const reflecting = await create()
    const ticket = reflecting.address().toTicket()
    const node = await create({ reflectors: [ticket], relayTimeoutMs: 10_000 })
    expect(node.reflectors()[0]).toMatchObject({ observed: [], error: { code: 'refused' } })
  })
})

test.each([
  [['nonsense'], 'invalid-node-id'],
  [[NOBODY], 'invalid-configuration'],
  ['all', 'invalid-configuration'],
  [Array.from({ length: 9 }, () => NOBODY), 'invalid-configuration'],
])('reflectors: %j make no sense', async (reflectors, code) => {
  const options = { relay: 'disabled', bind: LOOPBACK, reflectors } as unknown as IrohCreateOptions
  await expect(IrohP2P.create(options)).rejects.toMatchObject({ code })
})
