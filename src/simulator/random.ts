/**
 * Deterministic random numbers: sfc32, one stream a name. A stream's state is a hash of the seed and its name, so that
 * the draws of one host or link never depend on which others exist.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { P2PError } from '../core/errors.ts'
import { EventKind } from './audit.ts'
import type { Audit, RandomStream } from './kernel.ts'

/** Called with every number drawn. */
export type DrawListener = (value: number) => void

/** PractRand's seeding from three words: counter 1, fifteen rounds thrown away. */
const WARM_UP_ROUNDS = 15

/** What all streams make of their words. */
abstract class Draws implements RandomStream {
  abstract nextU32(): number

  /** @throws P2PError `invalid-configuration` when `bound` is not a whole number from 1 to 2^32 */
  nextBelow(bound: number): number {
    const last = bound - 1
    if (last >>> 0 !== last) {
      throw P2PError.of('invalid-configuration', `a random bound is a whole number from 1 to 2^32, not ${bound}`, {
        setting: 'bound',
        value: bound,
      })
    }
    if (last === 0) return 0
    // As many bits as `last` has, again until they fit: less than two draws on average, and no bias.
    const shift = Math.clz32(last)
    for (;;) {
      const value = this.nextU32() >>> shift
      if (value <= last) return value
    }
  }

  nextFloat(): number {
    return this.nextU32() / 4_294_967_296
  }
}

/**
 * Chris Doty-Humphrey's sfc32 (PractRand, version 4): 128 bits of state, at least 2^32 numbers before it repeats, on
 * average 2^127. Not for secrets.
 */
export class Sfc32 extends Draws {
  #a: number
  #b: number
  #c: number
  #counter = 1
  readonly #onDraw: DrawListener | undefined

  /** The words are taken modulo 2^32. */
  constructor(a: number, b: number, c: number, onDraw?: DrawListener) {
    super()
    this.#a = a | 0
    this.#b = b | 0
    this.#c = c | 0
    for (let round = 0; round < WARM_UP_ROUNDS; round++) this.#next()
    this.#onDraw = onDraw
  }

  nextU32(): number {
    const value = this.#next()
    this.#onDraw?.(value)
    return value
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}

/** The stream called `name` of a seed: SHA-256 of both is its state. */
export function randomStream(seed: bigint, name: string, onDraw?: DrawListener): Sfc32 {
  const state = createHash('sha256').update(`${seed}\0${name}`).digest()
  return new Sfc32(state.readUInt32LE(0), state.readUInt32LE(4), state.readUInt32LE(8), onDraw)
}

/**
 * A stream whose draws enter the history's hash under a number. Its state is made at the first of them: a host has several
 * streams, and mostly draws from one.
 */
export class RecordedStream extends Draws {
  readonly #audit: Audit
  readonly #index: number
  readonly #seed: bigint
  readonly #name: string
  #stream: Sfc32 | undefined

  constructor(audit: Audit, index: number, seed: bigint, name: string) {
    super()
    this.#audit = audit
    this.#index = index
    this.#seed = seed
    this.#name = name
  }

  nextU32(): number {
    const value = (this.#stream ??= randomStream(this.#seed, this.#name)).nextU32()
    this.#audit.record(EventKind.draw, this.#index, value)
    return value
  }
}

/** `length` bytes of a stream, four a draw. */
export function drawBytes(stream: RandomStream, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let offset = 0; offset < length; offset += 4) {
    const word = stream.nextU32()
    const end = Math.min(4, length - offset)
    for (let i = 0; i < end; i++) bytes[offset + i] = word >>> (8 * i)
  }
  return bytes
}
