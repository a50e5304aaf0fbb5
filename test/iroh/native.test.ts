/**
 * What only the native door can do, and what could only go wrong with it.
 *
 * @module
 */
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { loadAddon, platformPackage } from '../../src/iroh/native/addon.ts'
import { nativeBinding } from '../../src/iroh/native/binding.ts'
import { bindError, connectError, FAILURE } from '../../src/iroh/native/errors.ts'
import { officialBinding } from '../../src/iroh/official/binding.ts'
import { openBinding } from '../../src/iroh/select.ts'
import { NATIVE_DOOR } from './doors.ts'
import { connect, incoming, LOOPBACK, openEndpoint, openPair, readAll, scrambled, useDoor } from './endpoints.ts'
import { within } from './raw-binding.ts'

const SOON_MS = 5_000
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const FUZZER = fileURLToPath(new URL('./support/native-fuzz.mjs', import.meta.url))
const CHILD = fileURLToPath(new URL('./support/native-child.mjs', import.meta.url))

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing',
    (error: unknown) => error,
  )
}

const nodes: IrohP2P[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(async (node) => node.close()))
})

async function create(name: string, options: IrohCreateOptions = {}): Promise<IrohP2P> {
  const local = { relay: 'disabled', bind: LOOPBACK, binding: 'native' } as const
  const node = await IrohP2P.create({ secretKey: testSigningKey(name), ...local, ...options })
  nodes.push(node)
  return node
}

/** A network with a default route that leads nowhere, but for what says how much was sent on it. */
const NETWORK = `
  set -e
  ip link set lo up
  ip link add out type veth peer name nowhere
  for each in out nowhere; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
  ip addr add 10.9.0.1/24 dev out
  ip link set out up && ip link set nowhere up
  ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev out
  ip route add default via 10.9.0.2
  exec "$0" "$@"
`

/** Packets that left for the network while two nodes met and talked on loopback, through a door. */
function packetsSent(door: string): number {
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['-Urn', 'sh', '-c', NETWORK, process.execPath, CHILD, 'talk', door],
    { encoding: 'utf8', timeout: 25_000 },
  )
  if (status !== 0) throw new Error(`the program failed: ${stdout}${stderr}`)
  return Number(stdout.trim())
}

function hasNetworks(): boolean {
  return spawnSync('unshare', ['-Urn', 'sh', '-c', NETWORK, '/bin/true'], { stdio: 'ignore' }).status === 0
}

test.skipIf(!NATIVE_DOOR.here)(`the native door is here ${NATIVE_DOOR.why}`, () => {
  expect(NATIVE_DOOR.here).toBe(true)
})

describe('choosing a door', () => {
  const settings = {
    secretKey: testSigningKey('a'),
    bind: LOOPBACK,
    relay: 'disabled',
    idleTimeoutMs: 30_000,
  } as const
  const missing = (): never => {
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' })
  }

  test('that is not there names the ways to get it', () => {
    expect(() => loadAddon(missing, undefined)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        what: platformPackage(),
        message: expect.stringContaining('npm run build:native') as string,
      }),
    )
    expect(() => loadAddon(missing, '/x/p2p.node')).toThrow(/P2P_NATIVE_ADDON names \/x\/p2p.node/)
    const broken = (): never => {
      throw Object.assign(new Error('wrong architecture'), { code: 'ERR_DLOPEN_FAILED' })
    }
    expect(() => loadAddon(broken, undefined)).toThrow(/cannot be loaded here/)
  })

  test('of another version is refused', () => {
    expect(() => loadAddon(() => ({ version: () => '9.9.9 iroh/9' }), undefined)).toThrow(/of version 9.9.9/)
  })

  test('by name that is not there fails; without a name the official one serves, and one line says what is lost', async () => {
    const { realRuntime } = await import('../../src/runtime/index.ts')
    const doors = { native: () => nativeBinding(missing), official: () => officialBinding() }
    const native = nativeBinding(() => loadAddon(missing, undefined))
    const absent = { ...doors, native: () => native }
    const all = { ...settings, runtime: realRuntime() }
    await expect(openBinding('native', all, absent)).rejects.toMatchObject({ code: 'unsupported' })
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    for (let i = 0; i < 2; i++) {
      const { name, endpoint } = await openBinding(undefined, all, absent)
      expect(name).toBe('official')
      await endpoint.close()
    }
    expect(warning.mock.calls).toEqual([
      [expect.stringContaining('slower') as string, { code: 'P2P_OFFICIAL_BINDING' }],
    ])
    warning.mockRestore()
    await (await openBinding('official', all, absent)).endpoint.close()
  })

  test('of your own is taken, and nonsense is not', async () => {
    await expect(create('a', { binding: 'fastest' as never })).rejects.toMatchObject({ code: 'invalid-configuration' })
    await expect(create('a', { binding: {} as never })).rejects.toMatchObject({ code: 'invalid-configuration' })
  })
})

describe('errors of the addon', () => {
  const failed = (kind: number) => ({ kind, text: 'why', closeCode: 7 })

  test.each([
    [FAILURE.abandoned, 'connection-failed'],
    [FAILURE.endpointClosed, 'connection-closed'],
    [FAILURE.selfConnect, 'self-connect'],
    [FAILURE.noAddress, 'no-route'],
    [FAILURE.timedOut, 'timeout', { afterMs: 5 }],
    [FAILURE.noProtocol, 'refused'],
    [FAILURE.refused, 'refused'],
    [FAILURE.wrongPeer, 'connection-failed'],
    [FAILURE.closedByPeer, 'connection-closed', { closeCode: 7, reason: 'why', by: 'remote' }],
    [FAILURE.brokenOff, 'connection-failed'],
    [FAILURE.handshake, 'connection-failed'],
    [FAILURE.handles, 'limit-exceeded'],
  ])('%d of connecting is %s', (kind, code, fields?: object) => {
    expect(connectError(failed(kind), testNodeId('b'), 'x', 5)).toMatchObject({ code, ...fields })
  })

  test.each([
    [FAILURE.addressInUse, /in use/],
    [FAILURE.addressNotAvailable, /no such address/],
    [FAILURE.permissionDenied, /permission denied/],
    [FAILURE.bind, /^cannot bind 1.2.3.4:5$/],
  ])('%d of binding is told', (kind, message) => {
    const error = bindError(failed(kind), ['1.2.3.4:5'])
    expect(error).toMatchObject({ code: 'network', message: expect.stringMatching(message) as string })
    expect(error.cause).toBeInstanceOf(Error)
  })
})

describe.runIf(NATIVE_DOOR.here)('the native door', () => {
  beforeEach(() => useDoor({ binding: () => nativeBinding() }))

  test('resets a stream that is blocked, and the peer learns of it at once', async () => {
    await using pair = await openPair()
    const sender = await pair.client.openUni()
    const blocked = failure(sender.write(new Uint8Array(4_000_000)))
    const receiver = await pair.server.acceptUni()
    await receiver.read(1)
    sender.reset(77)
    expect(await within(blocked, SOON_MS)).toMatchObject({ value: { code: 'stream-stopped' } })
    const reading = readAll(receiver)
    expect(await within(failure(reading), SOON_MS)).toMatchObject({ value: { code: 'stream-reset', streamCode: 77 } })
  })

  test('stops a stream that is read from, and the sender learns of it at once', async () => {
    await using pair = await openPair()
    const sender = await pair.client.openUni()
    await sender.write(text('x'))
    const receiver = await pair.server.acceptUni()
    await receiver.read(1)
    const reading = failure(receiver.read(1))
    receiver.stop(78)
    expect(await within(reading, SOON_MS)).toMatchObject({ value: { code: 'stream-stopped', streamCode: 78 } })
    await expect
      .poll(async () => failure(sender.write(text('y'))), { timeout: SOON_MS })
      .toMatchObject({ code: 'stream-stopped', streamCode: 78 })
  })

  test('opens and gives up streams that wait for the peer to let them be opened', async () => {
    await using pair = await openPair()
    // More than a peer lets be open at a time, and than may wait to be opened.
    const streams = await Promise.all(
      Array.from({ length: 1_100 }, async () => {
        const stream = await pair.client.openUni()
        await stream.write(text('x'))
        return stream
      }),
    )
    streams[1_099]?.reset(5)
    for (const stream of streams.slice(0, 1_099)) await stream.finish()
    for (let i = 0; i < 1_099; i++) expect(await readAll(await pair.server.acceptUni())).toEqual(text('x'))
    expect(pair.client.paths()).not.toEqual([])
  })

  test('sends what is in shared memory as it was', async () => {
    await using pair = await openPair()
    const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(3)
    const sender = await pair.client.openUni()
    await sender.write(shared)
    await sender.finish()
    expect(await readAll(await pair.server.acceptUni())).toEqual(new Uint8Array(100).fill(3))
  })

  test('hands out memory that is not used again', async () => {
    await using pair = await openPair()
    const sizes = [100_000, 3_000_000, 10, 500_000, 65_536]
    const kept: Uint8Array[] = []
    const receiving = (async () => {
      for (const _ of sizes) {
        const stream = await pair.server.acceptUni()
        for (let chunk = await stream.read(1_000_000); chunk; chunk = await stream.read(1_000_000)) kept.push(chunk)
      }
    })()
    for (const [i, size] of sizes.entries()) {
      const stream = await pair.client.openUni()
      await stream.write(scrambled(size, i + 1))
      await stream.finish()
      await stream.acknowledged?.()
    }
    await receiving
    const expected = Buffer.concat(sizes.map((size, i) => scrambled(size, i + 1)))
    expect(Buffer.compare(Buffer.concat(kept), expected)).toBe(0)
  })

  test('gives its port back as soon as it is closed', async () => {
    const endpoint = await openEndpoint('a')
    const bind = endpoint.boundAddresses()
    await endpoint.close()
    const again = await openEndpoint('a', { bind })
    expect(again.boundAddresses()).toEqual(bind)
    await again.close()
  })

  test('leaves no handle behind', async () => {
    const addon = loadAddon()
    const liveHandles = (): number => addon.liveHandles()
    const before = liveHandles()
    const pair = await openPair()
    for (let i = 0; i < 50; i++) {
      const stream = await pair.client.openBi()
      await stream.send.write(text('x'))
      if (i % 3 === 0) stream.send.reset(1)
      else await stream.send.finish()
      const peer = await pair.server.acceptBi()
      if (i % 2 === 0) peer.receive.stop(1)
      else await failure(readAll(peer.receive))
      peer.send.reset(2)
      if (i % 5 === 0) stream.receive.stop(3)
    }
    expect(liveHandles()).toBeGreaterThan(before)
    await pair[Symbol.asyncDispose]()
    await expect.poll(liveHandles, { timeout: SOON_MS }).toBe(before)
  })

  test('closes a connection whose peer is silent, by QUIC and not by the clock of this process', async () => {
    const child = fork(CHILD, ['listen'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    try {
      const [ticket] = (await once(child, 'message')) as [string]
      const node = await create('a', { limits: { idleTimeoutMs: 1_500 } })
      const connection = await node.connect(ticket)
      // It keeps itself alive while the peer does its part.
      expect(await within(connection.closed, 2_500)).toBe('pending')
      child.kill('SIGSTOP')
      expect(await within(connection.closed, SOON_MS)).toMatchObject({
        value: { by: 'transport', reason: 'timed out: no sign of life from the peer' },
      })
    } finally {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    }
  })

  test('lets in whom the lists say, and tells the others', async () => {
    const [a, b, c] = await Promise.all([
      create('a', { allow: [testNodeId('b'), testNodeId('c')], deny: [testNodeId('c')] }),
      create('b'),
      create('c'),
    ])
    const listener = await a.listen()
    const [friend] = await Promise.all([b.connect(a.address()), listener.accept()])
    expect(friend.isConnected()).toBe(true)
    const stranger = await c.connect(a.address())
    expect(await stranger.closed).toMatchObject({ by: 'remote', refused: true, reason: 'not authorized' })
    a.setAccess({})
    const [now] = await Promise.all([c.connect(a.address()), listener.accept()])
    expect(now.isConnected()).toBe(true)
    a.setAccess({ allow: [] })
    expect(await (await b.connect(a.address())).closed).toMatchObject({ refused: true })
    expect([friend.isConnected(), now.isConnected()]).toEqual([true, true])
  })

  test('loses nothing on other protocols when it ends, as the peer’s transport confirms', async () => {
    const [a, b] = await Promise.all([create('a'), create('b')])
    const listener = await b.listen('', { alpns: ['other/1'] })
    const [client, server] = await Promise.all([a.connect(b.address(), { alpn: 'other/1' }), listener.accept()])
    const stream = await client.openSendStream()
    await stream.write(scrambled(700_000))
    await client.end()
    await server.closed
    const received = await (await server.acceptReceiveStream()).readToEnd(1_000_000)
    expect(Buffer.compare(received, scrambled(700_000))).toBe(0)
  })

  test('tells paths as they change', async () => {
    const [a, b] = await Promise.all([openEndpoint('a'), openEndpoint('b')])
    const next = incoming(b)
    b.setAlpns(['x'])
    const counts: number[] = []
    // The other family's path opens a moment after the first. On a busy machine it may be there before anybody listens,
    // or be given up for a while, so there is more than one try.
    for (let tries = 0; counts.length === 0 && tries < 20; tries++) {
      const [client] = await Promise.all([connect(a, b, 'x'), next()])
      expect(client.paths()[0]?.rttMs).toBeGreaterThan(0)
      using _watching = client.onPathChange(() => counts.push(client.paths().length))
      try {
        await expect.poll(() => client.paths().length, { timeout: 2_000 }).toBeGreaterThan(1)
      } catch {
        // Not this time.
      }
      client.close(0, 'seen')
    }
    expect(counts.length).toBeGreaterThan(0)
    await Promise.all([a.close(), b.close()])
  }, 60_000)

  test('lets the process go when nothing listens and nothing is connected, though the node is open', () => {
    const { status, stdout } = spawnSync(process.execPath, [CHILD, 'idle'], { encoding: 'utf8', timeout: 15_000 })
    expect([status, stdout]).toEqual([0, 'open\n'])
  })

  test('works in workers, and survives those that are terminated in the middle', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, 'workers'], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect([status, stdout, stderr]).toEqual([0, 'done\n', ''])
  }, 90_000)

  test('stands 5,000 sequences of calls that make no sense, from workers too, and leaves nothing behind', () => {
    const { status, stderr } = spawnSync(process.execPath, ['--expose-gc', FUZZER, '11', '5000'], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect([status, stderr]).toEqual([0, ''])
  }, 60_000)

  test.runIf(hasNetworks())(
    'keeps to loopback when told to: not one packet leaves, where the official door sends some',
    () => {
      expect(packetsSent('native')).toBe(0)
      expect(packetsSent('official')).toBeGreaterThan(0)
    },
  )

  test('refuses addresses that are none of a peer', async () => {
    const node = await create('a')
    const stranger = new P2PAddress(NodeId.fromBytes(testNodeId('b').asBytes()), ['127.0.0.1:9'])
    await expect(node.connect(stranger, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'timeout' })
  })
})
