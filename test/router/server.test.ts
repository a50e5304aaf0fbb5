import { expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { P2PResponse, P2PRouter, REQUEST_CODE, serve } from '../../src/router/index.ts'
import type { P2PService } from '../../src/router/index.ts'
import { failed, outcome, pattern } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { later, onEveryCarrier } from './support/rig.ts'

/** A service that says what happens to it. */
class Logged implements P2PService {
  readonly log: string[]
  readonly name: string

  constructor(log: string[], name: string) {
    this.log = log
    this.name = name
  }

  registerRoutes(router: P2PRouter): void {
    router.route('GET', '/', () => P2PResponse.text(this.name))
  }

  async start(): Promise<void> {
    await settle()
    this.log.push(`start ${this.name}`)
  }

  stop(): void {
    this.log.push(`stop ${this.name}`)
  }
}

onEveryCarrier('serving', (make) => {
  test('a router, a service, a function: all are applications', async () => {
    const text = async (app: Parameters<typeof make>[0]): Promise<string> => (await (await make(app)).get('/')).text()
    expect(await text(new P2PRouter().route('GET', '/', () => P2PResponse.text('router')))).toBe('router')
    expect(await text(new Logged([], 'service'))).toBe('service')
    expect(await text(() => P2PResponse.text('function'))).toBe('function')
    expect(await text({ fetch: () => new Response('fetch') })).toBe('fetch')
    const misspelt = { maxBodyByte: 5 } as never
    await expect(make(() => P2PResponse.empty(), misspelt)).rejects.toMatchObject({
      code: 'invalid-configuration',
      setting: 'maxBodyByte',
      message: expect.stringMatching(/^serve has no option .* known are .*maxBodyBytes.*onError/) as unknown,
    })
    await expect(make({} as never)).rejects.toMatchObject({ code: 'invalid-configuration' })
    await expect(make(null as never)).rejects.toMatchObject({ code: 'invalid-configuration' })
  })

  test('starts services in order before the first request, and stops them in reverse after the last', async () => {
    const log: string[] = []
    const shared = new Logged(log, 'shared')
    const router = new P2PRouter()
      .use('/a', new Logged(log, 'a'))
      .use('/b', new P2PRouter().use(shared))
      .use('/c', shared)
      .use('/d', new Logged(log, 'd'))
    const rig = await make(router)
    expect(log).toEqual(['start a', 'start shared', 'start d'])
    expect(await (await rig.get('/b')).text()).toBe('shared')
    await Promise.all([rig.server.close(), rig.server.close()])
    expect(log.slice(3)).toEqual(['stop d', 'stop shared', 'stop a'])
    await rig.server.closed
  })

  test('a service that does not start keeps the server from starting, and stops those that did', async () => {
    const log: string[] = []
    const broken: P2PService = {
      registerRoutes: () => {},
      start: () => {
        throw new Error('no library')
      },
    }
    const router = new P2PRouter().use('/a', new Logged(log, 'a')).use(broken)
    await expect(make(router)).rejects.toThrow('no library')
    expect(log).toEqual(['start a', 'stop a'])
  })

  test('one node serves once at a time, beside a listener for streams', async () => {
    const rig = await make(() => P2PResponse.text('first'))
    expect(await outcome(serve(rig.home, () => P2PResponse.empty()))).toEqual(failed('already-listening'))
    const listener = await rig.home.listen()
    const connection = await rig.connect()
    const [accepted] = await Promise.all([listener.accept(), connection.send(pattern(3))])
    expect(await accepted.recv()).toEqual(pattern(3))
    expect(await (await rig.get('/')).text()).toBe('first')
    await rig.server.close()
    const again = await serve(rig.home, () => P2PResponse.text('second'))
    expect(await (await rig.get('/')).text()).toBe('second')
    await again.close()
    listener.close()
  })

  test('lets in whom authorize lets in', async () => {
    const rig = await make(() => P2PResponse.text('in'), {
      authorize: (peer) => peer.equals(rig.player.localNodeId()),
    })
    expect((await rig.get('/')).status).toBe(200)
  })

  test('closing lets requests in flight end, and takes no more', async () => {
    let finish: () => void = () => {}
    const rig = await make(async () => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return P2PResponse.text('done')
    })
    const first = rig.get('/1')
    await settle()
    const closing = rig.server.close()
    await settle()
    expect(await outcome(rig.get('/2'))).toEqual(failed('refused'))
    expect(await outcome(closing)).toBe('pending')
    finish()
    expect(await (await first).text()).toBe('done')
    await closing
    expect(rig.server.stats()).toMatchObject({ requestsAnswered: 1, requestsRefused: 1, connections: 0 })
  })

  test('closing waits no longer than it was told, and then cancels', async () => {
    const signals: AbortSignal[] = []
    const rig = await make((req) => {
      signals.push(req.signal)
      return new Promise(() => {})
    })
    const asking = later(rig.get('/'))
    await settle()
    const closing = later(rig.server.close({ timeoutMs: 2_000 }))
    await rig.runtime.advance(1_999)
    expect([asking.result, closing.result]).toEqual(['pending', 'pending'])
    await rig.runtime.advance(1)
    expect(asking.result).toEqual(failed('stream-reset', { streamCode: REQUEST_CODE.cancelled }))
    expect(signals[0]?.aborted).toBe(true)
    await rig.runtime.advance(10_000)
    expect(closing.result).toHaveProperty('value')
  })

  test('closing at once cancels at once, also after a patient close', async () => {
    const rig = await make(() => new Promise(() => {}))
    const asking = rig.get('/')
    await settle()
    const patient = later(rig.server.close({ timeoutMs: 60_000 }))
    await settle()
    expect(patient.result).toBe('pending')
    const hasty = rig.server.close({ graceful: false })
    expect(await outcome(asking)).toEqual(failed('stream-reset', { streamCode: REQUEST_CODE.cancelled }))
    await rig.runtime.advance(10_000)
    await hasty
    expect(patient.result).toHaveProperty('value')
  })

  test('ends with its node, and stops its services', async () => {
    const log: string[] = []
    const rig = await make(new Logged(log, 'a'))
    expect((await rig.get('/')).status).toBe(200)
    const closed = rig.home.close()
    await rig.runtime.advance(10_000)
    await closed
    await rig.server.closed
    expect(log).toEqual(['start a', 'stop a'])
  })

  test('a lost connection cancels its requests, and no one else’s', async () => {
    const signals = new Map<string, AbortSignal>()
    const rig = await make((req) => {
      signals.set(req.path, req.signal)
      return new Promise(() => {})
    })
    const lost = await rig.connect()
    const stream = await lost.openStream({ kind: 'request' })
    await stream.write(Uint8Array.of(6, 1, 3, 0x2f, 0x2f, 0x61, 0))
    await stream.finish()
    const kept = later(rig.get('/kept'))
    await settle()
    expect([...signals.values()].map((signal) => signal.aborted)).toEqual([false, false])
    lost.carrier.fail('the network is gone')
    await settle()
    expect(signals.get('//a')?.aborted).toBe(true)
    expect(signals.get('/kept')?.aborted).toBe(false)
    expect(kept.result).toBe('pending')
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 1, connections: 1 })
  })

  test('a lost connection fails the answers it was to bring', async () => {
    const rig = await make((req) => P2PResponse.file('/song', req))
    rig.runtime.add('/song', pattern(1_000_000))
    const answer = await rig.get('/')
    await answer.body.read()
    ;[...rig.player.endpoint.connections][0]?.fail('the network is gone')
    let error: unknown
    try {
      while (await answer.body.read());
    } catch (failure) {
      error = failure
    }
    expect(P2PError.is(error, 'connection-closed')).toBe(true)
    await settle()
    expect(rig.runtime.openFiles).toBe(0)
  })
})
