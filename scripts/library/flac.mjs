// A FLAC encoder (RFC 9639): fixed and linear prediction, stereo decorrelation, partitioned Rice coding, seek table,
// tags and a picture. Its arithmetic is exact: the same samples give the same bytes on every machine.
import { createHash } from 'node:crypto'
import { ascii, BitWriter, join, uint32be, uint32le } from './bytes.mjs'

const BLOCK_SAMPLES = 4096
const LPC_ORDERS = [8, 12]
const LPC_PRECISION = 15
const MAX_PARTITION_ORDER = 6
const SEEK_POINT_SECONDS = 1

/** Encodes whole-number samples (one Int32Array a channel) with `tags` ([[NAME, value]]) and a PNG `picture`. */
export function encodeFlac({ sampleRate, bitDepth, channels, tags, picture }) {
  const total = channels[0].length
  const frames = []
  for (let start = 0, number = 0; start < total; start += BLOCK_SAMPLES, number++) {
    const block = channels.map((samples) => samples.subarray(start, Math.min(start + BLOCK_SAMPLES, total)))
    frames.push(encodeFrame(block, number, sampleRate, bitDepth))
  }
  const blocks = [
    [0, streamInfo({ sampleRate, bitDepth, channels, total, frames })],
    [3, seekTable(frames, sampleRate)],
    [4, vorbisComment(tags)],
    [6, pictureBlock(picture)],
  ]
  const metadata = blocks.map(([type, body], index) =>
    join(uint32be((((index === blocks.length - 1 ? 0x80 : 0) | type) << 24) | body.length), body),
  )
  return join('fLaC', ...metadata, ...frames.map((frame) => frame.bytes))
}

function streamInfo({ sampleRate, bitDepth, channels, total, frames }) {
  const sizes = frames.map((frame) => frame.bytes.length)
  const bits = new BitWriter()
  bits.write(BLOCK_SAMPLES, 16)
  bits.write(BLOCK_SAMPLES, 16)
  bits.write(Math.min(...sizes), 24)
  bits.write(Math.max(...sizes), 24)
  bits.write(sampleRate, 20)
  bits.write(channels.length - 1, 3)
  bits.write(bitDepth - 1, 5)
  bits.write(0, 4)
  bits.write(total, 32)
  return join(bits.bytes(), createHash('md5').update(interleave(channels, bitDepth)).digest())
}

/** The samples as the checksum wants them: interleaved, little endian, as few whole bytes each as they fit in. */
export function interleave(channels, bitDepth) {
  const width = bitDepth / 8
  const out = Buffer.alloc(channels[0].length * channels.length * width)
  let offset = 0
  for (let index = 0; index < channels[0].length; index++) {
    for (const samples of channels) offset = out.writeIntLE(samples[index], offset, width)
  }
  return out
}

function seekTable(frames, sampleRate) {
  const points = []
  let offset = 0
  let next = 0
  for (const [index, frame] of frames.entries()) {
    const sample = index * BLOCK_SAMPLES
    if (sample >= next) {
      const samples = Buffer.from([frame.samples >>> 8, frame.samples & 0xff])
      points.push(join(uint32be(0), uint32be(sample), uint32be(0), uint32be(offset), samples))
      next += SEEK_POINT_SECONDS * sampleRate
    }
    offset += frame.bytes.length
  }
  return join(...points)
}

function vorbisComment(tags) {
  const text = (value) => {
    const bytes = Buffer.from(value, 'utf8')
    return join(uint32le(bytes.length), bytes)
  }
  return join(text('make-library'), uint32le(tags.length), ...tags.map(([name, value]) => text(`${name}=${value}`)))
}

function pictureBlock({ data, width, height }) {
  const type = ascii('image/png')
  const front = uint32be(3)
  const description = uint32be(0)
  const shape = [uint32be(width), uint32be(height), uint32be(24), uint32be(0)]
  return join(front, uint32be(type.length), type, description, ...shape, uint32be(data.length), data)
}

function encodeFrame(channels, number, sampleRate, bitDepth) {
  const samples = channels[0].length
  const bits = new BitWriter()
  const stereo = channels.length === 2 ? decorrelate(channels, bitDepth) : undefined
  const subframes = stereo?.subframes ?? channels.map((channel) => bestSubframe(channel, bitDepth))
  bits.write(0xfff8, 16)
  bits.write(samples === BLOCK_SAMPLES ? 12 : 7, 4)
  bits.write({ 44_100: 9, 48_000: 10, 96_000: 11 }[sampleRate] ?? 0, 4)
  bits.write(stereo?.assignment ?? channels.length - 1, 4)
  bits.write({ 16: 4, 24: 6 }[bitDepth] ?? 0, 3)
  bits.write(0, 1)
  for (const byte of codedNumber(number)) bits.write(byte, 8)
  if (samples !== BLOCK_SAMPLES) bits.write(samples - 1, 16)
  bits.write(crc8(bits.bytes()), 8)
  for (const subframe of subframes) writeSubframe(bits, subframe)
  bits.align()
  bits.write(crc16(bits.bytes()), 16)
  return { bytes: Buffer.from(bits.bytes()), samples }
}

/** A number in UTF-8's scheme, as frame headers carry it. */
function codedNumber(value) {
  if (value < 0x80) return [value]
  if (value < 0x800) return [0xc0 | (value >> 6), 0x80 | (value & 0x3f)]
  return [0xe0 | (value >> 12), 0x80 | ((value >> 6) & 0x3f), 0x80 | (value & 0x3f)]
}

/** The checksum of each single byte, by which longer ones are looked up. */
function crcTable(width, polynomial) {
  const top = 2 ** (width - 1)
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) sum = sum & top ? (sum << 1) ^ polynomial : sum << 1
    return sum & (2 ** width - 1)
  })
}

const CRC_8 = crcTable(8, 0x07)
const CRC_16 = crcTable(16, 0x8005)

const crc8 = (bytes) => bytes.reduce((sum, byte) => CRC_8[sum ^ byte], 0)
const crc16 = (bytes) => bytes.reduce((sum, byte) => ((sum << 8) & 0xffff) ^ CRC_16[(sum >> 8) ^ byte], 0)

/** The cheapest of left/right, left/side, side/right and mid/side. */
function decorrelate([left, right], bitDepth) {
  const side = left.map((sample, index) => sample - right[index])
  const mid = left.map((sample, index) => (sample + right[index]) >> 1)
  const [l, r, m] = [left, right, mid].map((channel) => bestSubframe(channel, bitDepth))
  const s = bestSubframe(side, bitDepth + 1)
  const ways = [
    { assignment: 1, subframes: [l, r] },
    { assignment: 8, subframes: [l, s] },
    { assignment: 9, subframes: [s, r] },
    { assignment: 10, subframes: [m, s] },
  ]
  return ways.reduce((best, way) => (cost(way) < cost(best) ? way : best))
}

const cost = ({ subframes }) => subframes[0].bits + subframes[1].bits

function bestSubframe(samples, bitDepth) {
  if (samples.every((sample) => sample === samples[0]))
    return { kind: 'constant', samples, bitDepth, bits: 8 + bitDepth }
  let best = { kind: 'verbatim', samples, bitDepth, bits: 8 + samples.length * bitDepth }
  for (const predictor of [...fixedPredictors(samples), ...linearPredictors(samples)]) {
    const { order, precision } = predictor
    const residual = residualOf(samples, predictor)
    if (residual === undefined) continue
    const rice = bestRice(residual, samples.length, order)
    const bits = 8 + order * bitDepth + (precision ? 9 + order * precision : 0) + 6 + rice.bits
    if (bits < best.bits) best = { kind: 'predicted', samples, bitDepth, predictor, residual, rice, bits }
  }
  return best
}

function fixedPredictors(samples) {
  const rows = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]]
  return rows.map((coefficients, order) => ({ order, coefficients, shift: 0 })).filter((p) => p.order < samples.length)
}

/** Levinson and Durbin's recursion over the windowed autocorrelation; the coefficients rounded to whole numbers. */
function linearPredictors(samples) {
  const most = Math.max(...LPC_ORDERS)
  if (samples.length <= most * 2) return []
  const middle = (samples.length - 1) / 2
  const windowed = new Float64Array(samples.length)
  for (let index = 0; index < windowed.length; index++) {
    const x = (index - middle) / (middle + 1)
    windowed[index] = samples[index] * (1 - x * x) * (1 - x * x)
  }
  const correlation = Array.from({ length: most + 1 }, (_, lag) => {
    let sum = 0
    for (let index = lag; index < windowed.length; index++) sum += windowed[index] * windowed[index - lag]
    return sum
  })
  const found = []
  let coefficients = []
  let error = correlation[0]
  for (let order = 1; order <= most && error > 0; order++) {
    let sum = correlation[order]
    for (let j = 1; j < order; j++) sum -= coefficients[j - 1] * correlation[order - j]
    const reflection = sum / error
    const previous = coefficients
    coefficients = [...previous.map((value, j) => value - reflection * previous[order - 2 - j]), reflection]
    error *= 1 - reflection * reflection
    if (LPC_ORDERS.includes(order)) found.push(quantise(coefficients))
  }
  return found.filter((predictor) => predictor !== undefined)
}

function quantise(coefficients) {
  const limit = 2 ** (LPC_PRECISION - 1)
  const largest = Math.max(...coefficients.map((value) => Math.abs(value)))
  let shift = 15
  while (shift > 0 && largest * 2 ** shift >= limit - 1) shift--
  if (largest * 2 ** shift >= limit - 1) return undefined
  let carry = 0
  const whole = coefficients.map((value) => {
    const exact = value * 2 ** shift + carry
    const rounded = Math.floor(exact + 0.5)
    carry = exact - rounded
    return Math.max(-limit, Math.min(limit - 1, rounded))
  })
  return { order: whole.length, coefficients: whole, shift, precision: LPC_PRECISION }
}

function residualOf(samples, { order, coefficients, shift }) {
  const scale = 2 ** shift
  const residual = new Int32Array(samples.length - order)
  for (let index = order; index < samples.length; index++) {
    let sum = 0
    for (let j = 0; j < order; j++) sum += coefficients[j] * samples[index - 1 - j]
    const difference = samples[index] - Math.floor(sum / scale)
    if (difference > 0x3fff_ffff || difference < -0x3fff_ffff) return undefined
    residual[index - order] = difference
  }
  return residual
}

/** The cheapest way to split the residual into partitions, with a Rice parameter for each; its cost is an estimate. */
function bestRice(residual, blockSamples, order) {
  let deepest = 0
  while (deepest < MAX_PARTITION_ORDER && splits(blockSamples, deepest + 1, order)) deepest++
  let sums = foldedSums(residual, blockSamples / 2 ** deepest, order)
  let best
  for (let partitionOrder = deepest; partitionOrder >= 0; partitionOrder--) {
    const size = blockSamples / 2 ** partitionOrder
    const chosen = sums.map((sum, index) => riceParameter(sum, index === 0 ? size - order : size))
    const width = chosen.some(({ parameter }) => parameter > 14) ? 5 : 4
    const bits = chosen.reduce((total, one) => total + width + one.bits, 0)
    if (best === undefined || bits < best.bits) {
      best = { partitionOrder, parameters: chosen.map(({ parameter }) => parameter), width, bits }
    }
    sums = sums.filter((_, index) => index % 2 === 0).map((sum, index) => sum + (sums[index * 2 + 1] ?? 0))
  }
  return best
}

function splits(blockSamples, partitionOrder, order) {
  const size = blockSamples / 2 ** partitionOrder
  return Number.isInteger(size) && size > order
}

/** Negative numbers are folded in between the positive ones: 0, -1, 1, -2, ... are 0, 1, 2, 3, ... */
const fold = (value) => (value < 0 ? -2 * value - 1 : 2 * value)

function foldedSums(residual, size, order) {
  const sums = []
  for (let start = -order; start < residual.length; start += size) {
    let sum = 0
    const end = Math.min(start + size, residual.length)
    for (let index = Math.max(start, 0); index < end; index++) sum += fold(residual[index])
    sums.push(sum)
  }
  return sums
}

function riceParameter(sum, count) {
  let parameter = 0
  let quotients = sum
  // One more bit in each remainder pays while it halves the quotients by more.
  while (parameter < 29 && quotients > 2 * count) {
    parameter++
    quotients /= 2
  }
  return { parameter, bits: count * (parameter + 0.5) + quotients }
}

function writeSubframe(bits, { kind, samples, bitDepth, predictor, residual, rice }) {
  if (kind === 'constant') {
    bits.write(0, 8)
    bits.write(samples[0], bitDepth)
    return
  }
  if (kind === 'verbatim') {
    bits.write(1 << 1, 8)
    for (const sample of samples) bits.write(sample, bitDepth)
    return
  }
  const { order, coefficients, shift, precision } = predictor
  bits.write((precision ? 32 | (order - 1) : 8 | order) << 1, 8)
  for (let index = 0; index < order; index++) bits.write(samples[index], bitDepth)
  if (precision) {
    bits.write(precision - 1, 4)
    bits.write(shift, 5)
    for (const coefficient of coefficients) bits.write(coefficient, precision)
  }
  bits.write(rice.width === 5 ? 1 : 0, 2)
  bits.write(rice.partitionOrder, 4)
  const size = samples.length / 2 ** rice.partitionOrder
  for (const [index, parameter] of rice.parameters.entries()) {
    bits.write(parameter, rice.width)
    const start = index * size - order
    for (const value of residual.subarray(Math.max(start, 0), start + size)) {
      const folded = fold(value)
      bits.unary(Math.floor(folded / 2 ** parameter))
      bits.write(folded, parameter)
    }
  }
}
