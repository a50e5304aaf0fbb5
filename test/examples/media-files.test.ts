/** What single audio files tell about themselves, whatever their format. */
import { open, readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MusicLibrary } from '../../examples/music/media/index.ts'
import type { Track } from '../../examples/music/media/index.ts'
import { readTags } from '../../examples/music/media/tags.ts'
import { RealRuntime } from '../../src/runtime/index.ts'
import {
  adtsFrames,
  aiffFile,
  FIRST_PACKET,
  flacFile,
  flacHeader,
  mp3Frames,
  opusFile,
  PAPER_LANTERNS,
  temporaryFolder,
} from './media-support.ts'

const runtime = new RealRuntime()

async function trackOf(name: string, bytes: Uint8Array): Promise<Track> {
  await using folder = await temporaryFolder()
  await folder.write(name, bytes)
  const { tracks } = await MusicLibrary.scan(folder.path, { runtime })
  if (!tracks[0] || tracks.length > 1) throw new Error(`${tracks.length} tracks`)
  return tracks[0]
}

describe('formats', () => {
  test('MP3 of varying bitrate without any header: every frame counts', async () => {
    const bitrates = Array.from({ length: 500 }, (_, index) => 5 + (index % 7))
    const track = await trackOf('x.mp3', mp3Frames(bitrates))
    expect(track).toMatchObject({ format: 'MP3', sampleRate: 44_100 })
    expect(track.durationSeconds).toBe(Math.round((500 * 1152 * 1000) / 44_100) / 1000)
    expect(track.bitDepth).toBeUndefined()
  })

  test('MP3 behind rubbish, as broken downloads have it', async () => {
    const track = await trackOf('x.mp3', Buffer.concat([Buffer.alloc(3000, 0xff), mp3Frames([9, 9, 9, 9, 9, 9])]))
    expect(track.sampleRate).toBe(44_100)
  })

  test('AAC in ADTS frames', async () => {
    const track = await trackOf('x.aac', adtsFrames(300))
    expect(track).toMatchObject({ format: 'AAC', sampleRate: 48_000, durationSeconds: 6.4 })
  })

  test('Ogg Opus: the last page tells the duration, less what is dropped at the start', async () => {
    const file = opusFile({ TITLE: 'Tides', ARTIST: 'Sea', ALBUM: 'Shore', TRACKNUMBER: '3' }, 312, 40)
    const track = await trackOf('x.opus', file)
    expect(track).toMatchObject({ format: 'OPUS', title: 'Tides', artist: 'Sea', number: 3, durationSeconds: 40 })
    // Cut off in the middle, it lasts as long as what is left of it.
    expect((await trackOf('x.opus', file.subarray(0, file.length / 2))).durationSeconds).toBe(20)
  })

  test('AIFF', async () => {
    const track = await trackOf('x.aiff', aiffFile('Tape', 22_050))
    expect(track).toMatchObject({ format: 'AIFF', sampleRate: 44_100, bitDepth: 16, durationSeconds: 0.5 })
  })

  test('a WAV that was cut off lasts as long as what is left', async () => {
    const wav = await readFile(PAPER_LANTERNS.replace('01 Paper Lanterns.mp3', '03 Kitchen Radio.wav'))
    const data = wav.indexOf('data') + 8
    const track = await trackOf('x.wav', wav.subarray(0, data + 22_050))
    expect(track).toMatchObject({ title: 'Kitchen Radio', artist: 'Nora Vega', durationSeconds: 0.5 })
  })

  test('a FLAC file that has a header and no sound is none', async () => {
    await expect(trackOf('x.flac', flacHeader(60))).rejects.toThrow('there is a header in it, but no audio')
  })
})

describe('names instead of tags', () => {
  test.each([
    ['Artist/Album/07 Title.flac', { artist: 'Artist', album: 'Album', number: 7, title: 'Title' }],
    ['Artist/Album/07. Title.flac', { artist: 'Artist', album: 'Album', number: 7, title: 'Title' }],
    ['Artist/Album/007-Title.flac', { artist: 'Artist', album: 'Album', number: 7, title: 'Title' }],
    ['Artist/Album/Disc 2/07 Title.flac', { artist: 'Artist', album: 'Album', number: 7, title: 'Title' }],
    ['Artist/Album/1999.flac', { artist: 'Artist', album: 'Album', number: 0, title: '1999' }],
    ['Album/v1.2 Title.flac', { artist: 'Unknown Artist', album: 'Album', number: 0, title: 'v1.2 Title' }],
    ['Title.flac', { artist: 'Unknown Artist', album: 'Unknown Album', number: 0, title: 'Title' }],
    ['Shelf/Artist/Album/3 - Title.flac', { artist: 'Artist', album: 'Album', number: 3, title: 'Title' }],
    ['Art\x1B[31mist/Al\nbum/1 Ti\x07tle.flac', { artist: 'Art [31mist', album: 'Al bum', title: 'Ti tle' }],
  ])('%j', async (path, expected) => {
    expect(await trackOf(path, flacFile(1))).toMatchObject(expected)
  })

  test('tags come first, and cannot write to the terminal or fill the memory', async () => {
    const tags = { TITLE: ' A\x1B]0;owned\x07\nB ', ARTIST: 'x'.repeat(100_000), ALBUM: '\x01', TRACKNUMBER: '-4' }
    const track = await trackOf('Folder/09 Name.flac', flacFile(1, tags))
    expect(track).toMatchObject({ title: 'A ]0;owned B', artist: 'x'.repeat(500), album: 'Folder', number: 9 })
  })
})

describe('large and hostile files', () => {
  test.skipIf(process.platform !== 'linux')('of 250 MB only the ends are read', async () => {
    await using folder = await temporaryFolder()
    const names = [
      ['a.flac', await readFile(FIRST_PACKET)],
      ['b.mp3', await readFile(PAPER_LANTERNS)],
      ['c.opus', opusFile({ TITLE: 'x' }, 0, 3)],
    ] as const
    for (const [name, bytes] of names) {
      const path = await folder.write(name, bytes)
      await using file = await open(path, 'r+')
      await file.truncate(250_000_000)
    }
    // Once before counting, as the readers themselves are files.
    await MusicLibrary.scan(folder.path, { runtime })
    const before = await bytesReadByThisProcess()
    const library = await MusicLibrary.scan(folder.path, { runtime })
    const bytesRead = (await bytesReadByThisProcess()) - before
    expect(library.tracks.map(({ bytes }) => bytes)).toEqual([250_000_000, 250_000_000, 250_000_000])
    expect(bytesRead).toBeLessThan(2_000_000)
  })

  test('noise with the sync pattern everywhere ends soon', async () => {
    await using folder = await temporaryFolder()
    const path = await folder.write('x.mp3', Buffer.alloc(30_000_000, 0xff))
    await expect(readTags(path, 'MP3')).rejects.toThrow('there is no audio in it')
  })

  test('a tag that claims more than the file holds is refused', async () => {
    await using folder = await temporaryFolder()
    const header = Buffer.from([0x49, 0x44, 0x33, 3, 0, 0, 0x7f, 0x7f, 0x7f, 0x7f])
    const path = await folder.write('x.mp3', Buffer.concat([header, mp3Frames([9, 9, 9, 9])]))
    await expect(readTags(path, 'MP3')).rejects.toThrow('there is no audio in it')
    const wav = await folder.write('x.wav', Buffer.from('RIFF\xFF\xFF\xFF\x7FWAVEid3 \xFF\xFF\xFF\x7F', 'latin1'))
    await expect(readTags(wav, 'WAV')).rejects.toThrow('there is no audio in it')
  })

  test(
    'damage anywhere in a file is told as an error or not at all, and never hangs',
    { timeout: 60_000 },
    async () => {
      await using folder = await temporaryFolder()
      const files: Readonly<Record<string, Buffer>> = {
        FLAC: (await readFile(FIRST_PACKET)).subarray(0, 45_000),
        MP3: (await readFile(PAPER_LANTERNS)).subarray(0, 20_000),
        OPUS: opusFile({ TITLE: 'Tides', ARTIST: 'Sea' }, 312, 3),
        AIFF: aiffFile('Tape', 100),
        AAC: adtsFrames(10),
      }
      const place = fc.double({ min: 0, max: 0.999, noNaN: true })
      const damage = fc.record({
        format: fc.constantFrom('FLAC', 'MP3', 'OPUS', 'AIFF', 'AAC'),
        changes: fc.array(fc.tuple(place, fc.nat(255)), { maxLength: 12 }),
        nearStart: fc.boolean(),
        keep: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 1, noNaN: true })),
      })
      await fc.assert(
        fc.asyncProperty(damage, async ({ format, changes, nearStart, keep }) => {
          const intact = files[format] ?? Buffer.alloc(0)
          const bytes = Buffer.from(intact.subarray(0, Math.ceil(intact.length * keep)))
          for (const [at, value] of changes) {
            bytes[Math.floor(at * Math.min(bytes.length, nearStart ? 200 : bytes.length))] = value
          }
          const path = await folder.write('x', bytes)
          const told = await readTags(path, format).then(
            (tags) => (tags.bytes === bytes.length && tags.sampleRate > 0 ? 'it is fine' : JSON.stringify(tags)),
            (error: Error) => error.message,
          )
          expect(told).toMatch(/^(?:it|there) (?:is|became) /)
        }),
        { numRuns: 300 },
      )
    },
  )
})

async function bytesReadByThisProcess(): Promise<number> {
  const io = await readFile('/proc/self/io', 'utf8')
  return Number(/^rchar: (\d+)$/m.exec(io)?.[1])
}
