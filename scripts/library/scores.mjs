// The pieces: a chord a bar, a pattern for the arpeggio and the bass, a melody, a beat.

const STEPS = { c: 0, d: 2, e: 4, f: 5, g: 7, a: 9, b: 11 }
const CHORDS = { '': [0, 4, 7], m: [0, 3, 7], 7: [0, 4, 7, 10], m7: [0, 3, 7, 10], maj7: [0, 4, 7, 11], sus: [0, 5, 7] }

/** `c4` is 60, `f#3` 54, `bb2` 46. */
function midi(name) {
  const [, letter, accidental, octave] = /^([a-g])([#b]?)(\d)$/.exec(name)
  return 12 * (Number(octave) + 1) + STEPS[letter] + { '': 0, '#': 1, b: -1 }[accidental]
}

/** `Am7` rooted in the third octave. */
function chord(name) {
  const [, root, accidental, kind] = /^([A-G])([#b]?)(.*)$/.exec(name)
  const base = midi(`${root.toLowerCase()}${accidental}3`)
  return CHORDS[kind].map((step) => base + step)
}

/**
 * Turns a piece into notes and drums. `melody` is `note:beats` or `-:beats` (a rest), repeated as long as the piece
 * lasts; `arp` has an index into the chord per step, `.` for none; `beat` has a letter per step: k, h, b or `.`.
 */
export function score(piece) {
  const beat = 60 / piece.bpm
  const notes = []
  const drums = []
  const step = beat / piece.stepsPerBeat
  const bars = Math.ceil(piece.seconds / (4 * beat))
  for (let bar = 0; bar < bars; bar++) {
    const tones = chord(piece.chords[bar % piece.chords.length])
    const start = bar * 4 * beat
    for (const tone of piece.pad ? tones : []) {
      notes.push({
        at: start,
        seconds: 4 * beat,
        midi: tone,
        gain: piece.pad,
        pan: 0.3 + 0.1 * (tone % 5),
        instrument: 'pad',
      })
    }
    for (const [at, symbol] of [...piece.bass].entries()) {
      if (symbol === '.') continue
      const tone = tones[Number(symbol)] - 12
      notes.push({ at: start + at * beat, seconds: beat * 0.9, midi: tone, gain: 0.5, pan: 0.5, instrument: 'bass' })
    }
    for (const [at, symbol] of [...piece.arp].entries()) {
      if (symbol === '.') continue
      const index = Number(symbol)
      const tone = tones[index % tones.length] + 12 * (1 + Math.floor(index / tones.length))
      const pan = at % 2 === 0 ? 0.3 : 0.7
      notes.push({ at: start + at * step, seconds: step, midi: tone, gain: 0.22, pan, instrument: piece.instrument })
    }
    for (const [at, symbol] of [...piece.beat].entries()) {
      const drum = { k: ['kick', 0.9, 0.5], h: ['hat', piece.hat, 0.6], b: ['brush', piece.hat * 1.5, 0.42] }[symbol]
      if (drum) drums.push({ at: start + at * step, kind: drum[0], gain: drum[1], pan: drum[2] })
    }
  }
  let at = piece.melodyFrom * 4 * beat
  const melody = piece.melody.split(' ').map((word) => word.split(':'))
  for (let index = 0; at < piece.seconds; index++) {
    const [name, beats] = melody[index % melody.length]
    const seconds = Number(beats) * beat
    if (name !== '-') {
      notes.push({ at, seconds: seconds * 0.95, midi: midi(name), gain: 0.32, pan: 0.5, instrument: piece.lead })
    }
    at += seconds
  }
  const inside = (event) => event.at < piece.seconds - 0.05
  return {
    seconds: piece.seconds,
    seed: piece.seed,
    notes: notes.filter(inside),
    drums: drums.filter(inside),
    echo: piece.echo,
    echoSeconds: beat * 0.75,
    fadeSeconds: 1.8,
  }
}

const ELECTRONIC = { stepsPerBeat: 4, instrument: 'pluck', echo: 0.28, hat: 0.04, pad: 0.1, melodyFrom: 1 }
const ACOUSTIC = { stepsPerBeat: 2, instrument: 'piano', echo: 0.14, hat: 0.03, pad: 0.05, melodyFrom: 1 }

export const PIECES = {
  firstPacket: {
    ...ELECTRONIC,
    seed: 11,
    bpm: 112,
    seconds: 10,
    chords: ['Am7', 'Fmaj7', 'C', 'G'],
    bass: '0.02',
    arp: '0.2.4.2.5.4.2.1.',
    beat: 'k...h...k..kh...',
    lead: 'bell',
    melody: 'e5:1 d5:.5 c5:.5 a4:2 c5:1 b4:.5 a4:.5 g4:2',
  },
  symmetric: {
    ...ELECTRONIC,
    seed: 12,
    bpm: 96,
    seconds: 10.5,
    chords: ['Dm7', 'Bb', 'F', 'C'],
    bass: '0..0',
    arp: '0123432101234321',
    beat: 'k.h.b.h.k.hkb.h.',
    lead: 'flute',
    melody: 'a4:1.5 f4:.5 d5:2 c5:1.5 a4:.5 bb4:2 a4:1 g4:1 e4:2',
  },
  keepAlive: {
    ...ELECTRONIC,
    seed: 13,
    bpm: 124,
    seconds: 20.5,
    hat: 0.06,
    chords: ['Em7', 'C', 'G', 'D', 'Em7', 'C', 'Am7', 'B7'],
    bass: '0202',
    arp: '0.24.20.4.25.420',
    beat: 'k.hhb.h.k.hkb.hh',
    lead: 'flute',
    melody: 'b4:1 e5:1 d5:.5 b4:.5 g4:1 a4:1.5 b4:.5 c5:1 d5:1 b4:2 -:1 e5:1 f#5:.5 g5:.5 d5:2 b4:2',
  },
  tenMilliseconds: {
    ...ELECTRONIC,
    seed: 21,
    bpm: 84,
    seconds: 10,
    pad: 0.16,
    chords: ['Cmaj7', 'Am7', 'Fmaj7', 'G'],
    bass: '0...',
    arp: '0...2...4...2.5.',
    beat: '................',
    lead: 'bell',
    melody: 'g5:1 e5:1 b4:1 c5:1 e5:2 d5:2',
  },
  aroundTheRelay: {
    ...ELECTRONIC,
    seed: 22,
    bpm: 104,
    seconds: 10.5,
    chords: ['F', 'Dm7', 'Gm7', 'C7'],
    bass: '01.2',
    arp: '024.024.135.135.',
    beat: 'k...b...k.k.b...',
    lead: 'bell',
    melody: 'c5:1 a4:1 f4:1 g4:1 a4:1 c5:.5 d5:.5 e5:2',
  },
  paperLanterns: {
    ...ACOUSTIC,
    seed: 31,
    bpm: 76,
    seconds: 15,
    chords: ['G', 'Em', 'C', 'D'],
    bass: '0.2.',
    arp: '02423242',
    beat: '........',
    lead: 'flute',
    melody: 'd5:1.5 b4:.5 g4:1 a4:1 b4:2 a4:1 g4:1 e4:1.5 g4:.5 c5:2 a4:3 -:1',
  },
  bridgesInTheFog: {
    ...ACOUSTIC,
    seed: 32,
    bpm: 66,
    seconds: 14,
    pad: 0.12,
    chords: ['Bm7', 'Gmaj7', 'D', 'A'],
    bass: '0...',
    arp: '0.2.4.2.',
    beat: 'b...b...',
    lead: 'piano',
    melody: 'f#5:1 e5:1 d5:2 b4:1 d5:1 e5:2 f#5:1.5 a5:.5 d5:2 c#5:3 -:1',
  },
  kitchenRadio: {
    ...ACOUSTIC,
    seed: 33,
    bpm: 120,
    seconds: 10,
    chords: ['C', 'Am', 'F', 'G7'],
    bass: '0202',
    arp: '.1.2.1.2',
    beat: 'k.b.k.bh',
    lead: 'piano',
    melody: 'e5:.5 g5:.5 e5:1 c5:1 d5:.5 e5:.5 f5:1 a5:1 g5:1 b4:1',
  },
}
