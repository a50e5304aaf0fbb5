/** The parts of the music example that need no network. */
import { describe, expect, test } from 'vitest'
import { assert, json, oneof, property, uint8Array } from 'fast-check'
import { alongside } from '../../examples/music/alongside.ts'
import { parseCommand } from '../../examples/music/cli/options.ts'
import { decodeEvent, decodeRequest, encodeControl, MAX_CONTROL_BYTES } from '../../examples/music/control.ts'
import type { ControlRequest } from '../../examples/music/control.ts'
import { BLOCK_BYTES } from '../../examples/music/digest.ts'
import { explain, MusicError, UsageError } from '../../examples/music/errors.ts'
import { fileName, formatBytes, formatDuration, formatMs, printable } from '../../examples/music/format.ts'
import { Latencies } from '../../examples/music/latency.ts'
import type { Track } from '../../examples/music/media/index.ts'
import { Playback } from '../../examples/music/playback.ts'
import { Rate } from '../../examples/music/progress.ts'
import { Screen } from '../../examples/music/screen.ts'

const session = { sessionId: 'phone', trackId: 7, playing: true, positionMs: 12_345, volume: 0.8 }

describe('the control channel’s messages', () => {
  const requests: ControlRequest[] = [
    { type: 'PING', requestId: 1 },
    { type: 'GET_SESSIONS', requestId: 2 },
    { type: 'UPDATE_SESSION', requestId: 3, ...session },
    { type: 'SET_SEEK', requestId: 4, sessionId: 'phone', positionMs: 0 },
  ]

  test.each(requests)('$type survives the way', (request) => {
    expect(decodeRequest(encodeControl(request))).toEqual(request)
  })

  test('an update has about 140 bytes', () => {
    const bytes = encodeControl({ type: 'UPDATE_SESSION', requestId: 123, ...session, sessionId: 'player 8ab3f0c1d2' })
    expect(bytes.length).toBeGreaterThan(100)
    expect(bytes.length).toBeLessThan(180)
  })

  test('events survive the way, unknown ones are left to newer versions', () => {
    const events = [
      { type: 'PONG', requestId: 1 },
      { type: 'SESSIONS', requestId: 2, sessions: [session] },
      { type: 'SESSION_UPDATED', ...session },
      { type: 'ERROR', requestId: 4, message: 'no' },
    ] as const
    for (const event of events) expect(decodeEvent(encodeControl(event))).toEqual(event)
    expect(decodeEvent(new TextEncoder().encode('{"type":"SCAN_EVENT","scanned":7}'))).toBeUndefined()
  })

  test.each([
    ['no JSON', '{"type":"PING"', /JSON/],
    ['no object', '[1]', /object/],
    ['no type', '{"requestId":1}', /type must be one of/],
    ['no request id', '{"type":"PING"}', /requestId/],
    ['a text for a number', '{"type":"SET_SEEK","requestId":1,"sessionId":"a","positionMs":"1"}', /positionMs/],
    ['a negative position', '{"type":"SET_SEEK","requestId":1,"sessionId":"a","positionMs":-1}', /positionMs/],
    ['an empty id', '{"type":"SET_SEEK","requestId":1,"sessionId":"","positionMs":1}', /sessionId/],
    ['too long', `"${'x'.repeat(MAX_CONTROL_BYTES)}"`, /at most/],
  ])('%s is told clearly', (_, text, message) => {
    expect(() => decodeRequest(new TextEncoder().encode(text))).toThrow(message)
  })

  test('any bytes give a request or a MusicError', () => {
    const decodes = (bytes: Uint8Array): boolean => {
      try {
        return decodeRequest(bytes).requestId !== undefined
      } catch (error) {
        return error instanceof MusicError
      }
    }
    assert(
      property(
        oneof(
          uint8Array({ maxLength: 64 }),
          json().map((text) => Buffer.from(text)),
        ),
        decodes,
      ),
    )
  })
})

describe('Latencies', () => {
  test('gives nearest-rank percentiles', () => {
    const latencies = new Latencies()
    expect(latencies.percentiles()).toBeUndefined()
    for (let ms = 100; ms >= 1; ms--) latencies.add(ms)
    expect(latencies.percentiles()).toEqual({ count: 100, p50Ms: 50, p90Ms: 90, p99Ms: 99 })
  })

  test('keeps the most recent', () => {
    const latencies = new Latencies()
    for (let i = 0; i < 10_000; i++) latencies.add(1)
    for (let i = 0; i < 10_000; i++) latencies.add(5)
    expect(latencies.percentiles()).toEqual({ count: 20_000, p50Ms: 5, p90Ms: 5, p99Ms: 5 })
  })
})

describe('Playback', () => {
  const size = 10 * BLOCK_BYTES
  const track = { durationSeconds: 10 } as Track
  const loaded = (...blocks: readonly number[]): Playback => {
    const playback = new Playback(track, size)
    for (const block of blocks) playback.arrived(block, BLOCK_BYTES)
    return playback
  }

  test('plays what is there, up to the first gap', () => {
    const playback = loaded(0, 1, 3)
    expect(playback.bufferedMs).toBe(2000)
    expect(playback.advance(1500)).toBe(true)
    expect(playback.advance(1500)).toBe(false)
    expect(playback.positionMs).toBe(2000)
    expect(playback.bufferedMs).toBe(0)
  })

  test('knows what is missing from a position on', () => {
    const playback = loaded(0, 1, 6)
    playback.seek(5500)
    expect([...playback.missing()]).toEqual([5, 7, 8, 9])
    expect([...playback.missing(0)]).toEqual([2, 3, 4, 5, 7, 8, 9])
  })

  test('ends at the end of the track', () => {
    const playback = loaded(9)
    playback.seek(9500)
    expect(playback.bufferedMs).toBe(500)
    playback.seek(99_000)
    expect(playback.positionMs).toBe(10_000)
    expect([...playback.missing()]).toEqual([])
  })

  test('counts a block once', () => {
    const playback = loaded(4, 4)
    expect(playback.arrivedBytes).toBe(BLOCK_BYTES)
  })
})

describe('Rate', () => {
  test('is what happened lately', () => {
    const rate = new Rate(0)
    expect(rate.bytesPerSecond()).toBe(0)
    rate.add(1000, 1_000_000)
    expect(rate.bytesPerSecond()).toBe(1_000_000)
    for (let second = 2; second <= 10; second++) rate.add(second * 1000, 1_000_000 + (second - 1) * 1000)
    expect(rate.bytesPerSecond()).toBe(1000)
  })
})

describe('Screen', () => {
  function record(isTTY: boolean): { readonly screen: Screen; readonly text: () => string } {
    let text = ''
    return { screen: new Screen({ isTTY, columns: 80, write: (part) => (text += part) }), text: () => text }
  }
  const at = (doneBytes: number): Parameters<Screen['progress']>[0] => ({
    doneBytes,
    totalBytes: 1000,
    bytesPerSecond: 100,
  })

  test('without a terminal, a transfer is a line a quarter and no control characters', () => {
    const { screen, text } = record(false)
    for (let done = 0; done <= 1000; done += 10) screen.progress(at(done))
    screen.endProgress()
    const lines = text().trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/25 % +100 B\/s {2}ETA 0:08/)
    expect(lines[3]).toMatch(/100 %/)
    expect(text()).not.toContain('\u001b')
    expect(text()).not.toContain('\r')
  })

  test('on a terminal, the bar stays below the lines', () => {
    const { screen, text } = record(true)
    screen.progress(at(500))
    screen.line('meanwhile')
    const [first = '', second = ''] = text().split('meanwhile\n')
    expect(first).toMatch(/50 %/)
    expect(first.endsWith('\r\u001b[K')).toBe(true)
    expect(second).toMatch(/50 %/)
  })

  test('a status is seen on a terminal only, and leaves no trace', () => {
    const terminal = record(true)
    terminal.screen.status('reading')
    terminal.screen.clear()
    terminal.screen.line('done')
    expect(terminal.text()).toBe('\r\u001b[Kreading\r\u001b[Kdone\n')
    const plain = record(false)
    plain.screen.status('reading')
    plain.screen.clear()
    expect(plain.text()).toBe('')
  })

  test('shows nothing that others could steer the terminal with', () => {
    const { screen, text } = record(false)
    screen.fact('Playing', 'a\u001b[2Jb\nc\u009d0;title\u0007')
    expect(text()).toBe('Playing     a\ufffd[2Jb\ufffdc\ufffd0;title\ufffd\n')
  })
})

describe('texts', () => {
  test('numbers as people read them', () => {
    expect([0, 999, 1612, 99_400, 1_612_963, 250_000_000].map((bytes) => formatBytes(bytes))).toEqual([
      '0 B',
      '999 B',
      '1.6 kB',
      '99.4 kB',
      '1.6 MB',
      '250 MB',
    ])
    expect([0, 59_999, 61_000, 3_787_000].map((ms) => formatDuration(ms))).toEqual(['0:00', '0:59', '1:01', '1:03:07'])
    expect([0, 0.346, 4.81, 126.7, 2400].map((ms) => formatMs(ms))).toEqual([
      'under 1 ms',
      '0.35 ms',
      '4.8 ms',
      '127 ms',
      '2.4 s',
    ])
  })

  test('file names lead nowhere else', () => {
    expect(fileName('../../etc/passwd')).toBe('__.._etc_passwd')
    expect(fileName('...')).toBe('_')
    expect(fileName('')).toBe('_')
    expect(fileName('01 AC\\DC: Live?.flac')).toBe('01 AC_DC_ Live_.flac')
    expect(printable('Brücken im Nebel')).toBe('Brücken im Nebel')
  })

  test('foreseen errors are one line, defects keep their stack', () => {
    expect(explain(new MusicError('no\n  music'))).toBe('no music')
    expect(explain(new TypeError('oops'))).toContain('TypeError: oops\n    at ')
  })
})

describe('alongside', () => {
  const forever = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }))

  test('companions end with the main task', async () => {
    let ended = false
    const companion = (signal: AbortSignal): Promise<void> => forever(signal).finally(() => (ended = true))
    expect(await alongside(undefined, () => Promise.resolve(7), [companion, () => Promise.resolve()])).toBe(7)
    expect(ended).toBe(true)
  })

  test('the error of a companion ends the main task, and is the one thrown', async () => {
    const fails = (): Promise<void> => Promise.reject(new MusicError('the companion'))
    await expect(alongside(undefined, forever, [fails])).rejects.toThrow('the companion')
  })

  test('the error of the main task ends the companions', async () => {
    const fails = (): Promise<void> => Promise.reject(new MusicError('the main task'))
    await expect(alongside(undefined, fails, [forever])).rejects.toThrow('the main task')
  })

  test('the caller’s signal ends them all', async () => {
    const controller = new AbortController()
    const running = alongside(controller.signal, forever, [forever])
    controller.abort(new MusicError('enough'))
    await expect(running).rejects.toThrow('enough')
    await expect(alongside(controller.signal, (signal) => Promise.resolve(signal.aborted), [])).resolves.toBe(true)
  })
})

describe('the command line', () => {
  test('without arguments it is the story in the simulator', () => {
    expect(parseCommand([])).toEqual({ command: 'story', backend: 'simulator', seed: undefined, library: undefined })
    expect(parseCommand(['--seed', '18446744073709551615'])).toMatchObject({ seed: 18_446_744_073_709_551_615n })
    expect(parseCommand(['--backend', 'iroh'])).toMatchObject({ command: 'story', backend: 'iroh' })
  })

  test('serve and play reach other processes unless told otherwise', () => {
    expect(parseCommand(['serve', '--library', 'x', '--key', 'y', '--port', '7'])).toMatchObject({
      command: 'serve',
      backend: 'iroh',
      library: 'x',
      key: 'y',
      port: 7,
      loopback: false,
    })
    expect(parseCommand(['play', 'home', '--track', '3'])).toMatchObject({ backend: 'iroh', server: 'home', track: 3 })
  })

  test.each([[['--help']], [['help']], [['serve', '-h']], [['play', '--help']]])('%j asks for help', (args) => {
    expect(parseCommand(args)).toEqual({ command: 'help' })
  })

  test.each([
    [['--sneed', '7'], /Unknown option '--sneed'/],
    [['server'], /unexpected argument 'server'/],
    [['--seed', '-1'], /--seed = "-1": must be a whole number/],
    [['play', 'a', '--list', '--output', 'x'], /--list and --output exclude each other/],
    [['--seed', '18446744073709551616'], /--seed/],
    [['--backend', 'carrier pigeon'], /simulator or iroh/],
    [['serve', '--port', '65536'], /--port '65536'.*65535/],
    [['serve', '--name', 'home'], /--name needs a place.*--names FILE, or --discovery mdns/],
    [['serve', '--names', 'file'], /--names needs a --name/],
    [['serve', '--discovery', 'mdns,dths'], /--discovery = "mdns,dths": "dths" is no source.*mdns, dht, dns, static/],
    [['play', 'a', '--discovery', 'dht,dht'], /names dht twice/],
    [['serve', 'home'], /options only/],
    [['play'], /ticket, node id or name/],
    [['play', 'a', 'b'], /one server/],
    [['play', 'a', '--track', '1', '--album', '2'], /exclude each other/],
    [['play', 'a', '--output', 'x', '--stdout'], /exclude each other/],
    [['play', 'a', '--track', 'first'], /--track 'first'/],
    [['play', 'a', '--seed', '7'], /Unknown option '--seed'/],
  ])('%j is a usage error', (args, message) => {
    expect(() => parseCommand(args)).toThrow(UsageError)
    expect(() => parseCommand(args)).toThrow(message)
  })
})
