// A small synthesiser: notes and drums into samples. It uses + - * / only (the sine is a table of its own), so that the
// same score gives the same samples on every machine.

const TABLE_SIZE = 8192
const { PI } = Math
const SEMITONE = 1.0594630943592953
const SINE = Float64Array.from({ length: TABLE_SIZE + 1 }, (_, index) => exactSine((2 * PI * index) / TABLE_SIZE))

/** The Taylor series, after folding the angle into -pi/2 to pi/2. */
function exactSine(angle) {
  let x = angle > PI ? angle - 2 * PI : angle
  if (x > PI / 2) x = PI - x
  if (x < -PI / 2) x = -PI - x
  let term = x
  let sum = x
  for (let n = 1; n <= 12; n++) {
    term *= (-x * x) / (2 * n * (2 * n + 1))
    sum += term
  }
  return sum
}

/** `turns` is the angle in whole turns, 0 or more. */
function sine(turns) {
  const place = (turns - Math.floor(turns)) * TABLE_SIZE
  const index = Math.floor(place)
  return SINE[index] + (SINE[index + 1] - SINE[index]) * (place - index)
}

/** Hertz of a MIDI note number; 69 is 440 Hz. */
function hertz(midi) {
  let value = 440
  for (let step = 69; step < midi; step++) value *= SEMITONE
  for (let step = 69; step > midi; step--) value /= SEMITONE
  return value
}

/** White noise in [-1, 1), from a linear congruential generator (Numerical Recipes' constants). */
export function noise(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2_147_483_648 - 1
  }
}

/**
 * What notes are played on: the strength of each harmonic, the seconds of attack, decay (to a third) and release, the
 * level that a held note decays to, vibrato in parts of the pitch.
 */
const INSTRUMENTS = {
  piano: { harmonics: [1, 0.5, 0.28, 0.16, 0.09, 0.05, 0.03], attack: 0.004, decay: 0.7, hold: 0, release: 0.08 },
  pluck: { harmonics: [1, 0.62, 0.4, 0.3, 0.2, 0.14, 0.1, 0.06], attack: 0.002, decay: 0.28, hold: 0, release: 0.04 },
  pad: { harmonics: [1, 0.35, 0.22, 0.1], attack: 0.45, decay: 2, hold: 0.75, release: 0.6, vibrato: 0.0022 },
  bass: { harmonics: [1, 0.55, 0.2, 0.08], attack: 0.008, decay: 0.5, hold: 0.35, release: 0.05 },
  flute: {
    harmonics: [1, 0.18, 0.09, 0.02],
    attack: 0.07,
    decay: 1,
    hold: 0.8,
    release: 0.12,
    vibrato: 0.005,
    breath: 0.003,
  },
  bell: { harmonics: [1, 0, 0.45, 0, 0.3, 0, 0, 0.12], attack: 0.001, decay: 0.9, hold: 0, release: 0.3 },
}

/** Renders `score.notes` and `score.drums` into two Float64Arrays of `score.seconds`, -1 to 1. */
export function render(score, sampleRate) {
  const length = Math.round(score.seconds * sampleRate)
  const mix = [new Float64Array(length), new Float64Array(length)]
  const hiss = noise(score.seed)
  for (const note of score.notes) playNote(mix, note, sampleRate, hiss)
  for (const drum of score.drums) playDrum(mix, drum, sampleRate, hiss)
  echo(mix, Math.round(score.echoSeconds * sampleRate), score.echo)
  finish(mix, Math.round(score.fadeSeconds * sampleRate))
  return mix
}

function playNote([left, right], { at, seconds, midi, gain, pan, instrument }, rate, hiss) {
  const { harmonics, attack, decay, hold, release, vibrato = 0, breath = 0 } = INSTRUMENTS[instrument]
  const pitch = hertz(midi)
  const audible = harmonics.filter((_, index) => pitch * (index + 1) < rate * 0.42)
  const start = Math.round(at * rate)
  const held = Math.round(seconds * rate)
  const end = Math.min(held + Math.round(release * rate), left.length - start)
  const fall = 1 - 1 / (decay * rate)
  let level = 1
  let turns = 0
  for (let index = 0; index < end; index++) {
    const bend = vibrato * sine((index / rate) * 5.2) * Math.min(1, index / (rate * 0.4))
    turns += (pitch * (1 + bend)) / rate
    let value = 0
    for (let harmonic = 0; harmonic < audible.length; harmonic++)
      value += audible[harmonic] * sine(turns * (harmonic + 1))
    value += breath * hiss()
    const rise = Math.min(1, index / (attack * rate))
    const drop = index < held ? 1 : 1 - (index - held) / (release * rate)
    value *= gain * rise * drop * (hold + (1 - hold) * level)
    level *= fall
    left[start + index] += value * (1 - pan)
    right[start + index] += value * pan
  }
}

function playDrum([left, right], { at, gain, pan, kind }, rate, hiss) {
  const start = Math.round(at * rate)
  const seconds = { kick: 0.28, hat: 0.07, brush: 0.2 }[kind]
  const end = Math.min(Math.round(seconds * rate), left.length - start)
  let turns = 0
  let last = 0
  for (let index = 0; index < end; index++) {
    const left01 = 1 - index / (seconds * rate)
    const fall = left01 * left01 * left01
    turns += (44 + 90 * fall) / rate
    const white = hiss()
    const high = white - last
    last = kind === 'brush' ? last * 0.6 + white * 0.4 : white
    const value = gain * fall * (kind === 'kick' ? sine(turns) : high * 0.5)
    left[start + index] += value * (1 - pan)
    right[start + index] += value * pan
  }
}

/** Echoes that go from side to side. */
function echo([left, right], delay, strength) {
  for (let index = delay; index < left.length; index++) {
    left[index] += right[index - delay] * strength
    right[index] += left[index - delay] * strength
  }
}

/** Fades the end out and brings the loudest sample to a half. */
function finish(mix, fade) {
  let peak = 0
  for (const channel of mix) {
    for (let index = 0; index < channel.length; index++) {
      channel[index] *= Math.min(1, (channel.length - 1 - index) / fade)
      peak = Math.max(peak, Math.abs(channel[index]))
    }
  }
  for (const channel of mix) {
    for (let index = 0; index < channel.length; index++) channel[index] *= 0.5 / peak
  }
}

/** Rounds to whole-number samples of `bitDepth`, with triangular dither so that quiet tails stay smooth. */
export function quantise(mix, bitDepth, seed) {
  const full = 2 ** (bitDepth - 1) - 1
  const dither = noise(seed)
  return mix.map((channel) => {
    const samples = new Int32Array(channel.length)
    for (let index = 0; index < samples.length; index++) {
      const rounded = Math.floor(channel[index] * full + (dither() + dither()) / 2 + 0.5)
      samples[index] = Math.max(-full - 1, Math.min(full, rounded))
    }
    return samples
  })
}

/** Both channels as one. */
export const mono = ([left, right]) => [left.map((value, index) => (value + right[index]) / 2)]
