/**
 * Real randomness for a simulation that was given no seed.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'

/** A whole number from 0 to 2^64 - 1. */
export function randomSeed(): bigint {
  return randomBytes(8).readBigUInt64LE()
}
