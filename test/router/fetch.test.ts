import { expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { fetch, NODE_ID_HEADER, P2PResponse, P2PRouter, serve } from '../../src/router/index.ts'
import type { P2PRequest } from '../../src/router/index.ts'
import { outcome, pattern } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { MemoryNode } from '../support/memory-node.ts'
import { later, onEveryCarrier } from './support/rig.ts'

const echo = async (req: P2PRequest): Promise<P2PResponse> =>
  P2PResponse.bytes(await req.bytes(), {
    headers: { 'x-method': req.method, 'x-target': req.target, 'x-headers': JSON.stringify(req.headers) },
  })

/** The error of a fetch, always a TypeError with a P2PError as its cause. */
async function typeError(promise: Promise<unknown>): Promise<{ readonly message: string; readonly code: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TypeError)
  const { cause, message } = error as TypeError
  expect(P2PError.is(cause)).toBe(true)
  return { message, code: (cause as P2PError).code }
}

/** How fetch fails on the network: a TypeError whose cause says why. */
async function networkError(promise: Promise<unknown>): Promise<unknown> {
  const result = await outcome(promise)
  if (result === 'pending' || 'value' in result) return result
  expect(result.error).toBeInstanceOf(TypeError)
  const { cause } = result.error as TypeError
  return P2PError.is(cause) ? cause.code : (result.error as TypeError).message
}

onEveryCarrier('fetch', (make) => {
  test('answers with a WHATWG Response', async () => {
    const rig = await make(() => P2PResponse.json({ a: 1 }, { status: 201, headers: { 'set-cookie': 'x=1' } }))
    const response = await rig.fetch('/tracks/7?q=ä#hash')
    expect(response).toBeInstanceOf(Response)
    expect([response.status, response.ok, response.redirected]).toEqual([201, true, false])
    expect(response.url).toBe(`p2p://${rig.id}/tracks/7?q=%C3%A4`)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.getSetCookie()).toEqual(['x=1'])
    expect(await response.clone().text()).toBe('{"a":1}')
    expect(await response.json()).toEqual({ a: 1 })
    expect(response.bodyUsed).toBe(true)
  })

  test.each([
    ['text', 'hällo', 'text/plain;charset=UTF-8'],
    ['parameters', new URLSearchParams({ a: 'b c' }), 'application/x-www-form-urlencoded;charset=UTF-8'],
    ['a blob', new Blob(['blob'], { type: 'audio/x' }), 'audio/x'],
    ['a buffer', new TextEncoder().encode('bytes').buffer, undefined],
    ['a view', new Uint8Array([1, 2, 3]), undefined],
    ['a stream', new Blob(['stream']).stream(), undefined],
  ])('sends %s as fetch does', async (_, body, type) => {
    const expected =
      body instanceof ReadableStream ? 'stream' : Buffer.from(await new Response(body).arrayBuffer()).toString()
    const rig = await make(echo)
    const response = await rig.fetch('/', { method: 'post', body })
    expect(response.headers.get('x-method')).toBe('POST')
    const headers = JSON.parse(response.headers.get('x-headers') ?? '') as Record<string, string>
    expect(headers['content-type']).toBe(type)
    expect(await response.text()).toBe(expected)
  })

  test('takes a URL, a Request, and headers of every kind', async () => {
    const rig = await make(echo)
    const url = `p2p://${rig.id}/x`
    const request = new Request(url, { method: 'PUT', body: 'from the request', headers: { 'x-a': '1' } })
    const first = await fetch(rig.player, request)
    expect([first.headers.get('x-method'), await first.text()]).toEqual(['PUT', 'from the request'])
    const second = await fetch(rig.player, new URL(url), { headers: new Headers({ 'x-b': '2' }) })
    expect(second.headers.get('x-headers')).toContain('"x-b":"2"')
    const third = await fetch(rig.player, `p2p://${rig.home.address().toTicket()}`, { headers: [['x-c', '3']] })
    expect(third.headers.get('x-headers')).toContain('"x-c":"3"')
    expect(third.headers.get('x-target')).toBe('/')
  })

  test('streams with back-pressure, and stops when it is cancelled', async () => {
    const rig = await make((req) => P2PResponse.file('/long', req))
    rig.runtime.add('/long', pattern(5_000_000))
    const response = await rig.fetch('/', { headers: { range: 'bytes=100-' } })
    expect(response.status).toBe(206)
    await settle()
    expect(rig.runtime.reads).toBeLessThan(6)
    const reader = response.body?.getReader()
    const { value } = (await reader?.read()) ?? {}
    expect(Buffer.from(value ?? []).equals(pattern(5_000_000).subarray(100, 100 + (value?.length ?? 0)))).toBe(true)
    await reader?.cancel()
    await settle()
    expect(rig.runtime.openFiles).toBe(0)
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test('has no body where there is none', async () => {
    const rig = await make((req) => (req.path === '/204' ? P2PResponse.empty() : P2PResponse.text('x')))
    expect((await rig.fetch('/204')).body).toBeNull()
    expect((await rig.fetch('/', { method: 'HEAD' })).body).toBeNull()
  })

  test('fails with a TypeError whose cause says why', async () => {
    const rig = await make(() => new Promise(() => {}))
    expect(await networkError(fetch(rig.player, 'p2p://nonsense/'))).toBe('invalid-node-id')
    expect(await networkError(fetch(rig.home, `p2p://${rig.id}/`))).toBe('self-connect')
    const late = rig.fetch('/', { deadlineMs: 100 })
    const seenLate = later(late)
    const nobody = fetch(rig.player, `p2p://${testNodeId('nobody').toString()}/`)
    const seenNobody = later(nobody)
    await rig.runtime.advance(100)
    expect([seenLate.result, seenNobody.result]).toEqual([{ error: expect.any(TypeError) as unknown }, 'pending'])
    await rig.runtime.advance(29_900)
    expect([await networkError(late), await networkError(nobody)]).toEqual(['timeout', 'timeout'])
  })

  test('fails with a TypeError for what is no request', async () => {
    const rig = await make(echo)
    const misused = (message: string): unknown => ({
      message: expect.stringContaining(message) as unknown,
      code: 'invalid-configuration',
    })
    expect(await typeError(fetch(rig.player, 'https://example.org/'))).toEqual(misused('is no peer'))
    expect(await typeError(fetch(rig.player, 'nonsense'))).toEqual(misused('Invalid URL'))
    expect(await typeError(fetch(rig.player, `p2p://me:secret@${rig.id}/`))).toEqual(misused('neither user'))
    expect(await typeError(fetch(rig.player, `p2p://${rig.id}:80/`))).toEqual(misused('port'))
    expect(await typeError(rig.fetch('/', { body: 'x' }))).toEqual(misused('GET has no body'))
    expect(await typeError(rig.fetch('/', { headers: { 'a b': 'c' } }))).toEqual(misused(''))
    expect(rig.connections).toBe(0)
  })

  test('fails with the reason of its signal', async () => {
    const rig = await make((req) => (req.path === '/body' ? P2PResponse.file('/long', req) : new Promise(() => {})))
    rig.runtime.add('/long', pattern(5_000_000))
    const before = new AbortController()
    before.abort()
    expect(await outcome(rig.fetch('/', { signal: before.signal }))).toMatchObject({ error: { name: 'AbortError' } })
    const waiting = new AbortController()
    const asking = rig.fetch('/', { signal: waiting.signal })
    await settle()
    waiting.abort('reason')
    expect(await outcome(asking)).toEqual({ error: 'reason' })
    const reading = new AbortController()
    const response = await rig.fetch('/body', { signal: reading.signal })
    reading.abort(new Error('enough'))
    expect(await outcome(response.text())).toEqual({ error: new Error('enough') })
  })

  test('fails a body that breaks off with a TypeError', async () => {
    const rig = await make((req) => P2PResponse.file('/long', req))
    rig.runtime.add('/long', pattern(5_000_000)).cutAt = 1_000_000
    const response = await rig.fetch('/')
    expect(await networkError(response.arrayBuffer())).toBe('stream-reset')
  })

  test('follows redirects as fetch does', async () => {
    const router = new P2PRouter()
      .route('GET', '/from', () => P2PResponse.redirect('to?x=1'))
      .route('POST', '/see-other', () => P2PResponse.redirect('/to', 303))
      .route('POST', '/again', () => P2PResponse.redirect('/to', 307))
      .route('GET', '/loop', () => P2PResponse.redirect('/loop'))
      .route('GET', '/nowhere', () => P2PResponse.redirect('https://[/'))
      .route('GET', '/away', () => P2PResponse.redirect('https://example.org/'))
      .route('GET', '/to', echo)
      .route('POST', '/to', echo)
    const rig = await make(router)
    const simple = await rig.fetch('/from')
    expect([simple.url, simple.redirected]).toEqual([`p2p://${rig.id}/to?x=1`, true])
    const other = await rig.fetch('/see-other', { method: 'POST', body: 'x' })
    expect([other.headers.get('x-method'), await other.text()]).toEqual(['GET', ''])
    const again = await rig.fetch('/again', { method: 'POST', body: 'x' })
    expect([again.headers.get('x-method'), await again.text()]).toEqual(['POST', 'x'])
    const stream = new Blob(['x']).stream()
    const lost = (message: string): unknown => ({
      message: expect.stringContaining(message) as unknown,
      code: 'protocol',
    })
    expect(await typeError(rig.fetch('/again', { method: 'POST', body: stream }))).toEqual(lost('cannot be sent twice'))
    expect(await typeError(rig.fetch('/loop'))).toEqual(lost('20 redirects'))
    expect(await typeError(rig.fetch('/nowhere'))).toEqual(lost('no URL'))
    expect((await typeError(rig.fetch('/away'))).message).toContain('is no peer')
    expect(await typeError(rig.fetch('/from', { redirect: 'error' }))).toEqual(lost('redirects'))
    expect((await rig.fetch('/from', { redirect: 'manual' })).status).toBe(302)
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })
})

onEveryCarrier('a redirect to another peer', (make) => {
  test('is followed without what was meant for the first alone', async () => {
    const rig = await make((req) => P2PResponse.redirect(req.query['to'] ?? ''))
    const other = MemoryNode.create(rig.network, 'other', { runtime: rig.runtime })
    const server = await serve(other, echo)
    const headers = { authorization: 'secret', cookie: 'a=1', accept: 'x/y' }
    const away = await rig.fetch(`/?to=p2p://${other.localNodeId().toString()}/there`, { headers })
    expect(away.url).toBe(`p2p://${other.localNodeId().toString()}/there`)
    expect(JSON.parse(away.headers.get('x-headers') ?? '')).toEqual({ accept: 'x/y' })
    const closed = Promise.all([server.close(), other.close()])
    await rig.runtime.advance(30_000)
    await closed
  })
})

onEveryCarrier('a fetch application', (make) => {
  test('sees WHATWG requests, with who asks', async () => {
    let seen: Request | undefined
    let environment: { p2p: P2PRequest } | undefined
    const rig = await make({
      fetch: async (request, env) => {
        seen = request
        environment = env
        return Response.json({ got: await request.text() }, { status: 202, headers: { 'x-a': '1' } })
      },
    })
    const answer = await rig.request({
      method: 'POST',
      path: '/a/ü?x=1',
      body: 'text',
      headers: { [NODE_ID_HEADER]: 'somebody else', 'x-b': '2' },
    })
    expect([answer.status, answer.headers.get('x-a'), await answer.json()]).toEqual([202, '1', { got: 'text' }])
    expect(seen?.url).toBe('https://p2p.invalid/a/%C3%BC?x=1')
    expect(seen?.headers.get('x-b')).toBe('2')
    expect(seen?.headers.get(NODE_ID_HEADER)).toBe(rig.player.localNodeId().toString())
    expect(environment?.p2p.remoteNodeId.equals(rig.player.localNodeId())).toBe(true)
  })

  test('streams both ways, and hears of aborts', async () => {
    let signal: AbortSignal | undefined
    let cancelled = false
    const rig = await make({
      fetch: (request) => {
        if (new URL(request.url).pathname === '/echo') return new Response(request.body)
        signal = request.signal
        const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void =>
          controller.enqueue(pattern(10_000))
        return new Response(new ReadableStream({ pull, cancel: () => void (cancelled = true) }))
      },
    })
    const body = pattern(300_000)
    const echoed = await rig.request({ method: 'POST', path: '/echo', body })
    expect(Buffer.from(await echoed.bytes()).equals(body)).toBe(true)
    const endless = await rig.get('/endless')
    await endless.body.read()
    endless.cancel()
    await settle()
    expect([signal?.aborted, cancelled]).toEqual([true, true])
  })

  test('that fails is a 500, and one that cannot be asked a 501', async () => {
    const rig = await make({
      fetch: (request) => {
        if (new URL(request.url).pathname === '/error') return Response.error()
        throw new Error('secret')
      },
    })
    expect((await rig.get('/')).status).toBe(500)
    expect((await rig.get('/error')).status).toBe(500)
    expect((await rig.request({ method: 'TRACE', path: '/' })).status).toBe(501)
    expect(rig.reported).toHaveLength(2)
  })

  test('keeps several cookies apart', async () => {
    const rig = await make({
      fetch: () => {
        const headers = new Headers([['set-cookie', 'a=1']])
        headers.append('set-cookie', 'b=2')
        return new Response(null, { status: 204, headers })
      },
    })
    expect((await rig.get('/')).headers.getAll('set-cookie')).toEqual(['a=1', 'b=2'])
  })
})
