/**
 * The frames of MP3 and ADTS (`.aac`) streams. Neither has a header for the whole file, so what is audio and how long
 * it lasts shows only in the chain of its frames, each of which says where the next one starts.
 *
 * @module
 */
import type { FileWindow } from './file-window.ts'

interface Frame {
  readonly bytes: number
  readonly samples: number
  readonly sampleRate: number
}

/** How far behind the tags the first frame is looked for. */
const SEARCH_BYTES = 65_536
/** So many frames in a row are no coincidence. */
const CHAIN_FRAMES = 3
const ID3_HEADER_BYTES = 10
const FRAME_HEADER_BYTES = 6

/** Kilobits per second by bitrate index (ISO 11172-3, 2.4.2.3; ISO 13818-3). */
const BITRATES: Readonly<Record<string, readonly number[]>> = {
  V1L1: [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  V1L2: [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  V1L3: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  V2L1: [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  V2L2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  V2L3: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}
const MPEG_RATES = [44_100, 48_000, 32_000]
const ADTS_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
]

function mpegFrame(bytes: Uint8Array): Frame | undefined {
  const [b0 = 0, b1 = 0, b2 = 0] = bytes
  if (b0 !== 0xff || (b1 & 0xe0) !== 0xe0) return undefined
  const version = { 0: 4, 2: 2, 3: 1 }[(b1 >> 3) & 3] // by what the sample rates of version 1 are divided
  const layer = 4 - ((b1 >> 1) & 3)
  const rate = MPEG_RATES[(b2 >> 2) & 3]
  const kilobits = BITRATES[`V${version === 1 ? 1 : 2}L${layer}`]?.[b2 >> 4]
  if (version === undefined || rate === undefined || !kilobits) return undefined
  const sampleRate = rate / version
  const padding = (b2 >> 1) & 1
  if (layer === 1) {
    return { bytes: (Math.floor((12_000 * kilobits) / sampleRate) + padding) * 4, samples: 384, sampleRate }
  }
  const samples = layer === 3 && version > 1 ? 576 : 1152
  return { bytes: Math.floor((samples * 125 * kilobits) / sampleRate) + padding, samples, sampleRate }
}

function adtsFrame(bytes: Uint8Array): Frame | undefined {
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0, b5 = 0] = bytes
  if (b0 !== 0xff || (b1 & 0xf6) !== 0xf0) return undefined
  const sampleRate = ADTS_RATES[(b2 >> 2) & 15]
  const length = ((b3 & 3) << 11) | (b4 << 3) | (b5 >> 5)
  return sampleRate !== undefined && length > 7 ? { bytes: length, samples: 1024, sampleRate } : undefined
}

/** Where the audio starts: behind all ID3v2 tags. */
async function afterTags(window: FileWindow): Promise<number> {
  let position = 0
  for (;;) {
    const header = await window.read(position, position + ID3_HEADER_BYTES)
    const [i, d, three, , , flags = 0, s3 = 0, s2 = 0, s1 = 0, s0 = 0] = header
    if (header.length < ID3_HEADER_BYTES || i !== 0x49 || d !== 0x44 || three !== 0x33) return position
    const footer = flags & 0x10 ? ID3_HEADER_BYTES : 0
    position +=
      ID3_HEADER_BYTES + (s3 & 0x7f) * 2 ** 21 + (s2 & 0x7f) * 2 ** 14 + (s1 & 0x7f) * 2 ** 7 + (s0 & 0x7f) + footer
  }
}

/** The stream of frames in a file. */
export class FrameStream {
  readonly #window: FileWindow
  readonly #start: number

  private constructor(window: FileWindow, start: number) {
    this.#window = window
    this.#start = start
  }

  /** Finds the first of several frames in a row; undefined when there are none, so that this is no such file. */
  static async find(window: FileWindow): Promise<FrameStream | undefined> {
    const from = await afterTags(window)
    const nearby = await window.read(from, from + SEARCH_BYTES)
    for (let at = nearby.indexOf(0xff); at >= 0; at = nearby.indexOf(0xff, at + 1)) {
      const stream = new FrameStream(window, from + at)
      if (await stream.#isChain()) return stream
    }
    return undefined
  }

  /** Follows all frames, which reads the file from end to end, a page at a time. */
  async durationSeconds(): Promise<number> {
    let seconds = 0
    for await (const frame of this.#frames()) seconds += frame.samples / frame.sampleRate
    return seconds
  }

  async #isChain(): Promise<boolean> {
    let count = 0
    let end = this.#start
    let first: Frame | undefined
    for await (const frame of this.#frames()) {
      first ??= frame
      if (frame.sampleRate !== first.sampleRate) return false
      end += frame.bytes
      if (++count === CHAIN_FRAMES) return true
    }
    // A file so short that its frames reach the end.
    return count > 0 && end >= this.#window.size
  }

  async *#frames(): AsyncGenerator<Frame> {
    let position = this.#start
    while (position < this.#window.size) {
      const header = await this.#window.read(position, position + FRAME_HEADER_BYTES)
      const frame = adtsFrame(header) ?? mpegFrame(header)
      if (!frame) return
      yield frame
      position += frame.bytes
    }
  }
}
