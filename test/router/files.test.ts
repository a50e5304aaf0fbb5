import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { P2PResponse } from '../../src/router/index.ts'
import type { P2PRequest } from '../../src/router/index.ts'
import { formatHttpDate, parseHttpDate } from '../../src/router/http-date.ts'
import { parseRange } from '../../src/router/range.ts'
import { failed, outcome, pattern } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import { MemoryPipe } from '../support/memory-pipe.ts'
import { onEveryCarrier } from './support/rig.ts'
import type { Rig } from './support/rig.ts'

const SIZE = 200_000
const MODIFIED_MS = 1_600_000_000_123
const SONG = pattern(SIZE)
const ETAG = `"${SIZE.toString(16)}-${MODIFIED_MS.toString(16)}"`
const MODIFIED = 'Sun, 13 Sep 2020 12:26:40 GMT'

const serveFile = (req: P2PRequest): Promise<P2PResponse> => P2PResponse.file(req.query['path'] ?? '/song.flac', req)

onEveryCarrier('files', (make) => {
  const withSong = async (): Promise<Rig> => {
    const rig = await make(serveFile)
    rig.runtime.add('/song.flac', SONG, MODIFIED_MS)
    rig.runtime.add('/empty.txt', new Uint8Array(0), MODIFIED_MS)
    return rig
  }

  test('are sent whole, with what describes them', async () => {
    const rig = await withSong()
    const answer = await rig.get('/')
    expect(answer.status).toBe(200)
    expect(answer.headers.toJSON()).toEqual({
      'content-type': 'audio/flac',
      'content-length': String(SIZE),
      'accept-ranges': 'bytes',
      etag: ETAG,
      'last-modified': MODIFIED,
    })
    expect(Buffer.from(await answer.bytes()).equals(SONG)).toBe(true)
    await settle()
    expect(rig.runtime).toMatchObject({ openFiles: 0, opens: 1, reads: Math.ceil(SIZE / 65_536), largestRead: 65_536 })
    const empty = await rig.get('/?path=/empty.txt')
    expect([empty.status, (await empty.bytes()).length]).toEqual([200, 0])
  })

  test('that are small leave in one write with their head, and the question in another', async () => {
    const rig = await withSong()
    rig.runtime.add('/cover.webp', pattern(50_000))
    await rig.get('/')
    await settle()
    const write = vi.spyOn(MemoryPipe.prototype, 'write')
    const answer = await rig.get('/?path=/cover.webp')
    expect(answer.headers.get('content-type')).toBe('image/webp')
    expect((await answer.bytes()).length).toBe(50_000)
    expect(write).toHaveBeenCalledTimes(2)
    write.mockRestore()
  })

  // RFC 9110, 14.1.2 and 14.2: what is asked, the status, and the bytes from..to (inclusive) that are sent.
  test.each([
    ['bytes=0-0', 206, 0, 0],
    ['bytes=0-499', 206, 0, 499],
    ['bytes=500-999', 206, 500, 999],
    [`bytes=${SIZE - 1}-`, 206, SIZE - 1, SIZE - 1],
    ['bytes=0-', 206, 0, SIZE - 1],
    ['bytes=150000-', 206, 150_000, SIZE - 1],
    ['bytes=-500', 206, SIZE - 500, SIZE - 1],
    ['bytes=-1', 206, SIZE - 1, SIZE - 1],
    [`bytes=-${SIZE + 1}`, 206, 0, SIZE - 1],
    ['bytes=199000-999999999999999999999999', 206, 199_000, SIZE - 1],
    ['BYTES=0-1', 206, 0, 1],
    ['bytes=0-99,100-199', 206, 0, 199],
    ['bytes= 50-99 , 0-60', 206, 0, 99],
    [`bytes=0-1,${SIZE}-`, 206, 0, 1],
    [`bytes=${SIZE}-`, 416, 0, 0],
    ['bytes=99999999999999999999999-', 416, 0, 0],
    ['bytes=-0', 416, 0, 0],
    [`bytes=-0,${SIZE + 5}-${SIZE + 6}`, 416, 0, 0],
    ['bytes=0-1,5-6', 200, 0, SIZE - 1],
    ['bytes=5-4', 200, 0, SIZE - 1],
    ['bytes=', 200, 0, SIZE - 1],
    ['bytes=-', 200, 0, SIZE - 1],
    ['bytes=a-b', 200, 0, SIZE - 1],
    ['bytes=0-1;2-3', 200, 0, SIZE - 1],
    ['bytes 0-1', 200, 0, SIZE - 1],
    ['seconds=0-1', 200, 0, SIZE - 1],
    [`bytes=${Array.from({ length: 17 }, () => '0-0').join(',')}`, 200, 0, SIZE - 1],
  ])('asked for %s answer %i', async (range, status, from, to) => {
    const rig = await withSong()
    const answer = await rig.get('/', { range })
    expect(answer.status).toBe(status)
    const body = Buffer.from(await answer.bytes())
    const sent = status === 416 ? SONG.subarray(0, 0) : SONG.subarray(from, to + 1)
    const ranges = { 200: undefined, 206: `bytes ${from}-${to}/${SIZE}`, 416: `bytes */${SIZE}` }
    expect(answer.headers.get('content-range')).toBe(ranges[status as keyof typeof ranges])
    expect(answer.headers.get('content-length')).toBe(String(sent.length))
    expect(body.equals(sent)).toBe(true)
    await settle()
    expect(rig.runtime.openFiles).toBe(0)
  })

  test.each([
    ['bytes=0-', 416],
    ['bytes=-5', 200],
    ['bytes=-0', 416],
  ])('that are empty, asked for %s, answer %i', async (range, status) => {
    const rig = await withSong()
    const answer = await rig.get('/?path=/empty.txt', { range })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-range')).toBe(status === 416 ? 'bytes */0' : undefined)
  })

  test.each([
    ['if-none-match', ETAG, 304],
    ['if-none-match', `"x", W/${ETAG}`, 304],
    ['if-none-match', '*', 304],
    ['if-none-match', '"x"', 200],
    ['if-match', ETAG, 200],
    ['if-match', '*', 200],
    ['if-match', `W/${ETAG}`, 412],
    ['if-match', '"x"', 412],
    ['if-modified-since', MODIFIED, 304],
    ['if-modified-since', 'Sun, 13 Sep 2020 12:26:39 GMT', 200],
    ['if-modified-since', 'whenever', 200],
    ['if-unmodified-since', MODIFIED, 200],
    ['if-unmodified-since', 'Sun, 13 Sep 2020 12:26:39 GMT', 412],
  ])('under %s: %s answer %i', async (name, value, status) => {
    const rig = await withSong()
    for (const method of ['GET', 'HEAD']) {
      const answer = await rig.request({ method, path: '/', headers: { [name]: value } })
      expect(answer.status).toBe(status)
      expect(answer.headers.get('etag')).toBe(ETAG)
      const length = status === 200 && method === 'GET' ? SIZE : 0
      expect((await answer.bytes()).length).toBe(length)
    }
    // RFC 9110, 13.2.2: a tag goes before a date.
    const both = await rig.get('/', { 'if-none-match': '"x"', 'if-modified-since': MODIFIED })
    expect(both.status).toBe(200)
  })

  test.each([
    [ETAG, 206],
    [MODIFIED, 206],
    [`W/${ETAG}`, 200],
    ['"x"', 200],
    ['Sun, 13 Sep 2020 12:26:39 GMT', 200],
    ['Sun, 13 Sep 2020 12:26:41 GMT', 200],
  ])('under if-range: %s answer a range with %i', async (value, status) => {
    const rig = await withSong()
    const answer = await rig.get('/', { range: 'bytes=0-9', 'if-range': value })
    expect(answer.status).toBe(status)
    answer.cancel()
  })

  test('changed within the second are not continued by date', async () => {
    const rig = await withSong()
    const nowMs = rig.runtime.wallClockMs()
    rig.runtime.add('/new.wav', SONG, nowMs - 500)
    const headers = { range: 'bytes=0-9', 'if-range': formatHttpDate(nowMs - 500) }
    expect((await rig.get('/?path=/new.wav', headers)).status).toBe(200)
    await rig.runtime.advance(1000)
    expect((await rig.get('/?path=/new.wav', headers)).status).toBe(206)
  })

  test('asked for by HEAD tell everything and send nothing, whatever the range', async () => {
    const rig = await withSong()
    const answer = await rig.request({ method: 'HEAD', path: '/', headers: { range: 'bytes=0-9' } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe(String(SIZE))
    expect((await answer.bytes()).length).toBe(0)
    expect(rig.runtime).toMatchObject({ reads: 0, openFiles: 0 })
  })

  test('that are not there are 404; that cannot be opened are 500, reported, and named nowhere', async () => {
    const rig = await withSong()
    expect((await rig.get('/?path=/none.flac')).status).toBe(404)
    rig.runtime.add('/busy.flac', SONG).openError = 'EMFILE'
    rig.runtime.add('/folder.flac', SONG).openError = 'EISDIR'
    expect((await rig.get('/?path=/folder.flac')).status).toBe(404)
    const answer = await rig.get('/?path=/busy.flac')
    expect([answer.status, await answer.text()]).toEqual([500, 'Internal Server Error'])
    expect(rig.reported).toEqual([
      { error: expect.objectContaining({ code: 'io', path: '/busy.flac' }) as unknown, target: '/?path=/busy.flac' },
    ])
  })

  test('that shrink while they are sent break the answer, never fake it', async () => {
    const rig = await withSong()
    const file = rig.runtime.add('/shrinking.flac', SONG)
    file.cutAt = 100_000
    const answer = await rig.get('/?path=/shrinking.flac')
    expect(await outcome(answer.bytes())).toEqual(failed('stream-reset', { streamCode: 5 }))
    expect(rig.reported).toEqual([
      { error: expect.objectContaining({ code: 'io' }) as unknown, target: expect.anything() as unknown },
    ])
    expect(rig.runtime.openFiles).toBe(0)
  })

  test('take a type and headers of the handler’s choice', async () => {
    const rig = await make((req) =>
      P2PResponse.file('/x', req, { contentType: 'audio/x', headers: { 'cache-control': 'no-store', etag: '"mine"' } }),
    )
    rig.runtime.add('/x', SONG)
    const answer = await rig.get('/', { 'if-none-match': '"mine"' })
    expect(answer.status).toBe(304)
    expect(answer.headers.toJSON()).toMatchObject({
      'content-type': 'audio/x',
      'cache-control': 'no-store',
      etag: '"mine"',
    })
  })

  test('are closed and read no further when the answer is dropped on the way', async () => {
    const rig = await make(async (req) => {
      await P2PResponse.file('/song.flac', req)
      return P2PResponse.error(403)
    })
    rig.runtime.add('/song.flac', SONG)
    expect((await rig.get('/')).status).toBe(403)
    await settle()
    expect(rig.runtime).toMatchObject({ openFiles: 0, opens: 1, reads: 0 })
  })
})

describe('parseRange', () => {
  const spec = fc.oneof(
    fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.nat(60).map((first) => `${first}-`),
    fc.nat(60).map((suffix) => `-${suffix}`),
  )

  test('picks what slicing would, or leaves it all', () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 5 }), fc.nat(50), (specs, size) => {
        const bytes = Array.from({ length: size }, (_, i) => i)
        const wanted = new Set(
          specs.flatMap((one) => {
            const [first = '', last = ''] = one.split('-')
            if (first === '') return Number(last) === 0 ? [] : bytes.slice(-Number(last))
            return bytes.slice(Number(first), last === '' ? undefined : Number(last) + 1)
          }),
        )
        const sorted = [...wanted].sort((a, b) => a - b)
        const gaps = sorted.some((byte, i) => i > 0 && byte !== (sorted[i - 1] ?? 0) + 1)
        const range = parseRange(`bytes=${specs.join(',')}`, size)
        // All of it is sent for parts with gaps between them, and for the last bytes of nothing.
        const suffixOfNothing = size === 0 && specs.some((one) => one.startsWith('-') && one !== '-0')
        const expected = gaps || suffixOfNothing ? undefined : sorted.length === 0 ? 'unsatisfiable' : sorted
        expect(typeof range === 'object' ? bytes.slice(range.start, range.end) : range).toEqual(expected)
      }),
      { numRuns: 2000 },
    )
  })

  test('takes any header for a range, unsatisfiable or nothing', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(100), (text, size) => {
        for (const header of [text, `bytes=${text}`]) {
          const range = parseRange(header, size)
          if (range === undefined || range === 'unsatisfiable') continue
          expect(range.start).toBeGreaterThanOrEqual(0)
          expect(range.end).toBeLessThanOrEqual(size)
        }
      }),
    )
  })
})

describe('dates', () => {
  const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59)

  test('are those of every other program', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1, 0, 1), max: LAST_MS }), (ms) => {
        expect(formatHttpDate(ms)).toBe(new Date(ms).toUTCString())
        expect(parseHttpDate(formatHttpDate(ms))).toBe(Math.floor(ms / 1000) * 1000)
      }),
      { examples: [[0], [-1], [951_782_400_000], [4_107_542_400_000]] },
    )
  })

  test.each([
    '',
    '0',
    'Sun, 06 Nov 1994 08:49:37',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
  ])('do not come from %j', (text) => {
    expect(parseHttpDate(text)).toBeUndefined()
  })
})
