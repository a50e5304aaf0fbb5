import { describe, expect, test, vi } from 'vitest'
import { P2PResponse, P2PRouter, RequestPool } from '../../src/router/index.ts'
import type { P2PRequest } from '../../src/router/index.ts'
import { failed, outcome, pattern } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { MemoryNode } from '../support/memory-node.ts'
import { later, onEveryCarrier } from './support/rig.ts'

const echo = async (req: P2PRequest): Promise<P2PResponse> =>
  P2PResponse.bytes(await req.bytes(), { headers: { 'x-method': req.method, 'x-target': req.target } })

onEveryCarrier('requests', (make) => {
  test('carry method, path, query, headers and body there, and status, headers and body back', async () => {
    let seen: P2PRequest | undefined
    const rig = await make((req) => {
      seen = req
      return P2PResponse.text('gone', { status: 410, headers: { 'x-a': '1', 'set-cookie': 'c' } })
    })
    const answer = await rig.request({
      method: 'patch',
      path: '/a b/ü?x=1',
      query: { y: [2, 3], z: 'ä&=', n: undefined },
      headers: { 'X-Custom': 'v', accept: '*/*' },
      body: 'hällo',
    })
    expect(seen?.method).toBe('PATCH')
    expect(seen?.target).toBe('/a%20b/%C3%BC?x=1&y=2&y=3&z=%C3%A4%26%3D')
    expect(seen?.path).toBe('/a%20b/%C3%BC')
    expect({ ...seen?.query }).toEqual({ x: '1', y: '2', z: 'ä&=' })
    expect(seen?.searchParams.getAll('y')).toEqual(['2', '3'])
    expect(seen?.headers.toJSON()).toEqual({
      'x-custom': 'v',
      accept: '*/*',
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '6',
    })
    expect(seen?.remoteNodeId.equals(rig.player.localNodeId())).toBe(true)
    expect(answer.status).toBe(410)
    expect(answer.ok).toBe(false)
    expect(answer.headers.get('X-A')).toBe('1')
    expect(answer.headers.get('set-cookie')).toBe('c')
    expect(answer.headers.get('content-length')).toBe('4')
    expect(answer.remoteNodeId.equals(rig.home.localNodeId())).toBe(true)
    expect(await answer.text()).toBe('gone')
    expect(await answer.text()).toBe('gone')
  })

  test.each([0, 1, 16_383, 65_536, 65_537, 1_000_000])('echo a body of %i bytes', async (size) => {
    const rig = await make(echo)
    const body = pattern(size)
    const answer = await rig.request({ method: 'POST', path: '/', body })
    expect(Buffer.from(await answer.bytes()).equals(body)).toBe(true)
  })

  test('read JSON on both sides', async () => {
    const rig = await make(async (req) => P2PResponse.json({ got: await req.json() }))
    const answer = await rig.request({ method: 'POST', path: '/', json: { a: [1, null] } })
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toEqual({ got: { a: [1, null] } })
  })

  test('share one connection, made once however many ask at once', async () => {
    const rig = await make(echo)
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => rig.get(`/${i}`)))
    expect(answers.map((answer) => answer.headers.get('x-target'))).toEqual(answers.map((_, i) => `/${i}`))
    await Promise.all(answers.map((answer) => answer.bytes()))
    await rig.get('/again')
    expect(rig.connections).toBe(1)
    expect(rig.server.stats()).toMatchObject({ requestsAnswered: 51, connections: 1 })
  })

  test('take an id, its texts and a ticket for the same peer', async () => {
    const rig = await make(echo)
    const id = rig.home.localNodeId()
    const pool = RequestPool.of(rig.player)
    for (const peer of [
      id,
      id.toString(),
      id.toHex().toUpperCase(),
      rig.home.address(),
      rig.home.address().toTicket(),
    ]) {
      expect((await pool.request(peer, { path: '/' })).status).toBe(200)
    }
    expect(rig.connections).toBe(1)
    expect(await outcome(pool.request('nonsense', { path: '/' }))).toEqual(failed('invalid-node-id'))
  })

  test('go on over a new connection when the old one is lost, and end it when it is idle', async () => {
    const rig = await make(echo)
    await rig.get('/1')
    ;[...rig.player.endpoint.connections][0]?.fail('the network is gone')
    expect((await rig.get('/2')).status).toBe(200)
    expect(rig.connections).toBe(1)
    await rig.runtime.advance(29_000)
    expect((await rig.get('/3')).status).toBe(200)
    await rig.runtime.advance(29_000)
    expect(rig.connections).toBe(1)
    await rig.runtime.advance(1_001)
    expect(rig.connections).toBe(0)
    expect(RequestPool.of(rig.player).size).toBe(0)
    expect((await rig.get('/4')).status).toBe(200)
  })

  test('fail with what connecting fails with, and start anew afterwards', async () => {
    const rig = await make(echo, { authorize: () => false })
    expect(await outcome(rig.get('/'))).toEqual(failed('refused'))
    expect(RequestPool.of(rig.player).size).toBe(0)
    expect(await outcome(RequestPool.of(rig.home).request(rig.id, { path: '/' }))).toEqual(failed('self-connect'))
  })

  test('to a node that does not serve fail with refused', async () => {
    const rig = await make(echo)
    const other = MemoryNode.create(rig.network, 'other', { runtime: rig.runtime })
    await other.listen()
    const failure = await outcome(RequestPool.of(rig.player).request(other.localNodeId(), { path: '/' }))
    expect(failed('refused')).toEqual(failure)
    expect(failure).toMatchObject({ error: { message: expect.stringContaining('serves no requests') as string } })
    const closed = other.close()
    await rig.runtime.advance(30_000)
    await closed
  })

  test('are retried only when nothing had left and nothing can have happened twice', async () => {
    const rig = await make(echo)
    await rig.get('/')
    const broken = (method: string): Promise<unknown> => {
      const [carrier] = rig.player.endpoint.connections
      // The connection is lost between looking at it and opening a stream on it.
      if (carrier) {
        carrier.openBi = () => {
          carrier.fail('lost just now')
          return carrier.openUni() as Promise<never>
        }
      }
      return outcome(rig.request({ method, path: '/' }))
    }
    expect(await broken('GET')).toHaveProperty('value.status', 200)
    expect(await broken('POST')).toEqual(failed('connection-closed'))
    expect((await rig.get('/')).status).toBe(200)
    expect(rig.server.stats().requestsAnswered).toBe(3)
  })

  test('that are aborted fail at once, whatever they wait for', async () => {
    const rig = await make(() => new Promise(() => {}), { handlerTimeoutMs: Number.POSITIVE_INFINITY })
    const early = new AbortController()
    early.abort('before')
    expect(await outcome(rig.request({ path: '/', signal: early.signal }))).toEqual(
      failed('aborted', { cause: 'before' }),
    )
    rig.network.hold()
    const connecting = new AbortController()
    const first = rig.request({ path: '/', signal: connecting.signal })
    await settle()
    connecting.abort('connecting')
    expect(await outcome(first)).toEqual(failed('aborted', { cause: 'connecting', name: 'AbortError' }))
    rig.network.release()
    const waiting = new AbortController()
    const second = rig.request({ path: '/', signal: waiting.signal })
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(1)
    waiting.abort('waiting')
    expect(await outcome(second)).toEqual(failed('aborted', { cause: 'waiting' }))
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsCancelled: 1 })
  })

  test('that wait for one connection give it up only when all of them do', async () => {
    const rig = await make(echo)
    rig.network.hold()
    const controllers = [new AbortController(), new AbortController()]
    const seen = controllers.map(({ signal }) => later(rig.request({ path: '/', signal })))
    const patient = later(rig.get('/'))
    controllers[0]?.abort()
    rig.network.release()
    await settle()
    expect(seen.map(({ result }) => result)).toEqual([failed('aborted'), { value: expect.anything() as unknown }])
    expect(patient.result).toHaveProperty('value.status', 200)
    expect(rig.connections).toBe(1)
  })

  test('may share one signal, which aborts them all and is left as it was', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const rig = await make((req) => (req.path === '/quick' ? P2PResponse.empty() : new Promise(() => {})))
    const controller = new AbortController()
    const add = vi.spyOn(controller.signal, 'addEventListener')
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    const { signal } = controller
    await Promise.all(Array.from({ length: 30 }, () => rig.request({ path: '/quick', signal })))
    await settle()
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1])
    const seen = Array.from({ length: 30 }, () => later(rig.request({ path: '/slow', signal })))
    await settle()
    controller.abort()
    await settle()
    expect(seen.map(({ result }) => result)).toEqual(seen.map(() => failed('aborted')))
    expect(warnings).toEqual([])
    process.off('warning', onWarning)
  })

  test('that find their connection lost together make one new one', async () => {
    const rig = await make(echo)
    await rig.get('/')
    const [carrier] = rig.player.endpoint.connections
    const connect = vi.spyOn(rig.player.endpoint, 'connect')
    if (carrier) {
      let calls = 0
      carrier.openBi = async () => {
        // Each finds out at another moment.
        const turns = 5 * calls++
        for (let i = 0; i < turns; i++) await settle()
        carrier.fail('lost just now')
        return carrier.openUni() as Promise<never>
      }
    }
    const answers = await Promise.all(Array.from({ length: 5 }, () => rig.get('/')))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(connect).toHaveBeenCalledTimes(1)
    expect(rig.connections).toBe(1)
  })

  test('have a deadline for everything, and a time limit for the head', async () => {
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield pattern(10)
      await new Promise(() => {})
    }
    const router = new P2PRouter()
      .route('GET', '/never', () => new Promise(() => {}))
      .route('GET', '/half', () => P2PResponse.stream(endless()))
    const rig = await make(router, { handlerTimeoutMs: Number.POSITIVE_INFINITY })
    const never = later(rig.request({ path: '/never', deadlineMs: 500 }))
    const half = await rig.request({ path: '/half', deadlineMs: 700 })
    const body = later(half.bytes())
    const head = later(rig.get('/never'))
    await rig.runtime.advance(499)
    expect(never.result).toBe('pending')
    await rig.runtime.advance(1)
    expect(never.result).toEqual(failed('timeout', { afterMs: 500 }))
    expect(body.result).toBe('pending')
    await rig.runtime.advance(200)
    expect(body.result).toEqual(failed('timeout', { afterMs: 700 }))
    await rig.runtime.advance(59_000)
    expect(head.result).toBe('pending')
    await rig.runtime.advance(1_000)
    expect(head.result).toEqual(failed('timeout', { afterMs: 60_000 }))
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test('wait their turn when there are too many, and leave the queue when aborted', async () => {
    const release: (() => void)[] = []
    const rig = await make(async () => {
      await new Promise<void>((resolve) => release.push(resolve))
      return P2PResponse.empty()
    })
    await using pool = new RequestPool(rig.player, { maxRequestsInFlight: 2, maxRequestsWaiting: 2 })
    const ask = (signal?: AbortSignal): { result: unknown } => later(pool.request(rig.id, { path: '/', signal }))
    const controller = new AbortController()
    const [first, second, third, fourth] = [ask(), ask(), ask(controller.signal), ask()]
    expect(await outcome(pool.request(rig.id, { path: '/' }))).toEqual(
      failed('limit-exceeded', { limit: 'maxRequestsWaiting', max: 2 }),
    )
    expect(release).toHaveLength(2)
    controller.abort()
    await settle()
    expect(third.result).toEqual(failed('aborted'))
    release[0]?.()
    await settle()
    expect(first.result).toHaveProperty('value.status', 204)
    expect(release).toHaveLength(3)
    release[1]?.()
    release[2]?.()
    await settle()
    expect([second.result, fourth.result]).toEqual([
      { value: expect.objectContaining({ status: 204 }) as unknown },
      { value: expect.objectContaining({ status: 204 }) as unknown },
    ])
  })

  test('are checked before anything is sent', async () => {
    const rig = await make(echo)
    const bad = async (init: Parameters<typeof rig.request>[0]): Promise<unknown> => outcome(rig.request(init))
    const setting = (what: string): unknown =>
      failed('invalid-configuration', { message: expect.stringContaining(what) as string })
    expect(await bad({ path: '/', timeoutMs: 5 } as never)).toEqual(setting('request has no option "timeoutMs"'))
    expect(await bad({ path: 'no-slash' })).toEqual(setting('path = "no-slash"'))
    expect(await bad({ path: '/\ud800' })).toEqual(setting('surrogate'))
    expect(await bad({ path: '/', method: 'GE T' })).toEqual(setting('method = "GE T"'))
    expect(await bad({ path: '/', headers: { 'a b': 'c' } })).toEqual(setting('header name = "a b"'))
    expect(await bad({ path: '/', headers: { a: 'x\r\ny: z' } })).toEqual(setting('header a = '))
    expect(await bad({ path: '/', headers: { a: 'x'.repeat(20_000) } })).toEqual(failed('limit-exceeded'))
    expect(await bad({ path: '/', deadlineMs: 0 })).toEqual(setting('deadlineMs = 0'))
    expect(await bad({ path: '/', json: 1n })).toEqual(failed('serialization'))
    expect(await bad({ path: '/', json: 1, body: 'x' })).toEqual(setting('json'))
    expect(rig.connections).toBe(0)
  })
})

describe('a pool', () => {
  test('refuses limits that make no sense', () => {
    expect(() => new RequestPool({} as never, { idleTimeoutMs: -1 })).toThrow(/pool\.idleTimeoutMs/)
    expect(() => new RequestPool({} as never, { maxHeaderBytes: 1.5 })).toThrow(/pool\.maxHeaderBytes/)
  })
})
