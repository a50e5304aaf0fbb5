import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { P2PStream } from '../../src/core/stream.ts'
import { encodeRequest } from '../../src/router/codec.ts'
import { P2PHeaders, P2PResponse, REQUEST_CODE } from '../../src/router/index.ts'
import type { P2PHeadersInit, P2PRequest } from '../../src/router/index.ts'
import { failed, outcome, pattern, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { onEveryCarrier } from './support/rig.ts'

const head = (method: string, headers: P2PHeadersInit = {}): Uint8Array =>
  encodeRequest({ method, target: '/', headers: new P2PHeaders(headers) }, 16_384)

/** What the peer said to a raw request: the code of its RESET, or the bytes of its answer. */
async function reply(stream: P2PStream): Promise<unknown> {
  const result = await outcome(stream.readToEnd(100_000))
  if (result === 'pending') return result
  if ('value' in result) return result.value
  return (result.error as { streamCode?: number }).streamCode
}

const gaveUp = (code: number): unknown => code
const ok = (): P2PResponse => P2PResponse.text('ok')

onEveryCarrier('a server', (make) => {
  test('refuses a head of 4 GB at once, on that stream alone', async () => {
    const rig = await make(ok)
    const connection = await rig.connect()
    const hostile = await connection.openStream({ kind: 'request' })
    await hostile.write(Uint8Array.of(0xc0, 0, 0, 1))
    expect(await reply(hostile)).toEqual(gaveUp(REQUEST_CODE.tooLarge))
    expect(await outcome(hostile.write(text('more')))).toEqual(
      failed('stream-stopped', { streamCode: REQUEST_CODE.tooLarge }),
    )
    const honest = await connection.openStream({ kind: 'request' })
    await honest.write(head('GET'))
    await honest.finish()
    expect(await reply(honest)).toBeInstanceOf(Uint8Array)
    expect(rig.server.stats()).toMatchObject({ requestsMalformed: 1, requestsAnswered: 1, requestsInFlight: 0 })
  })

  test('gives up half a head when nothing follows', async () => {
    const rig = await make(ok, { headerTimeoutMs: 2_000 })
    const half = await rig.raw(head('GET', { 'x-long': 'y'.repeat(500) }).subarray(0, 300))
    const nothing = await rig.raw()
    await nothing.write(Uint8Array.of(0x40))
    expect(await reply(half)).toBe('pending')
    expect(rig.server.stats().requestsInFlight).toBe(2)
    await rig.runtime.advance(1_999)
    expect(rig.server.stats().requestsInFlight).toBe(2)
    await rig.runtime.advance(1)
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsMalformed: 2 })
    expect(await reply(nothing)).toEqual(gaveUp(REQUEST_CODE.timeout))
  })

  test('does not mistake a slow head for a silent one', async () => {
    const rig = await make(ok, { headerTimeoutMs: 2_000 })
    const stream = await rig.raw()
    for (const byte of head('GET')) {
      await stream.write(Uint8Array.of(byte))
      await rig.runtime.advance(300)
    }
    expect(await reply(stream)).toBeInstanceOf(Uint8Array)
  })

  test('resets garbage as malformed, and goes on', async () => {
    const rig = await make(ok)
    const connection = await rig.connect()
    const garbage = fc.uint8Array({ minLength: 1, maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(garbage, async (bytes) => {
        const stream = await connection.openStream({ kind: 'request' })
        await stream.write(bytes).catch(() => {})
        await stream.finish().catch(() => {})
        const said = await reply(stream)
        // An answer, or a reset with a code of ours: never silence, never an error of the connection.
        const codes: unknown[] = [REQUEST_CODE.malformed, REQUEST_CODE.tooLarge]
        expect(said instanceof Uint8Array || codes.includes(said)).toBe(true)
      }),
    )
    expect(connection.isConnected()).toBe(true)
    expect(rig.reported).toEqual([])
    const { requestsInFlight, requestsMalformed } = rig.server.stats()
    expect(requestsInFlight).toBe(0)
    expect(requestsMalformed).toBeGreaterThan(50)
  })

  test('refuses a peer’s requests beyond its limit, over all its connections, and no one else’s', async () => {
    const release: (() => void)[] = []
    const rig = await make(
      async () => {
        await new Promise<void>((resolve) => release.push(resolve))
        return ok()
      },
      { maxRequestsInFlight: 3 },
    )
    const connections = [await rig.connect(), await rig.connect()]
    const streams: P2PStream[] = []
    for (let i = 0; i < 200; i++) {
      const stream = await (connections[i % 2] ?? connections[0])?.openStream({ kind: 'request' })
      if (!stream) continue
      streams.push(stream)
      await stream.write(head('GET')).catch(() => {})
      await settle()
    }
    expect(release).toHaveLength(3)
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 3, requestsRefused: 197, connections: 2 })
    expect(await reply(streams[10] as P2PStream)).toEqual(gaveUp(REQUEST_CODE.refused))
    const refused = await outcome(rig.get('/'))
    expect(refused).toEqual(failed('refused'))
    expect(refused).toMatchObject({ error: { message: expect.stringContaining('try again later') as string } })
    release.forEach((resolve) => resolve())
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(0)
    const next = rig.get('/')
    await settle()
    release[3]?.()
    expect((await next).status).toBe(200)
  })

  test('answers 413 to a body over its limit: announced, or found out', async () => {
    let handled = 0
    const rig = await make(
      async (req) => {
        handled++
        return P2PResponse.bytes(await req.bytes())
      },
      { maxBodyBytes: 100 },
    )
    expect((await rig.request({ method: 'POST', path: '/', body: pattern(100) })).status).toBe(200)
    expect((await rig.request({ method: 'POST', path: '/', body: pattern(101) })).status).toBe(413)
    expect(handled).toBe(1)
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield pattern(30)
    }
    expect((await rig.request({ method: 'POST', path: '/', body: endless() })).status).toBe(413)
    const stops: number[] = []
    const hostile = await rig.raw(head('POST'), pattern(101))
    hostile.onStopped((code) => stops.push(code))
    await settle()
    expect(stops).toEqual([REQUEST_CODE.tooLarge])
    expect(rig.reported).toEqual([])
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test('takes no more of a body into memory than allowed, and streams what is longer', async () => {
    const count = async (req: P2PRequest): Promise<P2PResponse> => {
      if (req.path === '/whole') return P2PResponse.json((await req.bytes()).length)
      let length = 0
      for await (const chunk of req.body) length += chunk.length
      return P2PResponse.json(length)
    }
    const rig = await make(count, { maxBufferedBytes: 1000 })
    const body = pattern(500_000)
    expect((await rig.request({ method: 'POST', path: '/whole', body })).status).toBe(413)
    expect(await (await rig.request({ method: 'POST', path: '/stream', body })).json()).toBe(500_000)
  })

  test('answers 400 to a body that is not what it says: no JSON, or shorter than announced', async () => {
    const rig = await make(async (req) => P2PResponse.json(await req.json()))
    expect((await rig.request({ method: 'POST', path: '/', body: '{' })).status).toBe(400)
    const short = await rig.raw(head('POST', { 'content-length': '10' }), text('12345'))
    await short.finish()
    expect(string3(await reply(short))).toContain('Bad Request')
    const long = await rig.raw(head('POST', { 'content-length': '3' }), text('12345'))
    expect(string3(await reply(long))).toContain('Bad Request')
    expect(rig.reported).toEqual([])
  })

  test('answers 408 when a body stops coming, but only while somebody reads it', async () => {
    let failure: unknown
    const rig = await make(
      async (req) => {
        await req.runtime?.sleep(100_000)
        try {
          return P2PResponse.bytes(await req.bytes())
        } catch (error) {
          failure = error
          throw error
        }
      },
      { bodyIdleTimeoutMs: 1_000, handlerTimeoutMs: 200_000 },
    )
    const stream = await rig.raw(head('POST', { 'content-length': '10' }), text('12345'))
    const answer = reply(stream)
    await rig.runtime.advance(100_500)
    expect(failure).toBeUndefined()
    await rig.runtime.advance(500)
    expect(failure).toMatchObject({ code: 'timeout', afterMs: 1_000 })
    expect(await answer).toBe('pending')
    expect(string3(await reply(stream).catch(() => undefined))).toBeDefined()
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsAnswered: 1 })
    expect(rig.reported).toEqual([])
  })

  test('waits a while for the end of a request without a body, and then stops it', async () => {
    const rig = await make(ok, { headerTimeoutMs: 2_000 })
    const stream = await rig.raw(head('GET'))
    expect(string3(await stream.read())).toContain('ok')
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsAnswered: 1 })
    const stops: number[] = []
    stream.onStopped((code) => stops.push(code))
    await rig.runtime.advance(1_999)
    expect(stops).toEqual([])
    await rig.runtime.advance(1)
    expect(stops).toEqual([REQUEST_CODE.none])
    const unread = await rig.raw(head('POST', { 'content-length': '100' }), text('12345'))
    unread.onStopped((code) => stops.push(code))
    await settle()
    expect(stops).toEqual([REQUEST_CODE.none, REQUEST_CODE.none])
  })

  test('does not hold against a peer that the answer’s source takes its time', async () => {
    let push: () => void = () => {}
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => {
        push = (): void => controller.enqueue(text('tick'))
      },
    })
    const rig = await make(() => P2PResponse.stream(source), { bodyIdleTimeoutMs: 1_000 })
    const answer = await rig.get('/')
    for (let i = 0; i < 3; i++) {
      await rig.runtime.advance(10_000)
      push()
      expect(await answer.body.read()).toEqual(text('tick'))
    }
    answer.cancel()
  })

  test('gives up an answer that nobody takes', async () => {
    const rig = await make((req) => P2PResponse.file('/long', req), { bodyIdleTimeoutMs: 5_000 })
    rig.runtime.add('/long', pattern(1_000_000))
    const stream = await rig.raw(head('GET'))
    await settle()
    expect(rig.runtime.openFiles).toBe(1)
    await rig.runtime.advance(4_999)
    expect(rig.server.stats().requestsInFlight).toBe(1)
    await rig.runtime.advance(1)
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsCancelled: 1 })
    expect(rig.runtime.openFiles).toBe(0)
    stream[Symbol.dispose]()
  })

  test('answers 504 for a handler that never does, and tells it', async () => {
    const signals: AbortSignal[] = []
    const rig = await make(
      (req) => {
        signals.push(req.signal)
        return new Promise(() => {})
      },
      { handlerTimeoutMs: 3_000 },
    )
    const asking = rig.get('/slow')
    await rig.runtime.advance(2_999)
    expect(await outcome(asking)).toBe('pending')
    await rig.runtime.advance(1)
    expect((await asking).status).toBe(504)
    expect(signals[0]?.reason).toMatchObject({ code: 'timeout', afterMs: 3_000 })
    expect(rig.reported).toEqual([{ error: expect.objectContaining({ code: 'timeout' }) as unknown, target: '/slow' }])
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsAnswered: 1 })
  })

  test('lets go of an answer that comes too late', async () => {
    let cancelled = false
    let ended = 0
    let finish: () => void = () => {}
    const rig = await make(
      async (req) => {
        req.onEnd(() => ended++)
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        await P2PResponse.file('/song', req).catch(() => {})
        req.onEnd(() => ended++)
        return P2PResponse.stream(new ReadableStream({ cancel: () => void (cancelled = true) }))
      },
      { handlerTimeoutMs: 1_000 },
    )
    rig.runtime.add('/song', pattern(10))
    const asking = rig.get('/')
    await rig.runtime.advance(1_000)
    expect((await asking).status).toBe(504)
    finish()
    await settle()
    expect([cancelled, ended]).toEqual([true, 2])
    expect(rig.runtime.openFiles).toBe(0)
  })

  test('does not call a handler late that waits for a slow body', async () => {
    const rig = await make(async (req) => P2PResponse.bytes(await req.bytes()), { handlerTimeoutMs: 1_000 })
    const stream = await rig.raw(head('POST', { 'content-length': '10' }))
    for (let i = 0; i < 10; i++) {
      await rig.runtime.advance(900)
      await stream.write(Uint8Array.of(48 + i))
    }
    await rig.runtime.advance(900)
    expect(string3(await reply(stream))).toContain('0123456789')
  })

  test('answers 500 without internals to whatever a handler throws', async () => {
    const thrown: unknown[] = [new Error('secret'), 'secret', undefined, null, new TypeError('secret')]
    let i = 0
    const rig = await make((req) => {
      if (req.path === '/sync') throw thrown[i] as Error
      if (req.path === '/async') return Promise.reject(thrown[i])
      return { status: 200, secret: 'secret' } as never
    })
    for (; i < thrown.length; i++) {
      for (const path of ['/sync', '/async']) {
        const answer = await rig.get(path)
        expect([answer.status, await answer.text()]).toEqual([500, 'Internal Server Error'])
        expect(answer.headers.toJSON()).toEqual({ 'content-length': '21', 'content-type': 'text/plain; charset=utf-8' })
      }
    }
    expect(rig.reported.map(({ error }) => error)).toEqual(thrown.flatMap((error) => [error, error]))
    expect((await rig.get('/object')).status).toBe(500)
    expect(rig.reported.at(-1)).toMatchObject({ error: { code: 'serialization' } })
  })

  test('survives an onError that throws', async () => {
    const rig = await make(
      () => {
        throw new Error('handler')
      },
      {
        onError: () => {
          throw new Error('reporter')
        },
      },
    )
    expect((await rig.get('/')).status).toBe(500)
    expect((await rig.get('/')).status).toBe(500)
  })

  test('refuses limits that make no sense before it listens', async () => {
    await expect(make(ok, { maxRequestsInFlight: 0 })).rejects.toMatchObject({ code: 'invalid-configuration' })
    await expect(make(ok, { handlerTimeoutMs: Number.NaN })).rejects.toMatchObject({ code: 'invalid-configuration' })
  })
})

onEveryCarrier('a client', (make) => {
  /** A node that answers requests with whatever bytes it likes. */
  async function hostile(rig: Awaited<ReturnType<typeof make>>, answer: Uint8Array, finish = true): Promise<unknown> {
    await rig.server.close()
    const listener = await rig.home.listen('', { kinds: ['request'] })
    const asking = rig.get('/')
    const connection = await listener.accept()
    const stream = await connection.acceptStream({ kind: 'request' })
    await stream.write(answer)
    if (finish) await stream.finish()
    const result = await outcome(asking.then((response) => response.text()))
    listener.close()
    return result
  }

  test.each([
    ['a head of 4 GB', [0xff, 0xff], 'limit-exceeded'],
    ['a malformed head', [3, 0x40, 100, 0], 'protocol'],
    ['half a head', [5, 0x40], 'protocol'],
    ['nothing', [], 'protocol'],
    ['less than it announced', [6, 0x40, 200, 1, 13, 1, 0x35, 1, 2], 'protocol'],
    ['more than it announced', [6, 0x40, 200, 1, 13, 1, 0x31, 1, 2], 'protocol'],
    ['a body where there is none', [3, 0x40, 204, 0, 1], 'protocol'],
  ])('takes %s for an error', async (_, bytes, code) => {
    const rig = await make(ok)
    expect(await hostile(rig, Uint8Array.from(bytes))).toEqual(failed(code))
  })

  test('takes no more of an answer into memory than allowed', async () => {
    const rig = await make(() => P2PResponse.bytes(pattern(300_000)))
    const answer = await rig.get('/')
    expect(await outcome(answer.bytes(200_000))).toEqual(failed('limit-exceeded', { max: 200_000 }))
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })
})

/** The answer as text, its head included. */
function string3(bytes: unknown): string {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('latin1') : String(bytes)
}
