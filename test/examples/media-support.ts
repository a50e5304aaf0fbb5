/**
 * Folders of audio files for the tests of the music library.
 *
 * @module
 */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { RuntimeFileEntry, RuntimeFileSystem } from '../../src/core/runtime.ts'
import { RealRuntime } from '../../src/runtime/index.ts'

/** The library that ships with the example. */
export const COMMITTED: string = join(import.meta.dirname, '../../examples/music/library')

/** Paths of its files. */
export const FIRST_PACKET: string = join(COMMITTED, 'The Loopbacks/Hole Punching/01 First Packet.flac')
export const PAPER_LANTERNS: string = join(COMMITTED, 'Nora Vega/Long Way Home/01 Paper Lanterns.mp3')

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
  /** Writes a file, with the folders above it, and returns where it lies. */
  write(path: string, bytes: Uint8Array | string): Promise<string>
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'p2p-media-')))
  return {
    path: root,
    write: async (path, bytes) => {
      const target = join(root, path)
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, bytes)
      return target
    },
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  }
}

/** The real runtime with some of its parts replaced. */
export class ChangedRuntime extends RealRuntime {
  override readonly files: RuntimeFileSystem
  readonly #changes: Changes

  constructor(changes: Changes) {
    super()
    this.#changes = changes
    const { files } = new RealRuntime()
    this.files = {
      open: async (path) => files.open(path),
      list: async (path) => {
        const entries = await files.list(path)
        return changes.list?.(path, entries) ?? entries
      },
    }
  }

  override async bridge<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#changes.bridge ? this.#changes.bridge(what, work) : work()
  }
}

export interface Changes {
  readonly list?: (path: string, entries: readonly RuntimeFileEntry[]) => readonly RuntimeFileEntry[]
  readonly bridge?: <T>(what: string, work: () => Promise<T>) => Promise<T>
}

/** A failure as the operating system reports it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as if by the system`), { code })
}

/** Frames of layer III at 44.1 kHz with nothing in them, one for each bitrate index. */
export function mp3Frames(bitrateIndexes: readonly number[]): Buffer {
  const kilobits = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
  return Buffer.concat(
    bitrateIndexes.map((index) => {
      const frame = Buffer.alloc(Math.floor((144_000 * (kilobits[index] ?? 0)) / 44_100))
      frame.set([0xff, 0xfb, index << 4, 0x00])
      return frame
    }),
  )
}

/** ADTS frames of AAC-LC at 48 kHz, two channels, with nothing in them. */
export function adtsFrames(count: number): Buffer {
  const length = 100
  const frame = Buffer.alloc(length)
  frame.set([
    0xff,
    0xf1,
    0x40 | (3 << 2),
    0x80 | (length >> 11),
    (length >> 3) & 0xff,
    ((length & 7) << 5) | 0x1f,
    0xfc,
  ])
  return Buffer.concat(Array.from({ length: count }, () => frame))
}

interface OggPage {
  readonly flags: number
  readonly granule: number
  readonly data: Buffer
}

function oggPages(pages: readonly OggPage[]): Buffer {
  return Buffer.concat(
    pages.flatMap(({ flags, granule, data }, sequence) => {
      const header = Buffer.alloc(27)
      header.write('OggS')
      header[5] = flags
      header.writeBigInt64LE(BigInt(granule), 6)
      header.writeUInt32LE(7, 14)
      header.writeUInt32LE(sequence, 18)
      const laces = [...Array.from({ length: Math.floor(data.length / 255) }, () => 255), data.length % 255]
      header[26] = laces.length
      return [header, Buffer.from(laces), data]
    }),
  )
}

function comments(tags: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const count = Buffer.alloc(4)
  count.writeUInt32LE(Object.keys(tags).length)
  return Buffer.concat([text('test'), count, ...Object.entries(tags).map(([key, value]) => text(`${key}=${value}`))])
}

/** An Ogg Opus file (RFC 7845) with `dataPages` pages of sound, each 1 s. */
export function opusFile(tags: Readonly<Record<string, string>>, preSkip: number, dataPages: number): Buffer {
  const head = Buffer.alloc(19)
  head.write('OpusHead')
  head.set([1, 2], 8)
  head.writeUInt16LE(preSkip, 10)
  head.writeUInt32LE(44_100, 12)
  return oggPages([
    { flags: 2, granule: 0, data: head },
    { flags: 0, granule: 0, data: Buffer.concat([Buffer.from('OpusTags'), comments(tags)]) },
    ...Array.from({ length: dataPages }, (_, index) => ({
      flags: index === dataPages - 1 ? 4 : 0,
      granule: preSkip + (index + 1) * 48_000,
      data: Buffer.alloc(6000, index),
    })),
  ])
}

/** An AIFF file with silence. */
export function aiffFile(name: string, frames: number): Buffer {
  const chunk = (id: string, body: Buffer): Buffer => {
    const header = Buffer.alloc(8)
    header.write(id)
    header.writeUInt32BE(body.length, 4)
    return Buffer.concat([header, body, Buffer.alloc(body.length % 2)])
  }
  const common = Buffer.alloc(18)
  common.writeUInt16BE(1, 0)
  common.writeUInt32BE(frames, 2)
  common.writeUInt16BE(16, 6)
  common.set([0x40, 0x0e, 0xac, 0x44], 8) // 44,100 as an 80-bit number
  return chunk(
    'FORM',
    Buffer.concat([
      Buffer.from('AIFF'),
      chunk('NAME', Buffer.from(name)),
      chunk('COMM', common),
      chunk('SSND', Buffer.alloc(8 + frames * 2)),
    ]),
  )
}

/** A FLAC file without sound or tags but what its header says: 44.1 kHz, 16 bit, `seconds` long. */
export function flacHeader(seconds: number, tags: Readonly<Record<string, string>> = {}): Buffer {
  const info = Buffer.alloc(34)
  info.writeUInt16BE(4096, 0)
  info.writeUInt16BE(4096, 2)
  info.writeBigUInt64BE((44_100n << 44n) | (1n << 41n) | (15n << 36n) | BigInt(seconds * 44_100), 10)
  const block = (type: number, body: Buffer): Buffer => {
    const header = Buffer.alloc(4)
    header.writeUInt32BE(((type << 24) | body.length) >>> 0)
    return Buffer.concat([header, body])
  }
  return Buffer.concat([Buffer.from('fLaC'), block(0, info), block(0x84, comments(tags))])
}

/** The same with as much noise behind it as `seconds` of sound take. */
export function flacFile(seconds: number, tags: Readonly<Record<string, string>> = {}): Buffer {
  return Buffer.concat([flacHeader(seconds, tags), Buffer.alloc(seconds * 1000, 0x55)])
}
