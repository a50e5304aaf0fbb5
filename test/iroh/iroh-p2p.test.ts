/**
 * Nodes on real iroh, on loopback. What every backend has to do is in the contract suite; here is what could only go
 * wrong on this one.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as iroh from '@number0/iroh'
import { build } from 'vite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import type { P2PError } from '../../src/core/errors.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import { P2P_ALPN } from '../../src/core/system.ts'
import type { P2PStream } from '../../src/core/stream.ts'
import type { ListenOptions } from '../../src/core/system.ts'
import { StaticDiscovery } from '../../src/discovery/index.ts'
import { BackendP2P, IrohConnection, IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { DOORS } from './doors.ts'
import { LOOPBACK, scrambled } from './endpoints.ts'
import { acceptRaw, bytesOf, rawEndpoint, within } from './raw-binding.ts'

const SOON_MS = 5_000
const ADDON = fileURLToPath(new URL('../../build/native/p2p.node', import.meta.url))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const string = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

const nodes: IrohP2P[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(nodes.splice(0).map(async (node) => node.close()))
})

/** A node named in the tests, closed after each. */
async function create(name: string, options: IrohCreateOptions = {}): Promise<IrohP2P> {
  const node = await IrohP2P.create({ secretKey: testSigningKey(name), relay: 'disabled', bind: LOOPBACK, ...options })
  nodes.push(node)
  return node
}

/** Two nodes and a connection between them. */
async function connected(
  options: { readonly listen?: ListenOptions; readonly limits?: IrohCreateOptions['limits'] } = {},
): Promise<{
  readonly a: IrohP2P
  readonly b: IrohP2P
  readonly client: IrohConnection
  readonly server: IrohConnection
}> {
  const { listen, limits } = options
  const [a, b] = await Promise.all([create('a', { limits }), create('b', { limits })])
  const listener = await b.listen('', listen)
  const [client, server] = await Promise.all([a.connect(b.address(), { alpn: listen?.alpns?.[0] }), listener.accept()])
  return { a, b, client, server }
}

describe.each(DOORS)('through the $name door', ({ name: binding }) => {
  beforeEach(() => vi.stubEnv('P2P_IROH_BINDING', binding))

  describe('a node', () => {
    test('is what its key says, says which backend it is, and makes connections of its own class', async () => {
      const { a, b, client, server } = await connected()
      expect([a.backend, a.runtime.kind]).toEqual([`iroh (${binding})`, 'real'])
      expect(a.localNodeId().equals(testNodeId('a'))).toBe(true)
      expect(b.address().id.equals(testNodeId('b'))).toBe(true)
      expect([client, server, client.clone()].every((handle) => handle instanceof IrohConnection)).toBe(true)
      expect(client.remoteNodeId().equals(testNodeId('b'))).toBe(true)
      expect(client.stats().path).toBe('direct')
      expect(BackendP2P).toBe(IrohP2P)
    })

    test('has an id of its own when no key is given', async () => {
      const [a, b] = await Promise.all([create('', { secretKey: undefined }), create('', { secretKey: undefined })])
      expect(a.localNodeId().equals(b.localNodeId())).toBe(false)
    })

    test('is of the class it is created on', async () => {
      class Mine extends IrohP2P {}
      const node = await Mine.create({ relay: 'disabled', bind: LOOPBACK })
      nodes.push(node)
      expect(node).toBeInstanceOf(Mine)
    })

    test('takes settings from the environment, and refuses those that make no sense', async () => {
      vi.stubEnv('P2P_LISTEN_PORT', 'http')
      await expect(create('a', { bind: undefined })).rejects.toMatchObject({ code: 'invalid-configuration' })
      vi.stubEnv('P2P_LISTEN_PORT', '')
      vi.stubEnv('P2P_RELAY_MODE', 'disabled')
      expect((await create('a', { relay: undefined })).address().relays).toEqual([])
      const hasty = create('a', { limits: { idleTimeoutMs: 5_000 } }).then(
        () => 'taken',
        (error: unknown) => (error as P2PError).code,
      )
      expect(await hasty).toBe(binding === 'official' ? 'invalid-configuration' : 'taken')
      await expect(create('a', { relays: 'disabled' } as never)).rejects.toMatchObject({
        code: 'invalid-configuration',
        setting: 'relays',
        message: expect.stringMatching(
          /^IrohP2P\.create has no option "relays"; known are .*relayTimeoutMs, .*allow, deny, .*binding/,
        ) as unknown,
      })
      await expect(create('a', { bind: ['nowhere'] })).rejects.toMatchObject({ code: 'invalid-configuration' })
    })

    test('is closed in bounded time while it tries to connect to nobody', async () => {
      const a = await create('a')
      const nobody = (await create('b')).address()
      await nodes.pop()?.close()
      await expect(a.connect(nobody, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'timeout', afterMs: 200 })
      expect(await within(a.close(), SOON_MS)).toEqual({ value: undefined })
      await expect(a.connect(nobody)).rejects.toMatchObject({ code: 'connection-closed', by: 'local' })
    })

    test('lets the process go when it is closed, and not before', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'p2p-exit-'))
      try {
        await build({
          configFile: false,
          logLevel: 'silent',
          build: {
            ssr: fileURLToPath(new URL('../../src/iroh/index.ts', import.meta.url)),
            outDir: directory,
            target: 'node20',
            rolldownOptions: {
              external: /^@number0/,
              output: { entryFileNames: 'iroh.mjs', paths: { '@number0/iroh': import.meta.resolve('@number0/iroh') } },
            },
          },
        })
        await writeFile(
          join(directory, 'main.mjs'),
          `import { IrohP2P } from './iroh.mjs'
         const local = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] }
         const [a, b] = await Promise.all([IrohP2P.create(local), IrohP2P.create(local)])
         const listener = await b.listen()
         const [client, server] = await Promise.all([a.connect(b.address()), listener.accept()])
         await client.send(new Uint8Array(3))
         console.log((await server.recv()).length)
         setTimeout(() => Promise.all([a.close(), b.close()]).then(() => console.log('closed')), 300).unref()`,
        )
        const { stdout } = await promisify(execFile)(process.execPath, [join(directory, 'main.mjs')], {
          env: { ...process.env, P2P_NATIVE_ADDON: ADDON },
          timeout: 15_000,
        })
        expect(stdout).toBe('3\nclosed\n')
      } finally {
        await rm(directory, { recursive: true })
      }
    })
  })

  describe('names', () => {
    test('lead from one node to another through a shared file', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'p2p-names-'))
      const file = join(directory, 'names.json')
      const discovery = [new StaticDiscovery({}, { file, writable: true })]
      const [a, b] = await Promise.all([create('a', { discovery }), create('b', { discovery })])
      const listener = await b.listen()
      await b.register('home')
      const home = await a.discover('home')
      expect(home.equals(testNodeId('b'))).toBe(true)
      const [connection] = await Promise.all([a.connect(home), listener.accept()])
      expect(connection.remoteNodeId().equals(home)).toBe(true)
      await rm(directory, { recursive: true })
    })

    test('that nobody knows, and ids without addresses, fail', async () => {
      const a = await create('a')
      await expect(a.discover('nobody')).rejects.toMatchObject({ code: 'node-not-found' })
      await expect(a.connect(testNodeId('b'))).rejects.toMatchObject({
        code: 'no-route',
        node: testNodeId('b').toString(),
      })
      await expect(a.connect(a.address())).rejects.toMatchObject({ code: 'self-connect' })
    })
  })

  describe('turning away', () => {
    test('nobody listens, not for this protocol, not for you', async () => {
      const [a, b] = await Promise.all([create('a'), create('b')])
      await expect(a.connect(b.address())).rejects.toMatchObject({ code: 'refused' })
      const listener = await b.listen('', { authorize: (peer) => !peer.equals(testNodeId('a')) })
      await expect(a.connect(b.address(), { alpn: 'other' })).rejects.toMatchObject({ code: 'refused' })
      const connection = await a.connect(b.address())
      expect(await connection.closed).toMatchObject({ by: 'remote', refused: true })
      await expect(connection.recv()).rejects.toMatchObject({ code: 'refused' })
      listener.close()
      await expect(a.connect(b.address())).rejects.toMatchObject({ code: 'refused' })
    })
  })

  describe('messages and streams', () => {
    test('arrive whole and in order, though the sender ends at once', async () => {
      const { client, server } = await connected()
      const sizes = [0, 1, 65_535, 65_536, 100_000, 1_048_576, 7]
      const receiving = (async () => {
        const received: Uint8Array[] = []
        for await (const message of server) received.push(message)
        return received
      })()
      for (const [i, size] of sizes.entries()) await client.send(scrambled(size, i))
      await client.end()
      const received = await receiving
      expect(received.map((message) => message.length)).toEqual(sizes)
      expect(received.every((message, i) => Buffer.compare(message, scrambled(sizes[i] ?? 0, i)) === 0)).toBe(true)
    })

    test('a blocked stream is aborted from either side, and others go on', async () => {
      const { client, server } = await connected()
      /** A stream and the peer's end of it. */
      const open = async (): Promise<readonly [P2PStream, P2PStream]> => {
        const stream = await client.openStream()
        await stream.write(text('x'))
        const accepted = await server.acceptStream()
        await accepted.read()
        return [stream, accepted]
      }
      const [resetting, resetHere] = await open()
      const [stopping, stopHere] = await open()
      const [living, livingHere] = await open()
      // Nobody reads, so neither gets any further than the windows let it.
      const writes = [resetting, stopping].map(async (stream) =>
        within(stream.write(new Uint8Array(4_000_000)), SOON_MS),
      )
      await living.write(text('still here'))
      expect(string(await livingHere.read())).toBe('still here')
      resetting.reset(5)
      stopHere.stop(6)
      expect(await writes[0]).toEqual({ error: expect.stringContaining('code 5') as string })
      expect(await writes[1]).toEqual({ error: expect.stringContaining('code 6') as string })
      expect(await within(resetHere.readToEnd(10_000_000), SOON_MS)).toEqual({
        error: expect.stringContaining('code 5') as string,
      })
      expect(client.isConnected()).toBe(true)
    })
  })

  describe('other programs on iroh', () => {
    const ALPN = 'somebody/else/7'

    test('get not one byte of ours, and lose nothing when we end', async () => {
      const node = await create('a')
      const raw = await rawEndpoint([ALPN])
      const accepting = acceptRaw(raw)
      const id = NodeId.fromBytes(Uint8Array.from(raw.id().toBytes()))
      const connection = await node.connect(new P2PAddress(id, raw.boundSockets()), { alpn: ALPN })
      const peer = await accepting
      const [stream, oneWay] = [await connection.openStream(), await connection.openSendStream()]
      await stream.write(scrambled(300_000))
      await stream.finish()
      await oneWay.write(text('one way'))
      await oneWay.finish()
      await connection.end()
      expect(await peer?.closed()).toMatch(/^closed by peer: /)
      const received = await (await peer?.acceptBi())?.recv.readToEnd(1_000_000)
      expect(Buffer.compare(Buffer.from(received ?? []), scrambled(300_000))).toBe(0)
      expect(await (await peer?.acceptUni())?.readToEnd(100)).toEqual(bytesOf('one way'))
      await raw.close()
    })

    test('are listened to, and answered, as they are', async () => {
      const node = await create('a')
      const listener = await node.listen('', { alpns: [ALPN] })
      const raw = await rawEndpoint([])
      const target = new iroh.EndpointAddr(iroh.EndpointId.fromString(node.localNodeId().toHex()), null, [
        ...node.address().direct,
      ])
      const [peer, connection] = await Promise.all([raw.connect(target, bytesOf(ALPN)), listener.accept()])
      const theirs = await peer.openBi()
      await theirs.send.writeAll(bytesOf('hello'))
      await theirs.send.finish()
      const stream = await connection.acceptStream()
      expect(string(await stream.readToEnd(100))).toBe('hello')
      await stream.write(text('world'))
      await stream.finish()
      expect(await theirs.recv.readToEnd(100)).toEqual(bytesOf('world'))
      await expect(connection.send(text('x'))).rejects.toMatchObject({ code: 'unsupported' })
      peer.close(77n, bytesOf('done'))
      expect(await connection.closed).toMatchObject({ closeCode: 77, reason: 'done', by: 'remote' })
      await raw.close()
    })

    test('that speak nonsense on our protocol hurt nobody else', async () => {
      const { b, client, server } = await connected()
      const raw = await rawEndpoint([])
      const nonsense = await raw.connect(
        new iroh.EndpointAddr(iroh.EndpointId.fromString(b.localNodeId().toHex()), null, [...b.address().direct]),
        bytesOf(P2P_ALPN),
      )
      const closed = within(nonsense.closed(), SOON_MS)
      for (const bytes of [[0xff, 1, 2, 3], [0x01], [0x12, 0xff, 0xff, 0xff, 0xff], [0x13, 0xee], [0x11]]) {
        const stream = await nonsense.openUni().catch(() => undefined)
        await stream?.writeAll(bytes).catch(() => undefined)
        await stream?.finish().catch(() => undefined)
      }
      expect(await closed).toEqual({ value: expect.stringMatching(/^closed by peer: .*\(code 429496\d+\)$/) as string })
      await client.send(text('undisturbed'))
      expect(string(await server.recv())).toBe('undisturbed')
      await raw.close()
    })

    test('see two of our nodes talk through the names they listen for', async () => {
      const { client, server } = await connected({ listen: { alpns: [ALPN] } })
      const [stream, accepted] = await Promise.all([
        client.openStream().then(async (opened) => {
          await opened.write(text('x'))
          return opened
        }),
        server.acceptStream(),
      ])
      expect([client.alpn, string(await accepted.read())]).toEqual([ALPN, 'x'])
      stream.reset(3)
      await expect(accepted.read()).rejects.toMatchObject({ code: 'stream-reset', streamCode: 3 })
    })
  })
})
