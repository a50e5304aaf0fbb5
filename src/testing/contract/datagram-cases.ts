/**
 * Datagrams: at most once, in any order, and possibly never; so a case sends until enough has arrived.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { fails, roundTrip, sameBytes, scrambled, string, text, throws } from './expect.ts'
import { settling } from './pair.ts'
import type { Connection, ContractCase, ContractCases, ContractPair } from './pair.ts'

const ALPN = 'contract/datagrams/1'

/** Datagrams sent, one by one, before a case gives up: more than any lossy network of a test loses in a row. */
const MAX_ATTEMPTS = 100
/** How long one attempt is given. */
const ATTEMPT_MS = 200

/** Waits for `promise`, but no longer than `ms`; leaves no timer behind. */
async function atMost(pair: ContractPair, promise: Promise<unknown>, ms: number): Promise<void> {
  const controller = new AbortController()
  const sleeping = pair.runtime.sleep(ms, { signal: controller.signal }).catch(() => {})
  await Promise.race([promise.catch(() => {}), sleeping])
  controller.abort()
  await sleeping
}

/** Sends what `make` gives until something arrives at the other side, and returns it. */
async function sendUntilReceived(
  pair: ContractPair,
  from: Connection,
  to: Connection,
  make: () => Uint8Array,
): Promise<Uint8Array> {
  const received = settling(to.recvDatagram())
  for (let attempt = 0; attempt < MAX_ATTEMPTS && !received.settled; attempt++) {
    const bytes = make()
    try {
      from.sendDatagram(bytes)
    } catch (error) {
      // Another path, of smaller packets, may have been chosen since the size was asked for.
      if (bytes.length <= from.maxDatagramSize) throw error
    }
    await atMost(pair, received.promise, ATTEMPT_MS)
  }
  assert(received.settled, `of ${MAX_ATTEMPTS} datagrams none has arrived`)
  return await received.promise
}

const foreign = (run: ContractCase['run']): ContractCase => ({ listen: { alpns: [ALPN] }, run })

/** The cases. */
export const datagramCases: ContractCases = {
  'arrive as they were sent, both ways': async (pair) => {
    const [client, server] = await pair.connect()
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const size = Math.min(1000, from.maxDatagramSize)
      assert(size >= 500, `a path of 1200 B carries more than ${size} B`)
      const got = await sendUntilReceived(pair, from, to, () => scrambled(size))
      sameBytes(got, scrambled(size), 'datagram')
    }
  },
  'of every size up to the limit pass, one byte more is refused': async (pair) => {
    const [client, server] = await pair.connect()
    const max = client.maxDatagramSize
    assert(Number.isSafeInteger(max) && max > 0)
    throws(() => client.sendDatagram(new Uint8Array(max + 2000)), 'message-too-large')
    const sizes = new Set<number>()
    const got = await sendUntilReceived(pair, client, server, () => {
      // It changes as larger packets are found to pass, and with the path.
      const size = client.maxDatagramSize
      sizes.add(size)
      return scrambled(size)
    })
    assert(sizes.has(got.length), `${got.length} B have arrived, which were not sent`)
    sameBytes(got, scrambled(got.length), 'datagram')
    assert(client.isConnected())
  },
  'arrive at most once, and nothing arrives that was not sent': async (pair) => {
    const [client, server] = await pair.connect()
    const seen = new Map<string | undefined, number>()
    const reading = (async () => {
      for await (const datagram of server.datagrams) {
        const key = string(datagram)
        seen.set(key, (seen.get(key) ?? 0) + 1)
      }
    })()
    for (let i = 0; i < pair.scale.many; i++) {
      client.sendDatagram(text(`datagram ${i}`))
      await pair.runtime.sleep(1)
    }
    await pair.runtime.sleep(1000)
    client.close()
    await reading
    assert(seen.size > pair.scale.many / 4, `only ${seen.size} of ${pair.scale.many} have arrived`)
    for (const [key, times] of seen) {
      assert.equal(times, 1, `${key} has arrived ${times} times`)
      const number = Number(/^datagram (\d+)$/.exec(key ?? '')?.[1])
      assert(number < pair.scale.many, `nobody sent ${key}`)
    }
  },
  'that come before anybody asks wait': async (pair) => {
    const [client, server] = await pair.connect()
    for (let i = 0; i < 20; i++) client.sendDatagram(text('early'))
    await roundTrip(client, server)
    await pair.runtime.sleep(ATTEMPT_MS)
    const received = settling(server.recvDatagram())
    await atMost(pair, received.promise, ATTEMPT_MS)
    assert(received.settled, 'none of them was kept')
    assert.equal(string(await received.promise), 'early')
  },
  'in a flood disturb neither messages nor streams': async (pair) => {
    const [client, server] = await pair.connect()
    const payload = scrambled(1000)
    const stream = await client.openSendStream()
    await stream.write(Uint8Array.of(1))
    for (let i = 0; i < 2000; i++) client.sendDatagram(payload)
    await Promise.all([client.send(text('message')), stream.write(scrambled(20_000)).then(() => stream.finish())])
    assert.equal(string(await server.recv()), 'message')
    assert.equal((await (await server.acceptReceiveStream()).readToEnd(30_000)).length, 20_001)
    assert(client.isConnected() && server.isConnected())
  },
  'carry exactly their bytes on other protocols': foreign(async (pair) => {
    const [client, server] = await pair.connect()
    const got = await sendUntilReceived(pair, client, server, () => Uint8Array.of(0x13, 0x00, 0xff))
    assert.deepEqual([...got], [0x13, 0x00, 0xff])
  }),
  'can be waited for in vain: an abort ends the wait and loses nothing': async (pair) => {
    const [client, server] = await pair.connect()
    const controller = new AbortController()
    const waiting = server.recvDatagram({ signal: controller.signal })
    const failing = fails(waiting, 'aborted')
    controller.abort(new Error('enough'))
    await failing
    assert.equal(string(await sendUntilReceived(pair, client, server, () => text('kept'))), 'kept')
  },
  'end with the connection: waits fail, iterators return': async (pair) => {
    const [client, server] = await pair.connect()
    const waiting = fails(client.recvDatagram(), 'connection-closed', { closeCode: 5 })
    const reading = (async () => {
      for await (const datagram of server.datagrams) assert.fail(`nobody sent ${datagram.length} bytes`)
    })()
    server.close(5, 'enough')
    await Promise.all([waiting, reading])
    await client.closed
    throws(() => client.sendDatagram(text('late')), 'connection-closed')
    assert.deepEqual([client.maxDatagramSize, server.maxDatagramSize], [0, 0])
  },
}
