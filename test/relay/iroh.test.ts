/** Real iroh endpoints, through every door that is here. What they ask of a relay is theirs to decide. */
import { randomBytes } from 'node:crypto'
import * as iroh from '@number0/iroh'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import type { IrohEndpoint } from '../../src/iroh/binding.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { RelayOptions, RelayServer } from '../../src/relay/index.ts'
import { DOORS, NATIVE_DOOR } from '../iroh/doors.ts'
import { ALPN, incoming, openEndpoint, useDoor } from '../iroh/endpoints.ts'
import { bytesOf } from '../iroh/raw-binding.ts'
import { startRelay } from '../support/relays.ts'
import { TestClient } from './client.ts'

const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

const start = (options?: Partial<RelayOptions>): Promise<RelayServer> => startRelay(open, options)

describe.each(DOORS)('the $name door', (door) => {
  const endpoint = async (name: string, relay: RelayServer): Promise<IrohEndpoint> => {
    useDoor(door)
    const opened = await openEndpoint(name, { relay: [relay.url] })
    open.push({ close: () => opened.close() })
    return opened
  }

  test('connects by id and relay alone, so that the first bytes go over the relay', async () => {
    const relay = await start()
    const [a, b] = [await endpoint('a', relay), await endpoint('b', relay)]
    expect(await Promise.all([a.online(10_000), b.online(10_000)])).toEqual([true, true])
    // A door may know its relay before the relay knows it.
    await expect.poll(() => relay.metrics().clients, { timeout: 10_000 }).toBe(2)
    expect(relay.metrics()).toMatchObject({ accepted: 2, protocolErrors: 0, packetsReceived: 0 })
    expect(b.address().relays.map((url) => new URL(url).origin)).toEqual([relay.url])
    const next = incoming(b)
    b.setAlpns([ALPN])
    const address = new P2PAddress(testNodeId('b'), [], [relay.url])
    const connecting = a.connect({ address, alpn: ALPN, signal: AbortSignal.timeout(10_000) })
    const [client, server] = await Promise.all([connecting, next()])
    // Neither knew an address of the other: the handshake, several packets each way, went through here.
    const { packetsSent, packetsOverflowed, protocolErrors } = relay.metrics()
    expect(packetsSent).toBeGreaterThanOrEqual(4)
    expect({ packetsOverflowed, protocolErrors }).toEqual({ packetsOverflowed: 0, protocolErrors: 0 })
    client.sendDatagram(new Uint8Array([1, 2, 3]))
    expect(client.remoteId.equals(testNodeId('b'))).toBe(true)
    expect(server.remoteId.equals(testNodeId('a'))).toBe(true)
    client.close(0, '')
  })

  test('is not online at a relay that denies it', async () => {
    const relay = await start({ access: { deny: [testNodeId('a')] } })
    const a = await endpoint('a', relay)
    await expect.poll(() => relay.metrics().denied, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(relay.metrics()).toMatchObject({ accepted: 0, clients: 0, protocolErrors: 0 })
    expect(a.address().direct.length).toBeGreaterThan(0)
  })

  test('comes back when the relay has restarted', async () => {
    const first = await start()
    const a = await endpoint('a', first)
    await a.online(10_000)
    await first.close()
    const second = await start({ port: first.port })
    await expect.poll(() => second.metrics().clients, { timeout: 20_000 }).toBe(1)
    // It is served there as before.
    const other = await TestClient.connect(second.url, 'other')
    other.send(4, testNodeId('a').asBytes(), 0, 'no QUIC packet')
    await other.settle()
    expect(second.metrics()).toMatchObject({ packetsSent: 1, packetsUnknown: 0 })
  })
})

test.runIf(NATIVE_DOOR.here)('1 MiB between two who have no way to each other but the relay', async () => {
  const relay = await start()
  // One speaks IPv4 alone, the other IPv6 alone.
  const endpoints = ['127.0.0.1:0', '[::1]:0'].map(async (bind, i) => {
    const settings = { secretKey: testSigningKey(i === 0 ? 'a' : 'b'), bind: [bind], relay: [relay.url] }
    const node = await IrohP2P.create({ ...settings, binding: 'native' })
    open.push({ close: () => node.close() })
    return node
  })
  const [a, b] = (await Promise.all(endpoints)) as [IrohP2P, IrohP2P]
  const listener = await b.listen('')
  const to = new P2PAddress(testNodeId('b'), [], [relay.url])
  const [client, server] = await Promise.all([a.connect(to), listener.accept()])
  const payload = randomBytes(1_048_576)
  await client.send(payload)
  expect(Buffer.from((await server.recv()) ?? []).equals(payload)).toBe(true)
  expect(client.paths().map(({ kind }) => kind)).toEqual(['relay'])
  const { bytesSent, packetsOverflowed, protocolErrors } = relay.metrics()
  expect(bytesSent).toBeGreaterThan(payload.length)
  expect({ packetsOverflowed, protocolErrors }).toEqual({ packetsOverflowed: 0, protocolErrors: 0 })
  client.close()
})

test('an endpoint with a token', async () => {
  const relay = await start({ tokens: ['secret'] })
  const online = async (authToken: string | undefined): Promise<void> => {
    const builder = iroh.Endpoint.builder()
    iroh.presetMinimal(builder)
    const map = iroh.RelayMap.empty()
    map.insert({ url: relay.url, ...(authToken !== undefined && { authToken }) })
    builder.relayMode(iroh.RelayMode.custom(map))
    builder.alpns([bytesOf(ALPN)])
    builder.bindAddr('127.0.0.1:0')
    builder.bindAddr('[::1]:0')
    const endpoint = await builder.bind()
    onTestFinished(() => endpoint.close())
  }
  await online(undefined)
  await expect.poll(() => relay.metrics().denied, { timeout: 10_000 }).toBeGreaterThan(0)
  expect(relay.metrics().accepted).toBe(0)
  await online('secret')
  await expect.poll(() => relay.metrics().accepted, { timeout: 10_000 }).toBe(1)
})
