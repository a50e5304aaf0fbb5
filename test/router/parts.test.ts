/** Small parts, each alone. */
import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { AbortHub } from '../../src/router/abort-hub.ts'
import { contentTypeOf } from '../../src/router/content-type.ts'
import { IdleTimer } from '../../src/router/idle-timer.ts'
import { P2PBody, P2PRequest, P2PResponse } from '../../src/router/index.ts'
import { failed, outcome, pattern } from '../support/engine-suite.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'

test('an idle timer measures each wait alone', async () => {
  const runtime = new ManualRuntime()
  let idle = 0
  const timer = new IdleTimer(runtime, 1_000, () => idle++)
  for (let i = 0; i < 10; i++) {
    timer.begin()
    await runtime.advance(900)
    timer.end()
    await runtime.advance(900)
  }
  expect(idle).toBe(0)
  timer.begin()
  await runtime.advance(999)
  expect(idle).toBe(0)
  await runtime.advance(1)
  expect(idle).toBe(1)
  timer.dispose()
  expect(runtime.pendingTimers).toBe(0)
})

test('an abort hub calls those who still wait', () => {
  const hub = new AbortHub()
  const controller = new AbortController()
  const called: string[] = []
  const [a, b, c] = ['a', 'b', 'c'].map((name) => (): void => void called.push(name)) as [
    () => void,
    () => void,
    () => void,
  ]
  hub.add(controller.signal, a)
  hub.add(controller.signal, b)
  hub.delete(controller.signal, a)
  hub.add(controller.signal, c)
  hub.delete(new AbortController().signal, b)
  controller.abort()
  expect(called).toEqual(['b', 'c'])
})

describe('a body', () => {
  /** Chunks that share one buffer, as those of a pool do. */
  const shared = (): P2PBody => {
    const buffer = pattern(90)
    let next = 0
    return new P2PBody({
      read: () => Promise.resolve(next < 3 ? buffer.subarray(30 * next, 30 * ++next) : undefined),
      cancel: () => {},
    })
  }

  test('whose chunks share a buffer can be streamed', async () => {
    expect(new Uint8Array(await new Response(shared().readable).arrayBuffer())).toEqual(pattern(90))
    expect(await shared().bytes()).toEqual(pattern(90))
  })

  test('that fails fails every reader the same way', async () => {
    const body = new P2PBody({ read: () => Promise.reject(new Error('broken')), cancel: () => {} })
    expect(await outcome(body.bytes())).toEqual(failed('connection-failed', { cause: new Error('broken') }))
    expect(await outcome(body.text())).toEqual(failed('connection-failed'))
    expect(body.failure).toMatchObject({ code: 'connection-failed' })
  })
})

describe('a request made by hand', () => {
  const remoteNodeId = testNodeId('someone')

  test('has everything a handler may ask for', async () => {
    const request = new P2PRequest({
      method: 'post',
      path: '/x?a=1',
      query: { b: true },
      headers: { 'X-A': '1' },
      body: '{"c":2}',
      remoteNodeId,
    })
    expect([request.method, request.path, request.target]).toEqual(['POST', '/x', '/x?a=1&b=true'])
    expect({ ...request.query }).toEqual({ a: '1', b: 'true' })
    expect(await request.json()).toEqual({ c: 2 })
    expect(await request.text()).toBe('{"c":2}')
    expect(request.signal.aborted).toBe(false)
    request.onEnd(() => expect.unreachable())
  })

  test('says what it lacks for a file', async () => {
    const request = new P2PRequest({ path: '/', remoteNodeId })
    expect(await outcome(P2PResponse.file('/x', request))).toEqual(failed('invalid-configuration'))
  })
})

describe('an answer', () => {
  test('has a status from 200 to 599, and a type', () => {
    for (const status of [199, 600, 200.5, Number.NaN]) {
      expect(() => new P2PResponse(undefined, { status })).toThrow(/status/)
    }
    expect(P2PResponse.bytes(pattern(1)).headers.get('content-type')).toBe('application/octet-stream')
    const typed = P2PResponse.text('<p>', { headers: { 'content-type': 'text/html' } })
    expect(typed.headers.getAll('content-type')).toEqual(['text/html'])
    expect(P2PResponse.empty().status).toBe(204)
    expect(P2PResponse.redirect('/x', 308)).toMatchObject({ status: 308 })
  })

  test('is no JSON of what is none', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    for (const value of [undefined, () => {}, 1n, cyclic]) {
      expect(() => P2PResponse.json(value)).toThrow(expect.objectContaining({ code: 'serialization' }) as Error)
    }
  })

  test.each([
    ['/a/b.FLAC', 'audio/flac'],
    ['song.mp3', 'audio/mpeg'],
    ['index.html', 'text/html; charset=utf-8'],
    ['/a.b/c', 'application/octet-stream'],
    ['noise.xyz', 'application/octet-stream'],
  ])('with the file %s is %s', (path, type) => {
    expect(contentTypeOf(path)).toBe(type)
  })
})
