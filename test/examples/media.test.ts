/** The music library: what it finds, what it leaves out, and how it tells. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { contentTypeOf, MusicLibrary } from '../../examples/music/media/index.ts'
import type { ScanProgress } from '../../examples/music/media/index.ts'
import { P2PError } from '../../src/core/errors.ts'
import { RealRuntime } from '../../src/runtime/index.ts'
import { Simulation } from '../../src/simulator/simulation.ts'
import {
  ChangedRuntime,
  COMMITTED,
  FIRST_PACKET,
  flacFile,
  PAPER_LANTERNS,
  systemError,
  temporaryFolder,
} from './media-support.ts'

const runtime = new RealRuntime()

async function failure(scan: Promise<unknown>): Promise<P2PError> {
  const error: unknown = await scan.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!P2PError.is(error)) throw new Error(`expected a P2PError, got ${String(error)}`)
  return error
}

describe('the library that ships with the example', () => {
  test('is read in full', async () => {
    const library = await MusicLibrary.scan(COMMITTED, { runtime })
    expect(library.skipped).toEqual([])
    expect(library.artists).toEqual([
      { id: 1, title: 'Nora Vega' },
      { id: 2, title: 'The Loopbacks' },
    ])
    const nora = { artistId: 1, artist: 'Nora Vega', hasCover: true }
    const loopbacks = { artistId: 2, artist: 'The Loopbacks', hasCover: true }
    expect(library.albums).toEqual([
      { id: 1, title: 'Long Way Home', ...nora, date: '2023', trackIds: [1, 2, 3] },
      { id: 2, title: 'Hole Punching', ...loopbacks, date: '2024-03-15', trackIds: [4, 5, 6] },
      { id: 3, title: 'Direct Path', ...loopbacks, date: '2025-09-05', trackIds: [7, 8] },
    ])
    const longWayHome = { artist: 'Nora Vega', album: 'Long Way Home', albumId: 1 }
    const holePunching = { artist: 'The Loopbacks', album: 'Hole Punching', albumId: 2 }
    const directPath = { artist: 'The Loopbacks', album: 'Direct Path', albumId: 3 }
    const mp3 = { format: 'MP3', sampleRate: 44_100, bitrate: 128_000 }
    const wav = { format: 'WAV', sampleRate: 22_050, bitDepth: 16, bitrate: 352_800 }
    const flac = { format: 'FLAC', sampleRate: 44_100, bitDepth: 16, bitrate: expect.any(Number) as number }
    const hiRes = { ...flac, sampleRate: 96_000, bitDepth: 24 }
    const bytes = expect.any(Number) as number
    expect(library.tracks).toEqual([
      { id: 1, number: 1, title: 'Paper Lanterns', ...longWayHome, ...mp3, durationSeconds: 15.047, bytes },
      { id: 2, number: 2, title: 'Brücken im Nebel', ...longWayHome, ...mp3, durationSeconds: 14.028, bytes },
      { id: 3, number: 3, title: 'Kitchen Radio', ...longWayHome, ...wav, durationSeconds: 10, bytes },
      { id: 4, number: 1, title: 'First Packet', ...holePunching, ...flac, durationSeconds: 10, bytes },
      { id: 5, number: 2, title: 'Symmetric', ...holePunching, ...flac, durationSeconds: 10.5, bytes },
      { id: 6, number: 3, title: 'Keep-Alive', ...holePunching, ...flac, durationSeconds: 20.5, bytes },
      { id: 7, number: 1, title: 'Ten Milliseconds', ...directPath, ...hiRes, durationSeconds: 10, bytes },
      { id: 8, number: 2, title: 'Around the Relay', ...directPath, ...flac, durationSeconds: 10.5, bytes },
    ])
    for (const track of library.tracks) {
      const path = library.path(track.id) ?? ''
      expect((await readFile(path)).length).toBe(track.bytes)
      // Where files lie stays here.
      expect(JSON.stringify(track)).not.toContain(COMMITTED)
    }
    expect(library.track(6)?.bytes).toBeGreaterThan(1_500_000)
    expect(library.track(6)).toBe(library.tracks[5])
    expect(library.album(2)).toBe(library.albums[1])
    expect(library.artist(2)).toBe(library.artists[1])
    for (const id of [0, 9, -1, 1.5, Number.NaN]) {
      expect([library.track(id), library.path(id)]).toEqual([undefined, undefined])
    }
  })

  test('has a different cover for each album, byte for byte the one in the files', async () => {
    const library = await MusicLibrary.scan(COMMITTED, { runtime })
    const seen = new Set<string>()
    for (const album of library.albums) {
      const cover = await library.cover(album.id)
      if (!cover) throw new Error(`${album.title} has no cover`)
      expect(cover.contentType).toBe('image/png')
      const picture = Buffer.from(cover.bytes)
      expect(picture.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1A\n')
      expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([320, 320])
      for (const id of album.trackIds) {
        expect((await readFile(library.path(id) ?? '')).includes(picture)).toBe(true)
      }
      // The bytes are the picture's alone, not a view of the file around it.
      expect(cover.bytes.buffer.byteLength).toBe(cover.bytes.length)
      seen.add(picture.toString('base64'))
    }
    expect(seen.size).toBe(3)
    expect(await library.cover(4)).toBeUndefined()
  })

  test('is what the script makes, byte for byte', { timeout: 120_000 }, async () => {
    await using folder = await temporaryFolder()
    const script = join(import.meta.dirname, '../../scripts/make-library.mjs')
    await promisify(execFile)(process.execPath, [script, folder.path])
    const made = await digests(folder.path)
    expect(made.size).toBe(8)
    expect(made).toEqual(await digests(COMMITTED))
  })
})

async function digests(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(?:flac|mp3|wav)$/.test(name)).sort()
  const hash = async (name: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex')
  return new Map(await Promise.all(names.map(async (name) => [name, await hash(name)] as const)))
}

describe('bad input', () => {
  test('a missing folder, a file and an empty folder are told apart, by name', async () => {
    await using folder = await temporaryFolder()
    const missing = join(folder.path, 'no such music')
    expect(await failure(MusicLibrary.scan(missing, { runtime }))).toMatchObject({
      code: 'io',
      path: missing,
      message: `cannot read the music folder ${missing}: there is no such file or folder; name a folder with audio files in it (.flac .mp3 .wav .ogg .opus .m4a .aac .aiff .aif)`,
    })
    const file = await folder.write('song.txt', 'la la la')
    expect(await failure(MusicLibrary.scan(file, { runtime }))).toMatchObject({
      code: 'io',
      path: file,
      message: expect.stringContaining('it is not a folder') as string,
    })
    expect(await failure(MusicLibrary.scan(folder.path, { runtime }))).toMatchObject({
      code: 'io',
      path: folder.path,
      message: expect.stringMatching(
        /there are no audio files in .*; put some there \(\.flac .*\) or name another/,
      ) as string,
    })
  })

  test('a folder of nothing but broken files says what is wrong with the first', async () => {
    await using folder = await temporaryFolder()
    await folder.write('a/1.flac', '')
    await folder.write('a/2.mp3', 'not music')
    const error = await failure(MusicLibrary.scan(folder.path, { runtime }))
    expect(error).toMatchObject({ code: 'io', path: folder.path })
    expect(error.message).toContain('(a/1.flac: it is empty, and 1 more)')
  })

  test('broken files are skipped and named, the rest works', async () => {
    await using folder = await temporaryFolder()
    const flac = await readFile(FIRST_PACKET)
    await folder.write('good.flac', flac)
    await folder.write('bad/empty.flac', '')
    await folder.write('bad/page.mp3', '<html>404</html>')
    await folder.write('bad/zeros.mp3', Buffer.alloc(300_000))
    await folder.write('bad/tag only.mp3', (await readFile(PAPER_LANTERNS)).subarray(0, 14_600))
    for (const extension of ['aac', 'aiff', 'flac', 'm4a', 'mp3', 'ogg', 'opus', 'wav']) {
      await folder.write(`bad/noise.${extension}`, noise(100_000))
    }
    await folder.write('bad/cut.flac', flac.subarray(0, 30_000))
    const library = await MusicLibrary.scan(folder.path, { runtime })
    expect(library.tracks.map(({ title }) => title)).toEqual(['First Packet'])
    expect(library.skipped.map(({ path }) => path)).toEqual([
      'bad/cut.flac',
      'bad/empty.flac',
      'bad/noise.aac',
      'bad/noise.aiff',
      'bad/noise.flac',
      'bad/noise.m4a',
      'bad/noise.mp3',
      'bad/noise.ogg',
      'bad/noise.opus',
      'bad/noise.wav',
      'bad/page.mp3',
      'bad/tag only.mp3',
      'bad/zeros.mp3',
    ])
    const reasons = new Map(library.skipped.map(({ path, reason }) => [path, reason]))
    expect(reasons.get('bad/empty.flac')).toBe('it is empty')
    expect(reasons.get('bad/page.mp3')).toBe('there is no audio in it')
    expect(reasons.get('bad/tag only.mp3')).toBe('there is no audio in it')
    expect(reasons.get('bad/noise.flac')).toMatch(/^it is damaged, or no FLAC file \([^\p{Cc}]+\)$/u)
  })

  test('files and folders that the system refuses are skipped and named', async () => {
    await using folder = await temporaryFolder()
    await folder.write('A/B/1 One.flac', flacFile(1))
    await folder.write('A/B/2 Two.flac', flacFile(2))
    await folder.write('locked/3.flac', flacFile(3))
    await symlink(join(folder.path, 'nowhere'), join(folder.path, 'A/gone.flac'))
    const refusing = new ChangedRuntime({
      list: (path, entries) => {
        if (path.endsWith('locked')) throw P2PError.of('io', 'no', { path }, { cause: systemError('EACCES') })
        return entries
      },
      bridge: async (what, work) => {
        if (what === 'read tags of A/B/2 Two.flac') throw systemError('EACCES')
        return work()
      },
    })
    const library = await MusicLibrary.scan(folder.path, { runtime: refusing })
    expect(library.tracks.map(({ title }) => title)).toEqual(['One'])
    expect(library.skipped).toEqual([
      { path: 'A/B/2 Two.flac', reason: 'permission denied' },
      { path: 'A/gone.flac', reason: 'there is no such file or folder' },
      { path: 'locked', reason: 'permission denied' },
    ])
  })

  test.skipIf(process.platform === 'win32')('a named pipe is skipped and does not hold up the scan', async () => {
    await using folder = await temporaryFolder()
    await folder.write('1.flac', flacFile(1))
    await promisify(execFile)('mkfifo', [join(folder.path, 'pipe.flac')])
    // Also where the runtime takes it for a file.
    const mistaken = new ChangedRuntime({ list: (_, entries) => entries.map(({ name }) => ({ name, kind: 'file' })) })
    for (const one of [runtime, mistaken]) {
      const library = await MusicLibrary.scan(folder.path, { runtime: one })
      expect(library.tracks.length).toBe(1)
      expect(library.skipped).toEqual([{ path: 'pipe.flac', reason: 'it is not a regular file' }])
    }
  })

  test('too many files are an error that names the limit', async () => {
    await using folder = await temporaryFolder()
    for (let index = 0; index < 3; index++) await folder.write(`${index}.flac`, flacFile(1))
    const scan = MusicLibrary.scan(folder.path, { runtime, maxFiles: 2 })
    expect(await failure(scan)).toMatchObject({ code: 'limit-exceeded', limit: 'maxFiles', max: 2 })
    expect((await MusicLibrary.scan(folder.path, { runtime, maxFiles: 3 })).tracks.length).toBe(3)
  })

  test('the caller can give up', async () => {
    const controller = new AbortController()
    const onProgress = ({ phase, done }: ScanProgress): void => {
      if (phase === 'reading' && done === 2) controller.abort(new Error('enough'))
    }
    const scan = MusicLibrary.scan(COMMITTED, { runtime, signal: controller.signal, onProgress, concurrency: 1 })
    expect(await failure(scan)).toMatchObject({ code: 'aborted', name: 'AbortError', cause: controller.signal.reason })
  })

  test('a cover whose file has gone is an error that names the file', async () => {
    await using folder = await temporaryFolder()
    const file = await folder.write('1.flac', await readFile(FIRST_PACKET))
    const library = await MusicLibrary.scan(folder.path, { runtime })
    await rm(file)
    expect(await failure(library.cover(1))).toMatchObject({
      code: 'io',
      path: file,
      message: expect.stringContaining('there is no such file or folder; scan the library again') as string,
    })
  })
})

/** Bytes without order, the same each time. */
function noise(length: number): Buffer {
  let state = 1
  return Buffer.from(Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) & 0xff))
}

describe('a scan', () => {
  test('comes out the same whatever the disk is slow at', async () => {
    await using folder = await temporaryFolder()
    for (let index = 0; index < 24; index++) {
      await folder.write(`Artist ${index % 3}/Album ${index % 5}/${index} Song.flac`, flacFile(1 + (index % 4)))
      if (index % 4 === 0) await folder.write(`Artist ${index % 3}/broken ${index}.flac`, '')
    }
    const scans: string[] = []
    for (const [concurrency, step] of [
      [1, 0],
      [3, 7],
      [8, 5],
      [64, 11],
    ] as const) {
      // Every job waits for as many turns of the event loop as its number in a scrambled order.
      let number = 0
      const slow = new ChangedRuntime({
        bridge: async (_, work) => {
          const turns = (number++ * step) % 13
          const [outcome] = await Promise.allSettled([work()])
          for (let turn = 0; turn < turns; turn++) await runtime.sleep(0)
          if (outcome.status === 'rejected') throw outcome.reason
          return outcome.value
        },
      })
      const library = await MusicLibrary.scan(folder.path, { runtime: slow, concurrency })
      scans.push(JSON.stringify(library))
    }
    expect(scans[0]).toContain('"Song"')
    expect(new Set(scans).size).toBe(1)
  })

  test('has one history in a simulation, takes no time there, and finds what is found outside', async () => {
    const run = async (): Promise<{ readonly hash: string; readonly found: string; readonly virtualMs: number }> => {
      await using sim = new Simulation({ seed: 7 })
      const found: string[] = []
      sim.host('server', async (host) => {
        const library = await MusicLibrary.scan(COMMITTED, { runtime: host.runtime })
        found.push(JSON.stringify(library), ((await library.cover(2))?.bytes.length ?? 0).toString())
      })
      const { hash, virtualMs, ended } = await sim.run()
      expect(ended).toBe('programs')
      return { hash, found: found.join(), virtualMs }
    }
    const first = await run()
    const library = await MusicLibrary.scan(COMMITTED, { runtime })
    expect(first.found).toBe([JSON.stringify(library), (await library.cover(2))?.bytes.length].join())
    expect(first.virtualMs).toBe(0)
    for (let again = 0; again < 5; again++) expect(await run()).toEqual(first)
  })

  test('has at most so many files open at a time', async () => {
    let open = 0
    let most = 0
    const counting = new ChangedRuntime({
      bridge: async (_, work) => {
        most = Math.max(most, ++open)
        await runtime.sleep(0)
        try {
          return await work()
        } finally {
          open--
        }
      },
    })
    await MusicLibrary.scan(COMMITTED, { runtime: counting, concurrency: 3 })
    expect(most).toBe(3)
  })

  test('touches files through the runtime only', async () => {
    const asked: string[] = []
    const closed = new ChangedRuntime({
      bridge: async (what) => {
        asked.push(what)
        throw systemError('EIO')
      },
    })
    const error = await failure(MusicLibrary.scan(COMMITTED, { runtime: closed }))
    expect(error.message).toContain('the disk reports an input/output error')
    expect(asked).toEqual([`find ${COMMITTED}`])
  })

  test('reports its progress', async () => {
    const seen: ScanProgress[] = []
    await MusicLibrary.scan(COMMITTED, { runtime, onProgress: (progress) => seen.push(progress) })
    const of = (phase: string): number[] => seen.filter((one) => one.phase === phase).map(({ done }) => done)
    expect(of('finding').at(-1)).toBe(8)
    expect(of('reading')).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(of('covers')).toEqual([1, 2, 3])
    expect(seen.filter(({ phase }) => phase === 'reading').every(({ total }) => total === 8)).toBe(true)
    expect(seen.findIndex(({ phase }) => phase === 'reading')).toBe(of('finding').length)
  })

  test('formats have a content type', () => {
    expect(contentTypeOf('FLAC')).toBe('audio/flac')
    expect(contentTypeOf('OPUS')).toBe('audio/ogg')
  })
})
