import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { P2PRequest, P2PResponse, P2PRouter } from '../../src/router/index.ts'
import type { P2PService } from '../../src/router/index.ts'

const ask = (method: string, path: string): P2PRequest =>
  new P2PRequest({ method, path, remoteNodeId: testNodeId('someone') })

/** A handler that says which route it is, and what its params were. */
const say =
  (route: string) =>
  (req: P2PRequest): P2PResponse =>
    P2PResponse.json({ route, params: { ...req.params } })

async function answer(router: P2PRouter, method: string, path: string): Promise<{ status: number; body: unknown }> {
  const response = await router.handle(ask(method, path))
  const text = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : ''
  return { status: response.status, body: response.status === 200 ? (JSON.parse(text) as unknown) : text }
}

const found = (route: string, params: Record<string, string> = {}): unknown => ({
  status: 200,
  body: { route, params },
})

const table = new P2PRouter()
for (const path of [
  '/',
  '/tracks',
  '/tracks/:id',
  '/tracks/:id/cover',
  '/tracks/latest',
  '/tracks/:id/:size/file',
  '/tracks/latest/small/info',
  '/files/*',
  '/files/track',
  '/deep/**:path',
  '/num/:n(\\d+)',
  '/opt/:a?',
  '/sp ace/ü',
  '/mail/:user@:host',
]) {
  table.route('GET', path, say(path))
}

describe('routing', () => {
  test.each([
    ['/', '/', {}],
    ['/tracks', '/tracks', {}],
    ['/tracks/', '/tracks', {}],
    ['/tracks/7', '/tracks/:id', { id: '7' }],
    ['/tracks/latest', '/tracks/latest', {}],
    ['/tracks/latest/cover', '/tracks/:id/cover', { id: 'latest' }],
    ['/tracks/latest/small/file', '/tracks/:id/:size/file', { id: 'latest', size: 'small' }],
    ['/tracks/latest/small/info', '/tracks/latest/small/info', {}],
    ['/files/track', '/files/track', {}],
    ['/files/a/b/c.flac', '/files/*', { '0': 'a/b/c.flac' }],
    ['/files/', '/files/*', { '0': '' }],
    ['/files', '/files/*', {}],
    ['/deep/a/b', '/deep/**:path', { path: 'a/b' }],
    ['/num/42', '/num/:n(\\d+)', { n: '42' }],
    ['/opt', '/opt/:a?', {}],
    ['/opt/x', '/opt/:a?', { a: 'x' }],
    ['/sp%20ace/%C3%BC', '/sp ace/ü', {}],
    ['/sp%20ace/%c3%bc', '/sp ace/ü', {}],
    ['/sp ace/ü', '/sp ace/ü', {}],
    ['/tr%61cks/7', '/tracks/:id', { id: '7' }],
    ['/tracks/a%2Fb', '/tracks/:id', { id: 'a/b' }],
    ['/tracks/%C3%A4%20%3F%23%25', '/tracks/:id', { id: 'ä ?#%' }],
    ['/tracks/ä', '/tracks/:id', { id: 'ä' }],
    ['/tracks/a+b', '/tracks/:id', { id: 'a+b' }],
    ['/tracks/7?id=8', '/tracks/:id', { id: '7' }],
    ['/tracks/...', '/tracks/:id', { id: '...' }],
    ['/tracks/__proto__', '/tracks/:id', { id: '__proto__' }],
    ['/files/x%25y', '/files/*', { '0': 'x%y' }],
  ])('GET %s is for %s', async (path, route, params) => {
    expect(await answer(table, 'GET', path)).toEqual(found(route, params))
  })

  test.each(['/nothing', '/tracks/7/cover/8', '/num/x', '/deep', '/Tracks', '/tracks//cover'])(
    'GET %s is for nobody',
    async (path) => {
      expect((await answer(table, 'GET', path)).status).toBe(404)
    },
  )

  test.each([
    '/tracks/%',
    '/tracks/%zz',
    '/tracks/%FF',
    '/tracks/%00',
    '/tracks/..',
    '/tracks/./cover',
    '/files/../tracks',
    '/files/%2e%2e/x',
    '/files/a/..',
    '/files/..%2f..%2fetc',
    '/files/a%2F..',
    '/files/..%5C..%5Cwindows',
    '/tracks/..%2fx',
  ])('GET %s is refused: it cannot be decoded, or climbs', async (path) => {
    expect((await answer(table, 'GET', path)).status).toBe(400)
  })

  test('static goes before param before wildcard, whatever the order of registration', async () => {
    const patterns = ['/a/b/c', '/a/b/:z', '/a/:y/c', '/a/:y/:z', '/a/**:rest', '/**:all']
    const paths = ['/a/b/c', '/a/b/x', '/a/x/c', '/a/x/y', '/a/x/y/z', '/b']
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(patterns, { minLength: patterns.length }), async (shuffled) => {
        const router = new P2PRouter()
        for (const path of shuffled) router.route('GET', path, say(path))
        for (const [i, path] of paths.entries()) {
          expect((await answer(router, 'GET', path)).body).toHaveProperty('route', patterns[i])
        }
      }),
    )
  })

  test('a param carries any text there and back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), async (text) => {
        // Excluded are those that are refused on purpose: see above.
        fc.pre(!text.includes('\0') && !text.split(/[\\/]/).some((part) => part === '.' || part === '..'))
        const response = await answer(table, 'GET', `/tracks/${encodeURIComponent(text)}`)
        expect(response).toEqual(found('/tracks/:id', { id: text }))
      }),
    )
  })

  test('a wildcard never yields a path that climbs, whatever is sent', async () => {
    const part = fc.constantFrom('.', '..', '%2e', '%2E%2e', '%2f', '%5c', '/', '\\', 'a', '%', '%25')
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
        const { status, body } = await answer(table, 'GET', `/files/${parts.join('')}`)
        if (status !== 200) return
        const rest = (body as { params: Record<string, string> }).params['0'] ?? ''
        expect(rest.split(/[\\/]/)).not.toContain('..')
      }),
      { numRuns: 1000 },
    )
  })

  test('params and query have no prototype to be mistaken for', async () => {
    const request = ask('GET', '/tracks/7?__proto__=x&a=1')
    await table.handle(request)
    expect(request.params['toString']).toBeUndefined()
    expect(request.query['__proto__']).toBe('x')
    expect(request.query['constructor']).toBeUndefined()
  })
})

describe('methods', () => {
  const router = new P2PRouter()
    .route('GET', '/both', say('get'))
    .route('post', '/both', say('post'))
    .route('DELETE', '/other/:id', say('delete'))
    .route('HEAD', '/own', say('head'))
    .route('GET', '/own', say('get'))
    .route('OPTIONS', '/both', say('options'))

  test('have their own routes, in any case', async () => {
    expect(await answer(router, 'GET', '/both')).toEqual(found('get'))
    expect(await answer(router, 'POST', '/both')).toEqual(found('post'))
    expect(await answer(router, 'OPTIONS', '/both')).toEqual(found('options'))
  })

  test('a GET route answers HEAD, unless there is one for HEAD', async () => {
    expect(await answer(router, 'HEAD', '/both')).toEqual(found('get'))
    expect(await answer(router, 'HEAD', '/own')).toEqual(found('head'))
    expect((await answer(router, 'HEAD', '/other/1')).status).toBe(405)
  })

  test('without a route are 405, and told which there are', async () => {
    const response = await router.handle(ask('PUT', '/both'))
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, POST, OPTIONS, HEAD')
    expect((await router.handle(ask('GET', '/other/1'))).headers.get('allow')).toBe('DELETE')
    expect((await router.handle(ask('PUT', '/own'))).headers.get('allow')).toBe('GET, HEAD')
    expect((await router.handle(ask('OPTIONS', '/other/1'))).status).toBe(405)
    expect((await router.handle(ask('PUT', '/none'))).headers.has('allow')).toBe(false)
  })
})

describe('mistakes', () => {
  const handler = say('x')

  test.each([
    ['/a/:x', '/a/:y'],
    ['/a', '/a'],
    ['/a', '/a/'],
    ['/f/*', '/f/**'],
  ])('%s and %s are the same route', (first, second) => {
    const router = new P2PRouter().route('GET', first, handler)
    expect(() => router.route('GET', second, handler)).toThrow(/there is the route GET .* already/)
    router.route('POST', second, handler)
  })

  test('params with different expressions are different routes', async () => {
    const router = new P2PRouter()
      .route('GET', '/a/:n(\\d+)', say('digits'))
      .route('GET', '/a/:w([a-z]+)', say('letters'))
    expect((await answer(router, 'GET', '/a/7')).body).toHaveProperty('route', 'digits')
    expect((await answer(router, 'GET', '/a/x')).body).toHaveProperty('route', 'letters')
  })

  test('a duplicate leaves everything as it was', async () => {
    const inner = new P2PRouter().route('GET', '/new', say('new')).route('GET', '/a', say('inner'))
    const outer = new P2PRouter().route('GET', '/x/a', say('outer'))
    expect(() => outer.use('/x', inner)).toThrow(/already/)
    expect((await answer(outer, 'GET', '/x/new')).status).toBe(404)
    const late = new P2PRouter()
    outer.use('/x', late)
    expect(() => late.route('GET', '/a', handler)).toThrow(/already/)
    expect((await answer(late, 'GET', '/a')).status).toBe(404)
  })

  test.each([
    ['no slash', (): unknown => new P2PRouter().route('GET', 'a', handler)],
    ['no method', (): unknown => new P2PRouter().route('GET /', '/a', handler)],
    ['no handler', (): unknown => new P2PRouter().route('GET', '/a', undefined as never)],
    ['two wildcards', (): unknown => new P2PRouter().route('GET', '/*/x/*', handler)],
    ['a param twice', (): unknown => new P2PRouter().route('GET', '/:a/:a', handler)],
    ['a prefix without slash', (): unknown => new P2PRouter().use('a', new P2PRouter())],
    ['a prefix with a wildcard', (): unknown => new P2PRouter().use('/a/*', new P2PRouter())],
    ['nothing to use', (): unknown => new P2PRouter().use('/a', undefined as never)],
    [
      'a router inside itself',
      (): unknown => {
        const outer = new P2PRouter()
        const inner = new P2PRouter()
        outer.use('/a', inner)
        return inner.use('/b', outer)
      },
    ],
  ])('%s is invalid-configuration', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'invalid-configuration' }) as Error)
  })
})

describe('prefixes, services and middleware', () => {
  class Albums implements P2PService {
    registerRoutes(router: P2PRouter): void {
      router.route('GET', '/', say('albums')).route('GET', '/:id', say('album'))
    }
  }

  test('services and routers live below their prefixes, also when routes are added later', async () => {
    const songs = new P2PRouter()
    const library = new P2PRouter().use('/songs/', songs).use('/albums', new Albums())
    const router = new P2PRouter().use('/api/:version', library).use('/plain', new Albums())
    songs.route('GET', '/:id', say('song'))
    expect(await answer(router, 'GET', '/api/v1/songs/7')).toEqual(found('song', { version: 'v1', id: '7' }))
    expect(await answer(router, 'GET', '/api/v1/albums')).toEqual(found('albums', { version: 'v1' }))
    expect(await answer(router, 'GET', '/plain/3')).toEqual(found('album', { id: '3' }))
    expect(await answer(library, 'GET', '/songs/7')).toEqual(found('song', { id: '7' }))
    expect((await answer(router, 'GET', '/songs/7')).status).toBe(404)
    expect(router.services).toHaveLength(2)
  })

  test('middleware runs in the order of use, from the outside in, around routes and misses', async () => {
    const log: string[] = []
    const trace = (name: string) => async (_: P2PRequest, next: () => Promise<P2PResponse>) => {
      log.push(`>${name}`)
      const response = await next()
      log.push(`${response.status}<${name}`)
      return response
    }
    const inner = new P2PRouter()
      .use(trace('c'))
      .route('GET', '/x', say('x'))
      .use('/x', trace('d'))
      .use('/y', trace('e'))
    const router = new P2PRouter().use('/in', inner).use(trace('a')).use('/in', trace('b')).use('/out', trace('f'))
    const run = async (path: string): Promise<string> => {
      log.length = 0
      await router.handle(ask('GET', path))
      return log.join(' ')
    }
    expect(await run('/in/x')).toBe('>a >b >c >d 200<d 200<c 200<b 200<a')
    expect(await run('/in/none')).toBe('>a >b 404<b 404<a')
    expect(await run('/inside')).toBe('>a 404<a')
    expect(await run('/out')).toBe('>a >f 404<f 404<a')
  })

  test('middleware may answer itself, change the answer, and catch', async () => {
    const router = new P2PRouter()
      .use('/closed', () => P2PResponse.error(401))
      .use('/caught', async (_, next) => {
        try {
          return await next()
        } catch (error) {
          return P2PResponse.error(409, (error as Error).message)
        }
      })
      .use('/changed', async (_, next) => {
        const response = await next()
        response.headers.set('x-more', 'yes')
        return response
      })
      .route('GET', '/closed/:x', say('never'))
      .route('GET', '/caught', () => {
        throw new Error('thrown')
      })
      .route('GET', '/changed', say('changed'))
    expect((await answer(router, 'GET', '/closed/1')).status).toBe(401)
    expect(await answer(router, 'GET', '/caught')).toEqual({ status: 409, body: 'thrown' })
    expect((await router.handle(ask('GET', '/changed'))).headers.get('x-more')).toBe('yes')
  })

  test('calling next twice fails the second time', async () => {
    let runs = 0
    const router = new P2PRouter()
      .use(async (_, next) => {
        await next()
        return next()
      })
      .route('GET', '/', () => {
        runs++
        return P2PResponse.empty()
      })
    await expect(router.handle(ask('GET', '/'))).rejects.toThrow(/at most once/)
    expect(runs).toBe(1)
  })

  test('params are there for middleware', async () => {
    const seen: unknown[] = []
    const router = new P2PRouter()
      .use((req, next) => {
        seen.push({ ...req.params })
        return next()
      })
      .route('GET', '/tracks/:id', say('track'))
    await router.handle(ask('GET', '/tracks/9'))
    expect(seen).toEqual([{ id: '9' }])
  })
})
