/**
 * Requests before the handshake is complete (0-RTT), over a link that shows what needs a round trip: whoever cannot be
 * heard again after its first packets has an answer to nothing but early data.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import type { P2PError } from '../../src/core/errors.ts'
import { testSigningKey } from '../../src/core/keys.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { nativeBinding } from '../../src/iroh/native/binding.ts'
import { P2PResponse, RequestPool, serve } from '../../src/router/index.ts'
import type { P2PClientRequest, P2PClientResponse, P2PRequest, ServeOptions } from '../../src/router/index.ts'
import { SimulatorP2P } from '../../src/simulator/index.ts'
import { DOORS, NATIVE_DOOR } from './doors.ts'
import { slowLink } from './slow-link.ts'
import type { SlowLink } from './slow-link.ts'

const DELAY_MS = 50

/** A node that is bound to this address alone. */
async function nodeAt(address: string, name: string): Promise<IrohP2P> {
  const native = nativeBinding()
  return IrohP2P.create({
    secretKey: testSigningKey(name),
    relay: 'disabled',
    limits: { endTimeoutMs: 500 },
    bind: ['127.0.0.1:0', '[::1]:0'],
    binding: { name: 'native', open: async (settings) => native.open({ ...settings, bind: [address] }) },
  })
}

interface Handled {
  readonly method: string
  readonly path: string
  readonly isEarly: boolean
  readonly body: string
}

/** A server that writes down what it is asked. */
class Home {
  readonly handled: Handled[] = []
  readonly #name: string
  #node!: IrohP2P
  link!: SlowLink

  constructor(name = 'home') {
    this.#name = name
  }

  async start(options: ServeOptions): Promise<this> {
    this.#node = await nodeAt('[::1]:0', this.#name)
    const handle = async (req: P2PRequest): Promise<P2PResponse> => {
      const { method, path, isEarly } = req
      this.handled.push({ method, path, isEarly, body: await req.text(10_000_000) })
      return P2PResponse.text(`${isEarly ? 'early' : 'late'} ${path}`)
    }
    await serve(this.#node, handle, options)
    const port = Number(this.#node.address().direct[0]?.split(':').at(-1))
    this.link = await slowLink(port, DELAY_MS)
    return this
  }

  get address(): P2PAddress {
    return new P2PAddress(this.#node.localNodeId(), [this.link.address])
  }

  async stop(): Promise<void> {
    await this.#node.close()
    await this.link[Symbol.asyncDispose]()
  }
}

/** Lets only the first packets of the next connection through to the server: nothing after it has answered. */
function oneFlight(link: SlowLink): void {
  let answered = false
  link.passes = (direction, bytes) => {
    // Long headers are those of handshakes (RFC 9000, 17.2).
    if (direction === 'down' && ((bytes[0] ?? 0) & 0x80) !== 0) answered = true
    return direction === 'down' || !answered
  }
}

/** Whether the client has sent any: packets of the type 0-RTT (RFC 9000, 17.2.3). */
function hasEarlyPackets(link: SlowLink): boolean {
  return link.packets.some(({ direction, bytes }) => direction === 'up' && ((bytes[0] ?? 0) & 0xf0) === 0xd0)
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; !isSo(); i++) {
    if (i === 1000) throw new Error('it did not come about')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe.skipIf(!NATIVE_DOOR.here)(`early data ${NATIVE_DOOR.why}`, () => {
  let client: IrohP2P
  const homes: Home[] = []
  beforeEach(async () => {
    client = await nodeAt('127.0.0.1:0', 'client')
  })
  afterEach(async () => {
    await client.close()
    await Promise.all(homes.splice(0).map(async (home) => home.stop()))
  })

  async function start(options: ServeOptions = { earlyData: true }, name?: string): Promise<Home> {
    const home = new Home(name)
    homes.push(home)
    return home.start(options)
  }

  /** Asks over a connection of its own. */
  async function ask(home: Home, init: Partial<P2PClientRequest> = {}): Promise<string> {
    await using pool = new RequestPool(client)
    const answer: P2PClientResponse = await pool.request(home.address, { path: '/', earlyData: true, ...init })
    return await answer.text()
  }

  /** Asks, so that there is a session to resume. */
  async function meet(home: Home): Promise<void> {
    expect(await ask(home)).toBe('late /')
    home.handled.length = 0
  }

  /** A server that this client has a session with, and that is gone. */
  async function meetAndStop(options: ServeOptions): Promise<void> {
    const home = await start(options)
    await meet(home)
    await homes.pop()?.stop()
  }

  test('is answered after one round trip, where others need two', async () => {
    const home = await start()
    await meet(home)
    oneFlight(home.link)
    const answer = RequestPool.of(client).request(home.address, { path: '/now', earlyData: true, deadlineMs: 5000 })
    expect(await (await answer).text()).toBe('early /now')
    // The answer was there although the handshake is not complete, on the server's side.
    expect(home.handled).toEqual([{ method: 'GET', path: '/now', isEarly: true, body: '' }])
    home.link.passes = () => true
  })

  test('without it there is no answer in one round trip', async () => {
    const home = await start()
    await meet(home)
    oneFlight(home.link)
    const answer = ask(home, { earlyData: false, path: '/later' })
    await until(() => home.link.packets.length > 4)
    expect(home.handled).toEqual([])
    home.link.passes = () => true
    expect(await answer).toBe('late /later')
  })

  test('the first time there is none, and every time after it', async () => {
    const home = await start()
    const answers = []
    for (let i = 0; i < 5; i++) answers.push(await ask(home))
    expect(answers).toEqual(['late /', ...Array.from({ length: 4 }, () => 'early /')])
  })

  test('what a server has forgotten is said again, whole, and handled once', async () => {
    await meetAndStop({ earlyData: ['POST'] })
    const forgetful = await start({ earlyData: ['POST'] })
    const body = 'x'.repeat(300_000)
    expect(await ask(forgetful, { method: 'POST', path: '/again', body })).toBe('late /again')
    expect(forgetful.handled).toEqual([{ method: 'POST', path: '/again', isEarly: false, body }])
    // And now it knows this client again.
    expect(await ask(forgetful, { method: 'POST', path: '/more', body: 'y' })).toBe('early /more')
  })

  test('many requests at once are all said again, each once', async () => {
    await meetAndStop({ earlyData: true })
    const forgetful = await start()
    await using pool = new RequestPool(client)
    const paths = Array.from({ length: 60 }, (_, i) => `/${i}`)
    const answers = await Promise.all(
      paths.map(async (path) => {
        const answer = await pool.request(forgetful.address, { path, earlyData: path !== '/7' })
        return answer.text()
      }),
    )
    expect(answers).toEqual(paths.map((path) => `late ${path}`))
    expect(forgetful.handled.map(({ path }) => path).sort()).toEqual(paths.toSorted())
  })

  test('a method that is not named waits for the handshake', async () => {
    const home = await start()
    await meet(home)
    oneFlight(home.link)
    const answer = ask(home, { method: 'DELETE', path: '/tracks' })
    await until(() => home.link.packets.length > 4)
    expect(home.handled).toEqual([])
    home.link.passes = () => true
    expect(await answer).toBe('late /tracks')
    expect(home.handled).toHaveLength(1)
  })

  test('a server that does not take it is asked when the handshake is complete', async () => {
    const home = await start({})
    await meet(home)
    expect(await ask(home)).toBe('late /')
    expect(home.handled).toHaveLength(1)
  })

  test('authorize is asked first, with the id, and its no is heard', async () => {
    const asked: string[] = []
    let friendly = true
    const home = await start({
      earlyData: true,
      authorize: (peer) => {
        asked.push(peer.toString())
        return friendly
      },
    })
    await meet(home)
    friendly = false
    const refusal = await ask(home).catch((error: unknown) => error as P2PError)
    expect(refusal).toMatchObject({ code: 'refused' })
    expect(asked).toEqual([client.localNodeId().toString(), client.localNodeId().toString()])
    expect(home.handled).toEqual([])
  })

  test('only what says so is sent early', async () => {
    const home = await start()
    await meet(home)
    home.link.packets.length = 0
    home.link.passes = (direction) => direction === 'up'
    const connection = await client.connect(home.address, { earlyData: true })
    expect(connection.isEarly).toBe(true)
    const stream = await connection.openStream({ kind: 'request' })
    await stream.write(new Uint8Array(2000))
    await until(() => home.link.packets.length > 2)
    expect(hasEarlyPackets(home.link)).toBe(false)
    const early = await connection.openStream({ kind: 'request', early: true })
    await early.write(new Uint8Array(10))
    await until(() => hasEarlyPackets(home.link))
    home.link.passes = () => true
    await connection.handshake()
    expect(connection.isEarly).toBe(false)
    connection.close()
  })

  test('what was recorded is not handled again: a ticket is good for one connection', async () => {
    const home = await start()
    await meet(home)
    const flight: Uint8Array[] = []
    home.link.passes = (direction, bytes) => {
      if (direction === 'up' && ((bytes[0] ?? 0) & 0x80) !== 0) flight.push(bytes)
      return true
    }
    expect(await ask(home, { path: '/once' })).toBe('early /once')
    for (let i = 0; i < 3; i++) for (const bytes of flight.slice(0, 2)) home.link.replay(bytes)
    expect(await ask(home, { path: '/after' })).toBe('early /after')
    expect(home.handled.map(({ path }) => path)).toEqual(['/once', '/after'])
  })

  test('whoever overtakes the sender has it handled twice, and no more: this is the risk', async () => {
    const home = await start()
    await meet(home)
    const flight: Uint8Array[] = []
    home.link.passes = (direction, bytes) => {
      if (direction === 'up' && ((bytes[0] ?? 0) & 0x80) !== 0) flight.push(bytes)
      return false
    }
    const answer = ask(home, { path: '/twice' })
    await until(() => flight.length >= 2)
    for (let i = 0; i < 3; i++) for (const bytes of flight) home.link.replay(bytes)
    await until(() => home.handled.length > 0)
    home.link.passes = () => true
    expect(await answer).toBe('late /twice')
    expect(home.handled.map(({ isEarly }) => isEarly)).toEqual([true, false])
  })
})

describe('where there is no early data', () => {
  test.each(DOORS.filter(({ name }) => name === 'official'))(
    'it is asked for in vain through the $name door',
    async ({ binding }) => {
      const options = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'], binding: binding() } as const
      await using home = await IrohP2P.create(options)
      await using client = await IrohP2P.create(options)
      expect(client.hasEarlyData).toBe(false)
      await serve(home, (req) => P2PResponse.json(req.isEarly), { earlyData: true, authorize: 'everyone' })
      for (let i = 0; i < 2; i++) {
        await using pool = new RequestPool(client)
        expect(await (await pool.request(home.address(), { path: '/', earlyData: true })).json()).toBe(false)
      }
    },
  )

  test('it is asked for in vain in the simulator', async () => {
    await using home = await SimulatorP2P.create()
    await using client = await SimulatorP2P.create()
    expect(client.hasEarlyData).toBe(false)
    await serve(home, (req) => P2PResponse.json(req.isEarly), { earlyData: true })
    await using pool = new RequestPool(client)
    expect(await (await pool.request(home.address(), { path: '/', earlyData: true })).json()).toBe(false)
  })

  test('methods that are none are refused', async () => {
    await using home = await SimulatorP2P.create()
    const serving = serve(home, () => P2PResponse.text(''), { earlyData: ['no method'] })
    await expect(serving).rejects.toMatchObject({ code: 'invalid-configuration', setting: 'serve.earlyData' })
  })
})
