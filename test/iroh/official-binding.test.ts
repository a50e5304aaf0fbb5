/**
 * The behaviour of `@number0/iroh` that `src/iroh/official` works round. A test that fails here after an update is news:
 * either a trap is gone and its work-around can go, or there is a new one.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import * as iroh from '@number0/iroh'
import { describe, expect, test } from 'vitest'
import {
  acceptAll,
  acceptRaw,
  addressOf,
  ALPN,
  bytesOf,
  collectGarbage,
  rawEndpoint,
  rawPair,
  within,
} from './raw-binding.ts'
import type { RawPair } from './raw-binding.ts'

/** A network of its own, with a default route that leads nowhere; after `$2`, `$1` is run by Node in it. */
const NETWORK = `
  set -e
  ip link set lo up
  ip link add out type veth peer name nowhere
  for each in out nowhere; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
  ip addr add 10.9.0.1/24 dev out
  ip link set out up && ip link set nowhere up
  ip route add default via 10.9.0.2
  eval "$2"
  exec "$0" --input-type=module -e "$1"
`

/** What Node prints in such a network, undefined where this machine does not let us have one. */
function runInNetwork(script: string, before = ''): string | undefined {
  const { status, stdout } = spawnSync('unshare', ['-Urn', 'sh', '-c', NETWORK, process.execPath, script, before], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    timeout: 20_000,
  })
  return status === 0 ? stdout : undefined
}

const HAS_NETWORKS = runInNetwork('') !== undefined

/** Long enough for anything on loopback, short enough for what never comes. */
const NEVER_MS = 150
const SOON_MS = 5_000
const CLOSED_BY_PEER = 'ApplicationClosed(ApplicationClose { error_code: 5, reason: b"over" })'

const zeros = (length: number): number[] => Array.from({ length }, () => 0)

/** More than a stream's window of 1.25 MB. */
const BLOCKING = zeros(2_000_000)

describe('bytes', () => {
  test('are arrays of numbers: Buffers and typed arrays throw, and not even as a rejection', async () => {
    await using pair = await rawPair()
    const stream = await pair.client.openUni()
    for (const bytes of [Buffer.from('x'), Uint8Array.of(1)]) {
      expect(() => stream.writeAll(bytes as unknown as number[])).toThrow('Failed to get Array length')
    }
  })

  test('that are not whole numbers from 0 to 255 are refused, or bent', async () => {
    await using pair = await rawPair()
    const stream = await pair.client.openUni()
    expect(() => stream.writeAll([256])).toThrow('Failed to convert u32 to u8')
    expect(() => stream.writeAll([undefined as unknown as number])).toThrow('Failed to convert')
    await stream.writeAll([1.9])
    const received = await pair.server.acceptUni()
    expect(await received.read(10)).toEqual([1])
  })
})

describe('a blocked stream', () => {
  test('cannot be reset while a write waits; closing the connection settles both', async () => {
    await using pair = await rawPair()
    const stream = await pair.client.openUni()
    const write = within(stream.writeAll(BLOCKING), SOON_MS)
    await pair.server.acceptUni()
    const reset = stream.reset(9n)
    expect(await within(reset, NEVER_MS)).toBe('pending')
    pair.client.close(5n, bytesOf('over'))
    expect(await write).toEqual({ error: 'ConnectionLost(LocallyClosed)' })
    expect(await within(reset, SOON_MS)).toEqual({ value: undefined })
  })

  test('cannot be stopped while a read waits; the stop takes effect when bytes come', async () => {
    await using pair = await rawPair()
    const send = await pair.client.openUni()
    await send.writeAll([1])
    const receive = await pair.server.acceptUni()
    await receive.read(1)
    const read = receive.read(1)
    expect(await within(read, NEVER_MS)).toBe('pending')
    const stop = receive.stop(4n)
    expect(await within(stop, NEVER_MS)).toBe('pending')
    await send.writeAll([2])
    expect(await within(read, SOON_MS)).toEqual({ value: [2] })
    expect(await within(stop, SOON_MS)).toEqual({ value: undefined })
  })

  test('hangs on stopped() too, unless it is finished', async () => {
    await using pair = await rawPair()
    const open = await pair.client.openUni()
    const stopped = open.stopped()
    expect(await within(stopped, NEVER_MS)).toBe('pending')
    expect(await within(open.writeAll([1]), NEVER_MS)).toBe('pending')
    expect(await within(stopped, 0)).toBe('pending')
  })
})

describe('stopped() after finish()', () => {
  test.each([1, 65_536, 1_048_576])(
    'tells that the peer has all of %d bytes, so that close loses none',
    async (size) => {
      await using pair = await rawPair()
      const stream = await pair.client.openUni()
      await stream.writeAll(zeros(size))
      await stream.finish()
      expect(await within(stream.stopped(), SOON_MS)).toEqual({ value: null })
      pair.client.close(0n, [])
      await pair.server.closed()
      const received = await pair.server.acceptUni()
      expect(await within(received.readToEnd(size), SOON_MS)).toHaveProperty('value.length', size)
    },
  )

  test('tells the code when the peer does not want the rest', async () => {
    await using pair = await rawPair()
    const stream = await pair.client.openUni()
    await stream.writeAll([1])
    await (await pair.server.acceptUni()).stop(6n)
    await expect.poll(async () => within(stream.writeAll([1]), SOON_MS)).toEqual({ error: 'Stopped(6)' })
    await stream.finish()
    expect(await within(stream.stopped(), SOON_MS)).toEqual({ value: 6 })
  })

  test('without it, finish() and close() may lose what was written', async () => {
    await expect
      .poll(
        async () => {
          await using pair = await rawPair()
          const stream = await pair.client.openUni()
          await stream.writeAll(zeros(1_000_000))
          await stream.finish()
          pair.client.close(0n, [])
          const received = pair.server.acceptUni().then(async (accepted) => accepted.readToEnd(1_000_000))
          return within(received, SOON_MS)
        },
        { timeout: 20_000 },
      )
      .toHaveProperty('error')
  })
})

describe('reading', () => {
  test('says [] at the end, and [] after a reset has been reported once', async () => {
    await using pair = await rawPair()
    const ended = await pair.client.openUni()
    await ended.writeAll([1])
    await ended.finish()
    const first = await pair.server.acceptUni()
    expect([await first.read(9), await first.read(9), await first.read(9)]).toEqual([[1], [], []])

    const reset = await pair.client.openUni()
    await reset.writeAll([1])
    const second = await pair.server.acceptUni()
    await second.read(9)
    await reset.reset(77n)
    expect(await within(second.read(9), SOON_MS)).toEqual({ error: 'Reset(77)' })
    expect(await within(second.read(9), SOON_MS)).toEqual({ value: [] })
  })
})

describe('accepting', () => {
  test('waits for a byte, but a later stream brings the silent ones before it along', async () => {
    await using pair = await rawPair()
    const [silent, loud] = [await pair.client.openUni(), await pair.client.openUni()]
    const accepted = pair.server.acceptUni()
    expect(await within(accepted, NEVER_MS)).toBe('pending')
    await loud.writeAll([2])
    const [first, second] = [await accepted, await pair.server.acceptUni()]
    expect(await within(second.read(1), SOON_MS)).toEqual({ value: [2] })
    const read = first.read(1)
    expect(await within(read, NEVER_MS)).toBe('pending')
    await silent.writeAll([1])
    expect(await within(read, SOON_MS)).toEqual({ value: [1] })
  })

  test('takes 100 streams at a time until the limit is raised', async () => {
    await using pair = await rawPair()
    const streams: iroh.BiStream[] = []
    for (let i = 0; i < 100; i++) streams.push(await pair.client.openBi())
    const next = pair.client.openBi()
    expect(await within(next, NEVER_MS)).toBe('pending')
    pair.server.setMaxConcurrentBiStreams(200n)
    expect(await within(next, SOON_MS)).toHaveProperty('value')
  })
})

describe('codes', () => {
  const CODES = [0n, 4_294_967_295n, 4_294_967_301n, 9_007_199_254_740_991n]

  test.each(CODES)('%d comes back exactly from reset, stop and close', async (code) => {
    await using pair = await rawPair()
    const [one, two] = [await pair.client.openUni(), await pair.client.openUni()]
    await one.writeAll([1])
    await two.writeAll([1])
    const [first, second] = [await pair.server.acceptUni(), await pair.server.acceptUni()]
    await first.read(1)
    await one.reset(code)
    expect(await within(first.read(1), SOON_MS)).toEqual({ error: `Reset(${code})` })
    await second.stop(code)
    await expect.poll(async () => within(two.writeAll([1]), SOON_MS)).toEqual({ error: `Stopped(${code})` })
    pair.client.close(code, bytesOf('a (code 9)'))
    expect(await within(pair.server.closed(), SOON_MS)).toEqual({ value: `closed by peer: a (code 9) (code ${code})` })
  })

  test('below 0 lose their sign, above 2^62 - 1 throw', async () => {
    await using pair = await rawPair()
    expect(() => pair.client.close(2n ** 62n, [])).toThrow(/too large for varint/)
    pair.client.close(-5n, [])
    expect(await within(pair.server.closed(), SOON_MS)).toEqual({ value: 'closed by peer: 5' })
  })
})

describe('closing', () => {
  test('settles everything that waits, on both sides', async () => {
    await using pair = await rawPair()
    const { client, server } = pair
    const stream = await client.openBi()
    await stream.send.writeAll([1])
    const peer = await server.acceptBi()
    await peer.recv.read(1)
    const waits = (connection: iroh.Connection, receive: iroh.RecvStream): Promise<unknown>[] =>
      [receive.read(1), connection.acceptBi(), connection.acceptUni(), connection.closed()].map(async (promise) =>
        within<unknown>(promise, SOON_MS),
      )
    const [local, remote] = [waits(client, stream.recv), waits(server, peer.recv)]
    client.close(5n, bytesOf('over'))
    expect(await Promise.all(local)).toEqual([
      { error: 'ConnectionLost(LocallyClosed)' },
      { error: 'LocallyClosed' },
      { error: 'LocallyClosed' },
      { value: 'closed' },
    ])
    expect(await Promise.all(remote)).toEqual([
      { error: `ConnectionLost(${CLOSED_BY_PEER})` },
      { error: CLOSED_BY_PEER },
      { error: CLOSED_BY_PEER },
      { value: 'closed by peer: over (code 5)' },
    ])
  })

  test('an endpoint ends its connections with code 0 and its accepting with null, at once', async () => {
    await using pair = await rawPair()
    const accepting = within(pair.a.acceptNext(), SOON_MS)
    expect(await within(pair.a.close(), SOON_MS)).toEqual({ value: undefined })
    expect(await accepting).toEqual({ value: null })
    expect(await within(pair.server.closed(), SOON_MS)).toEqual({ value: 'closed by peer: 0' })
    expect(await within(pair.a.connect(addressOf(pair.b), bytesOf(ALPN)), SOON_MS)).toEqual({
      error: expect.stringContaining('Endpoint is closed') as string,
    })
  })
})

describe('garbage collection', () => {
  /** Opens a stream, writes a byte, and forgets everything about it. */
  const forgetSender = async (connection: iroh.Connection): Promise<void> => {
    const stream = await connection.openUni()
    await stream.writeAll([1])
  }
  const forgetConnection = async (pair: RawPair): Promise<void> => {
    const connection = await pair.a.connect(addressOf(pair.b), bytesOf(ALPN))
    await forgetSender(connection)
  }

  test('of a connection closes it with code 0', async () => {
    await using pair = await rawPair()
    const accepting = acceptRaw(pair.b)
    await forgetConnection(pair)
    const closed = (await accepting)?.closed()
    await collectGarbage()
    expect(await within(closed ?? Promise.reject(new Error('closed')), SOON_MS)).toEqual({ value: 'closed by peer: 0' })
  })

  test('of a sending stream finishes it: what was cut short looks complete', async () => {
    await using pair = await rawPair()
    await forgetSender(pair.client)
    const received = await pair.server.acceptUni()
    await received.read(1)
    const read = received.read(1)
    await collectGarbage()
    expect(await within(read, SOON_MS)).toEqual({ value: [] })
  })
})

describe('connecting', () => {
  const failure = async (a: iroh.Endpoint, target: iroh.EndpointAddr): Promise<unknown> =>
    within(a.connect(target, bytesOf(ALPN)), SOON_MS)
  const text = (part: string): unknown => ({ error: expect.stringContaining(part) as string })

  test('fails at once for a protocol that is not served, given that somebody accepts', async () => {
    const [a, b] = await Promise.all([rawEndpoint(), rawEndpoint(['other'])])
    const server = within(acceptRaw(b), SOON_MS)
    expect(await failure(a, addressOf(b))).toEqual(text('error 120'))
    expect(await server).toEqual(text('NoApplicationProtocol'))
    await Promise.all([a.close(), b.close()])
  })

  test('hangs when nobody accepts, cannot be cancelled, and holds up close for 3 seconds', async () => {
    const [a, b] = await Promise.all([rawEndpoint(), rawEndpoint()])
    const attempt = a.connect(addressOf(b), bytesOf(ALPN))
    expect(await within(attempt, NEVER_MS)).toBe('pending')
    const closing = a.close()
    expect(await within(attempt, SOON_MS)).toHaveProperty('error')
    expect(await within(closing, 1_000)).toBe('pending')
    expect(await within(closing, SOON_MS)).toEqual({ value: undefined })
    await b.close()
  })

  test('fails at once when the peer refuses, is somebody else, has no address, or is oneself', async () => {
    const [a, b] = await Promise.all([rawEndpoint(), rawEndpoint()])
    const stranger = iroh.SecretKey.generate().public()
    const refusing = b.acceptNext().then(async (incoming) => incoming?.refuse())
    expect(await failure(a, addressOf(b))).toEqual(text('refused to accept'))
    await refusing
    // The refused attempt went to both addresses and may come a second time, so whatever comes is accepted.
    const serving = acceptAll(b)
    expect(await failure(a, new iroh.EndpointAddr(stranger, null, b.boundSockets()))).toEqual(text('error 48'))
    const unheardOf = iroh.SecretKey.generate().public()
    expect(await failure(a, new iroh.EndpointAddr(unheardOf))).toEqual(text('No addressing information'))
    expect(await failure(a, addressOf(a))).toEqual(text('Connecting to ourself'))
    await Promise.all([a.close(), b.close(), serving])
  })
})

describe('binding', () => {
  const bound = async (...addresses: string[]): Promise<string[]> => {
    const builder = iroh.Endpoint.builder()
    iroh.presetMinimal(builder)
    builder.relayMode(iroh.RelayMode.disabled())
    for (const address of addresses) builder.bindAddr(address)
    const endpoint = await builder.bind()
    const sockets = endpoint.boundSockets()
    await endpoint.close()
    return sockets
  }

  test('one family leaves the other on all interfaces', async () => {
    expect((await bound('[::1]:0')).some((socket) => socket.startsWith('0.0.0.0:'))).toBe(true)
  })

  test('takes one address a family, and says so when a port is in use', async () => {
    await expect(bound('127.0.0.1:0', '127.0.0.2:0')).rejects.toThrow(/single default address/)
    const endpoint = await rawEndpoint()
    const port = endpoint.boundSockets().find((socket) => socket.startsWith('127.')) ?? ''
    await expect(bound(port, '[::1]:0')).rejects.toThrow(/Address already in use/)
    await endpoint.close()
  })
})

describe('a closed endpoint', () => {
  test('keeps its port until it is garbage-collected', async () => {
    const bind = async (address: string): Promise<string> => {
      const builder = iroh.Endpoint.builder()
      iroh.presetMinimal(builder)
      builder.relayMode(iroh.RelayMode.disabled())
      builder.bindAddr(address)
      builder.bindAddr('[::1]:0')
      const endpoint = await builder.bind()
      const bound = endpoint.boundSockets().find((socket) => socket.startsWith('127.')) ?? ''
      await endpoint.close()
      return bound
    }
    const address = await bind('127.0.0.1:0')
    await expect(bind(address)).rejects.toThrow(/Address already in use/)
    await expect
      .poll(
        async () => {
          await collectGarbage()
          return within(bind(address), SOON_MS)
        },
        { timeout: SOON_MS },
      )
      .toEqual({ value: address })
  })
})

/**
 * How many packets leave on the network's interface while an endpoint is bound to `addresses`, and what a router that
 * answers to them is asked. `before` is run in the network first.
 */
function bindInNetwork(addresses: readonly string[], before = ''): { sent: number; asked: string[] } {
  const output = runInNetwork(
    `
      import * as iroh from '@number0/iroh'
      import { createSocket } from 'node:dgram'
      import { readFileSync } from 'node:fs'
      import { createServer } from 'node:http'
      const sent = () => Number(/out:(?:\\s+\\d+){8}\\s+\\d+\\s+(\\d+)/.exec(readFileSync('/proc/net/dev', 'utf8'))[1])
      const asked = []
      // It answers as a router would that forwards ports (UPnP).
      const router = createSocket({ type: 'udp4', reuseAddr: true })
      router.on('message', (message, { port, address }) => {
        asked.push(String(message).split(' ')[0])
        const lines = ['HTTP/1.1 200 OK', 'LOCATION: http://10.9.0.1:5000/description.xml', '', '']
        router.send(lines.join('\\r\\n'), port, address)
      })
      await new Promise((resolve) => router.bind(1900, resolve))
      router.addMembership('239.255.255.250', '10.9.0.1')
      const pages = createServer((request, response) => {
        asked.push(request.method + ' ' + request.url)
        response.end()
      })
      await new Promise((resolve) => pages.listen(5000, '10.9.0.1', resolve))
      // Joining the group is told to the network too.
      await new Promise((resolve) => setTimeout(resolve, 1500))
      const before = sent()
      const builder = iroh.Endpoint.builder()
      iroh.presetMinimal(builder)
      builder.relayMode(iroh.RelayMode.disabled())
      for (const address of ${JSON.stringify(addresses)}) builder.bindAddr(address)
      await builder.bind()
      await new Promise((resolve) => setTimeout(resolve, 1500))
      console.log(JSON.stringify({ sent: sent() - before, asked }))
      process.exit()
    `,
    before,
  )
  return JSON.parse(output ?? '') as { sent: number; asked: string[] }
}

describe.skipIf(!HAS_NETWORKS)('keeping to loopback', () => {
  test('fails by one packet: each endpoint looks for the router by multicast, and speaks to one that answers', () => {
    expect(bindInNetwork(['127.0.0.1:0', '[::1]:0'])).toEqual({ sent: 1, asked: ['M-SEARCH', 'GET /description.xml'] })
  })

  test('fails with IPv6 alone too: a socket of IPv4 is bound all the same, and its port is what a router is asked for', () => {
    expect(bindInNetwork(['[::1]:0'])).toMatchObject({ sent: 1 })
  })

  test('succeeds where the machine has no way to that multicast address', () => {
    const blackhole = 'ip route add blackhole 239.255.255.250/32'
    expect(bindInNetwork(['127.0.0.1:0', '[::1]:0'], blackhole)).toEqual({ sent: 0, asked: [] })
  })
})
