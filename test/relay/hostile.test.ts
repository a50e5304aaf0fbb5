/** Clients that do not behave: the relay stays up, and others are served as if nothing were. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RelayServer } from '../../src/relay/index.ts'
import { answerTo, bytes, TestClient } from './client.ts'

let relay: RelayServer
let alice: TestClient
let bob: TestClient

beforeAll(async () => {
  relay = await RelayServer.start({ host: '127.0.0.1', port: 0, limits: { handshakeTimeoutMs: 400 } })
  alice = await TestClient.connect(relay.url, 'alice')
  bob = await TestClient.connect(relay.url, 'bob')
})

afterAll(() => relay.close({ graceMs: 50 }))

/** That two who behave still reach each other, and get nothing that they were not sent. */
async function othersAreServed(): Promise<boolean> {
  const text = randomBytes(20)
  alice.send(4, bob.idBytes, 0, text)
  const got = await bob.next()
  await alice.settle()
  return got?.equals(bytes(6, alice.idBytes, 0, text)) === true && alice.frames.length + bob.frames.length === 0
}

describe('instead of the answer to the challenge', () => {
  test('garbage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 120 }), async (garbage) => {
        const client = await TestClient.greet(relay.url, 'mallory', { challenge: () => garbage })
        const frame = await client.next()
        expect(frame?.[0] ?? 3).toBe(3)
        expect((await client.closed).code).toBe(1008)
      }),
      { numRuns: 50 },
    )
    expect(await othersAreServed()).toBe(true)
  })

  test('the answer to another, text, too much, the same twice', async () => {
    let stolen: Buffer | undefined
    const first = await TestClient.greet(relay.url, 'mallory', { challenge: (c) => (stolen = answerTo(c, 'mallory')) })
    expect(await first.next()).toEqual(Buffer.of(2))
    const replayed = await TestClient.greet(relay.url, 'mallory', { challenge: () => stolen ?? Buffer.of() })
    expect((await replayed.next())?.[0]).toBe(3)
    const text = TestClient.open(relay.url, 'mallory')
    await text.next()
    text.socket.send('hello')
    expect((await text.closed).code).toBe(1008)
    const big = await TestClient.greet(relay.url, 'mallory', { challenge: () => new Uint8Array(70_000) })
    expect((await big.closed).code).toBe(1009)
    first.socket.terminate()
    expect(await othersAreServed()).toBe(true)
  })
})

describe('after it was accepted', () => {
  test('any frames', async () => {
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(fc.nat(20), fc.uint8Array({ maxLength: 60 })).map(([type, rest]) => bytes(type, rest)),
      fc.tuple(fc.constantFrom(4, 5, 9, 10), fc.uint8Array({ maxLength: 80 })).map(([type, rest]) => bytes(type, rest)),
      fc.constant(bytes(4, new Uint8Array(32), 0, 'to nobody')),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 20 }), async (frames) => {
        const client = await TestClient.connect(relay.url, 'mallory')
        for (const one of frames) client.socket.send(one)
        client.socket.close()
        await client.closed
      }),
      { numRuns: 100 },
    )
    expect(await othersAreServed()).toBe(true)
    await expect.poll(() => relay.metrics().clients).toBe(2)
  })

  test.each([
    ['text', 'text', 1008],
    ['an unknown type', Buffer.of(14), 1008],
    ['an empty frame', Buffer.of(), 1008],
    ['too much', Buffer.alloc(65_538, 4), 1009],
  ])('%s ends it', async (_name, frame, code) => {
    const client = await TestClient.connect(relay.url, 'mallory')
    client.socket.send(frame)
    expect((await client.closed).code).toBe(code)
    expect(await othersAreServed()).toBe(true)
  })

  test('floods of pings by one who does not read', async () => {
    const client = await TestClient.connect(relay.url, 'mallory')
    client.socket.pause()
    for (let i = 0; i < 200; i++) {
      for (let j = 0; j < 100; j++) {
        client.socket.ping('x'.repeat(100))
        client.send(9, '12345678')
      }
      expect(await othersAreServed()).toBe(true)
    }
    client.socket.terminate()
  })
})

describe('below WebSocket', () => {
  const raw = async (): Promise<Socket> => {
    const socket = connect(relay.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    await once(socket, 'connect')
    return socket
  }
  const UPGRADE =
    'GET /relay HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
    'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: iroh-relay-v2\r\n\r\n'

  test('any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 300 }), async (isUpgraded, garbage) => {
        const socket = await raw()
        if (isUpgraded) socket.write(UPGRADE)
        socket.end(garbage)
        await once(socket, 'close')
      }),
      { numRuns: 60 },
    )
    expect(await othersAreServed()).toBe(true)
  })

  test.each(['GET //[ HTTP/1.1', 'GET http://[/relay HTTP/1.1', 'GET /relay?token=%ff HTTP/1.1', 'GET * HTTP/1.1'])(
    'the request line %s',
    async (line) => {
      const socket = await raw()
      socket.end(UPGRADE.replace('GET /relay HTTP/1.1', line))
      await once(socket, 'close')
      expect(await othersAreServed()).toBe(true)
    },
  )

  test('connections that say nothing, or half of a request, are cut off', async () => {
    const sockets = [await raw(), await raw()]
    sockets[1]?.write('GET /relay HTT')
    await Promise.all(sockets.map((socket) => once(socket, 'close')))
    expect(await othersAreServed()).toBe(true)
  })

  test('too many connections are refused, and there is room again when they are gone', async () => {
    const small = await RelayServer.start({ host: '127.0.0.1', port: 0, limits: { maxConnectionsPerAddress: 2 } })
    const first = await TestClient.connect(small.url, 'a')
    await TestClient.connect(small.url, 'b')
    await TestClient.open(small.url, 'c').closed
    expect(small.metrics()).toMatchObject({ connectionsRefused: 1, connections: 2 })
    await first.close()
    await expect.poll(() => small.metrics().connections).toBe(1)
    await TestClient.connect(small.url, 'c')
    await small.close({ graceMs: 50 })
  })
})
