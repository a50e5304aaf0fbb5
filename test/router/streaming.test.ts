import { expect, test } from 'vitest'
import { P2PResponse, P2PRouter, REQUEST_CODE } from '../../src/router/index.ts'
import type { P2PRequest } from '../../src/router/index.ts'
import { failed, outcome, pattern, string } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { onEveryCarrier } from './support/rig.ts'

const CHUNK = 16_384
const WINDOW = 65_536

/** A source that counts what is taken from it, and knows when it was ended. */
class Source {
  produced = 0
  ended = false
  readonly #chunks: number

  constructor(chunks = Number.POSITIVE_INFINITY) {
    this.#chunks = chunks
  }

  async *iterate(): AsyncGenerator<Uint8Array> {
    try {
      for (; this.produced < this.#chunks;) yield pattern(CHUNK, this.produced++)
    } finally {
      this.ended = true
    }
  }

  stream(): ReadableStream<Uint8Array> {
    const chunks = this.iterate()
    return new ReadableStream(
      {
        pull: async (controller) => {
          const { done, value } = await chunks.next()
          if (done === true) controller.close()
          else controller.enqueue(value)
        },
        cancel: async () => {
          await chunks.return(undefined)
          this.ended = true
        },
      },
      { highWaterMark: 0 },
    )
  }
}

const textChunks = {
  pull: (controller: ReadableStreamDefaultController<unknown>): void => controller.enqueue('text'),
}

/** What one body may hold between its two ends: the carrier's window, and what each side reads ahead or has in hand. */
const MOST_CHUNKS = (WINDOW + 2 * 65_536 + 3 * CHUNK) / CHUNK

onEveryCarrier('streaming', (make) => {
  test.each(['iterate', 'stream'] as const)('answers (%s) arrive as they are made, byte for byte', async (kind) => {
    const rig = await make(() => P2PResponse.stream(new Source(20)[kind]()))
    const answer = await rig.get('/')
    expect(answer.headers.get('content-type')).toBe('application/octet-stream')
    const expected = Buffer.concat(Array.from({ length: 20 }, (_, i) => pattern(CHUNK, i)))
    expect(Buffer.from(await answer.bytes()).equals(expected)).toBe(true)
  })

  test.each(['iterate', 'stream'] as const)('bodies (%s) arrive as they are made, byte for byte', async (kind) => {
    const rig = await make(async (req) => P2PResponse.bytes(await req.bytes()))
    const answer = await rig.request({ method: 'PUT', path: '/', body: new Source(20)[kind]() })
    const expected = Buffer.concat(Array.from({ length: 20 }, (_, i) => pattern(CHUNK, i)))
    expect(Buffer.from(await answer.bytes()).equals(expected)).toBe(true)
  })

  test('the head and what there is of the body go out before the rest is made', async () => {
    let push: (text: string) => void = () => {}
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => {
        push = (text): void => controller.enqueue(new TextEncoder().encode(text))
      },
    })
    const rig = await make(() => P2PResponse.stream(source, { headers: { 'content-type': 'text/event-stream' } }))
    const answer = await rig.get('/events')
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const reading = answer.body.read()
    expect(await outcome(reading)).toBe('pending')
    push('data: 1\n\n')
    expect(string(await reading)).toBe('data: 1\n\n')
    answer.cancel()
  })

  test('both bodies of one request flow at once', async () => {
    const rig = await make((req) => P2PResponse.stream(req.body))
    let push: ((chunk: Uint8Array | undefined) => void) | undefined
    const body = (async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        const chunk = await new Promise<Uint8Array | undefined>((resolve) => {
          push = resolve
        })
        if (!chunk) return
        yield chunk
      }
    })()
    const answer = await rig.request({ method: 'POST', path: '/', body })
    for (const text of ['one', 'two']) {
      await settle()
      push?.(new TextEncoder().encode(text))
      expect(string(await answer.body.read())).toBe(text)
    }
    push?.(undefined)
    expect(await answer.body.read()).toBeUndefined()
  })

  test('a slow reader makes the one who answers wait, and others do not wait for it', async () => {
    const source = new Source()
    const router = new P2PRouter()
      .route('GET', '/endless', () => P2PResponse.stream(source.iterate()))
      .route('GET', '/other', () => P2PResponse.text('other'))
    const rig = await make(router, { bodyIdleTimeoutMs: Number.POSITIVE_INFINITY })
    const answer = await rig.get('/endless')
    await settle()
    const stalled = source.produced
    expect(stalled).toBeLessThanOrEqual(MOST_CHUNKS)
    await rig.runtime.advance(100_000)
    expect(source.produced).toBe(stalled)
    for (let i = 0; i < 20; i++) expect(await (await rig.get('/other')).text()).toBe('other')
    for (let read = 0; read < 50 * CHUNK;) read += (await answer.body.read())?.length ?? 0
    await settle()
    expect(source.produced).toBeGreaterThan(50)
    expect(source.produced).toBeLessThanOrEqual(51 + MOST_CHUNKS)
    answer.cancel()
    await settle()
    expect(source.ended).toBe(true)
  })

  test('a slow handler makes the one who asks wait', async () => {
    const source = new Source()
    let request: P2PRequest | undefined
    const rig = await make(
      (req) => {
        request = req
        return new Promise(() => {})
      },
      { handlerTimeoutMs: Number.POSITIVE_INFINITY },
    )
    const controller = new AbortController()
    const asking = rig.request({ method: 'PUT', path: '/', body: source.stream(), signal: controller.signal })
    await settle()
    await settle()
    expect(source.produced).toBeLessThanOrEqual(MOST_CHUNKS)
    const before = source.produced
    for (let read = 0; read < 30 * CHUNK;) read += (await request?.body.read())?.length ?? 0
    await settle()
    expect(source.produced).toBeGreaterThan(before)
    expect(source.produced).toBeLessThanOrEqual(31 + MOST_CHUNKS)
    controller.abort()
    expect(await outcome(asking)).toEqual(failed('aborted'))
    expect(source.ended).toBe(true)
    expect(await outcome(request?.body.read() ?? Promise.resolve(undefined))).toEqual(failed('stream-reset'))
  })

  test('an abort stops the handler, its file, and the reads of it', async () => {
    let signal: AbortSignal | undefined
    const rig = await make((req) => {
      signal = req.signal
      return P2PResponse.file('/long.flac', req)
    })
    rig.runtime.add('/long.flac', pattern(10_000_000))
    const controller = new AbortController()
    const answer = await rig.request({ path: '/', signal: controller.signal })
    await answer.body.read()
    await settle()
    const { reads } = rig.runtime
    expect(rig.runtime.openFiles).toBe(1)
    expect(reads).toBeLessThan(10)
    controller.abort(new Error('next song'))
    expect(await outcome(answer.body.read())).toEqual(failed('aborted', { cause: new Error('next song') }))
    await settle()
    expect(signal?.aborted).toBe(true)
    expect(rig.runtime).toMatchObject({ openFiles: 0, reads })
    expect(rig.server.stats()).toMatchObject({ requestsInFlight: 0, requestsCancelled: 1 })
    expect(rig.reported).toEqual([])
  })

  test('a handler that sends nothing hears of the abort too', async () => {
    const signals: AbortSignal[] = []
    const rig = await make((req) => {
      signals.push(req.signal)
      return new Promise<never>((_, reject) => {
        req.signal.addEventListener('abort', () => reject(req.signal.reason as Error))
      })
    })
    const controller = new AbortController()
    const asking = rig.request({ path: '/', signal: controller.signal })
    await settle()
    expect(signals.map((signal) => signal.aborted)).toEqual([false])
    controller.abort()
    expect(await outcome(asking)).toEqual(failed('aborted'))
    expect(signals.map((signal) => signal.aborted)).toEqual([true])
    expect(signals[0]?.reason).toMatchObject({ code: 'stream-reset', streamCode: REQUEST_CODE.cancelled })
    expect(rig.reported).toEqual([])
  })

  test('leaving a loop over a body ends its source, as cancelling its readable does', async () => {
    const sources: Source[] = []
    const rig = await make(() => {
      const source = new Source()
      sources.push(source)
      return P2PResponse.stream(source.iterate())
    })
    for await (const chunk of (await rig.get('/')).body) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    const reader = (await rig.get('/')).body.readable.getReader()
    await reader.read()
    await reader.cancel()
    {
      using answer = await rig.get('/')
      expect(answer.ok).toBe(true)
    }
    await settle()
    expect(sources.map((source) => source.ended)).toEqual([true, true, true])
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test('small answers that nobody reads hold nothing up', async () => {
    const rig = await make(() => P2PResponse.text('unread'))
    const answers = []
    for (let i = 0; i < 300; i++) answers.push(await rig.get('/'))
    await settle()
    expect(rig.server.stats()).toMatchObject({ requestsAnswered: 300, requestsInFlight: 0 })
    expect(await answers[0]?.text()).toBe('unread')
  })

  test('an answer whose source fails is broken off, and the failure reported', async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield pattern(10)
      throw new Error('the disk is on fire')
    }
    const rig = await make(() => P2PResponse.stream(failing()))
    const answer = await rig.get('/')
    expect(await outcome(answer.bytes())).toEqual(failed('stream-reset', { streamCode: REQUEST_CODE.internal }))
    expect(rig.reported).toEqual([{ error: new Error('the disk is on fire'), target: '/' }])
  })

  test('a request whose source fails fails, and its handler with it', async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield pattern(10)
      throw new Error('the disk is on fire')
    }
    let body: unknown
    const rig = await make(async (req) => {
      body = await outcome(req.bytes())
      return P2PResponse.empty()
    })
    expect(await outcome(rig.request({ method: 'POST', path: '/', body: failing() }))).toEqual(
      failed('serialization', { cause: new Error('the disk is on fire') }),
    )
    await settle()
    expect(body).toEqual(failed('stream-reset', { streamCode: REQUEST_CODE.cancelled }))
  })

  test('an answer with fewer bytes than it announced is an error on both sides', async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield pattern(98)
      yield pattern(1)
    }
    const rig = await make(() => P2PResponse.stream(source(), { headers: { 'content-length': '100' } }))
    const answer = await rig.get('/')
    expect(await outcome(answer.bytes())).toEqual(failed('stream-reset', { streamCode: REQUEST_CODE.internal }))
    expect(rig.reported).toMatchObject([{ error: { code: 'serialization' } }])
  })

  test('an answer with more bytes than it announced ends where it said, and is reported', async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield pattern(60)
      yield pattern(40)
      yield pattern(1)
    }
    const rig = await make(() => P2PResponse.stream(source(), { headers: { 'content-length': '100' } }))
    const answer = await rig.get('/')
    expect(await outcome(answer.bytes())).toMatchObject({ value: { length: 100 } })
    expect(rig.reported).toMatchObject([{ error: { code: 'serialization' } }])
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test.each([99, 101])('bytes are not announced as 100 when they are %i', async (size) => {
    const rig = await make(() => P2PResponse.bytes(pattern(size), { headers: { 'content-length': '100' } }))
    expect((await rig.get('/')).status).toBe(500)
    expect(rig.reported).toMatchObject([{ error: { code: 'serialization' } }])
  })

  test.each([
    ['a head over the limit', (): P2PResponse => P2PResponse.text('x', { headers: { a: 'x'.repeat(20_000) } })],
    ['no length', (): P2PResponse => P2PResponse.text('x', { headers: { 'content-length': 'x' } })],
    ['a body of text chunks', (): P2PResponse => P2PResponse.stream(new ReadableStream(textChunks) as never)],
    ['no body', (): P2PResponse => P2PResponse.stream(7 as never)],
  ])('an answer with %s becomes a 500, or breaks off', async (_, answer) => {
    const rig = await make(answer)
    const result = await outcome(rig.get('/').then((response) => response.bytes()))
    expect(JSON.stringify(result)).toMatch(/^\{"value"|"code":"stream-reset","streamCode":5/)
    expect(rig.reported).toHaveLength(1)
    await settle()
    expect(rig.server.stats().requestsInFlight).toBe(0)
  })

  test('HEAD sends no body and ends its source', async () => {
    const source = new Source()
    const rig = await make((req) =>
      req.path === '/bytes' ? P2PResponse.text('hello') : P2PResponse.stream(source.stream()),
    )
    const bytes = await rig.request({ method: 'HEAD', path: '/bytes' })
    expect([bytes.headers.get('content-length'), (await bytes.bytes()).length]).toEqual(['5', 0])
    const stream = await rig.request({ method: 'HEAD', path: '/stream' })
    expect((await stream.bytes()).length).toBe(0)
    await settle()
    expect(source).toMatchObject({ produced: 0, ended: true })
  })

  test('an answer may come before the body has been sent', async () => {
    const source = new Source()
    const rig = await make(() => P2PResponse.error(401))
    const answer = await rig.request({ method: 'POST', path: '/', body: source.iterate() })
    expect([answer.status, await answer.text()]).toEqual([401, 'Unauthorized'])
    await settle()
    expect(source.ended).toBe(true)
    expect(rig.server.stats()).toMatchObject({ requestsAnswered: 1, requestsInFlight: 0 })
  })

  test('bodies are read once, or kept whole', async () => {
    const rig = await make(() => P2PResponse.text('{"a":1}'))
    const kept = await rig.get('/')
    expect([await kept.json(), await kept.text(), (await kept.bytes()).length]).toEqual([{ a: 1 }, '{"a":1}', 7])
    expect(await outcome(kept.body.read())).toEqual(failed('invalid-configuration'))
    const read = await rig.get('/')
    expect(read.body.used).toBe(false)
    await read.body.read()
    expect(read.body.used).toBe(true)
    expect(await outcome(read.bytes())).toEqual(failed('invalid-configuration'))
    const long = await rig.get('/')
    expect(await outcome(long.bytes(6))).toEqual(failed('limit-exceeded', { max: 6 }))
  })
})
