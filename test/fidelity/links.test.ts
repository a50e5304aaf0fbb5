/** Measured links in their own words, and in the simulator's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { isErratic, linkOptions, parseLink } from '../../bench/fidelity/links.mjs'
import { loadReference } from '../../bench/fidelity/reference.mjs'

describe('a link in the words of its samples', () => {
  test('says what it is like', () => {
    expect(parseLink('delay=25,jit=5,reorder=1')).toMatchObject({ delayMs: 25, jitterMs: 5, reorders: true })
    expect(parseLink('delay=60, loss=0.5')).toMatchObject({ delayMs: 60, lossPercent: 0.5, reorders: false })
    expect(parseLink('ge=1:5').burst).toEqual({ percent: 1, packets: 5 })
    expect(parseLink('delay=25ms;rate=20mbit;loss=1%')).toMatchObject({ delayMs: 25, rateMbit: 20, lossPercent: 1 })
  })

  test('has a queue of 50 ms, and of 30 packets at least, in front of a rate', () => {
    expect(parseLink('rate=20').queueBytes).toBe(125_000)
    expect(parseLink('rate=1').queueBytes).toBe(44_400)
    expect(parseLink('rate=1,queue=9000').queueBytes).toBe(9000)
    expect(parseLink('delay=1').queueBytes).toBeUndefined()
  })

  test('is refused rather than misunderstood', () => {
    expect(() => parseLink('delay=25,dup=1')).toThrow('"dup" is not one of')
    expect(() => parseLink('delay=-1')).toThrow('must be a number from 0')
    expect(() => parseLink('delay=soon')).toThrow('must be a number from 0')
    expect(() => parseLink('ge=1')).toThrow('must be a number from 0')
  })
})

test('the simulator gets the same link', () => {
  expect(linkOptions(parseLink('delay=25,jit=5,loss=0.5,rate=20,queue=125000'))).toEqual({
    latencyMs: 25.085,
    jitterMs: 5,
    jitterDistribution: 'uniform',
    keepOrder: true,
    packetLoss: 0.005,
    bandwidthLimitBitsPerSecond: 20_000_000,
    queueBytes: 125_000,
    mtuBytes: 1452,
  })
  const bursty = linkOptions(parseLink('ge=1:5,reorder=1')).packetLoss
  expect(bursty).toMatchObject({ badToGood: 0.2, lossInGood: 0 })
  expect(linkOptions(parseLink('ge=1:5,loss=2')).packetLoss).toMatchObject({ badToGood: 0.2, lossInGood: 0.02 })
  expect(linkOptions(parseLink('normal=3'))).toMatchObject({ jitterMs: 3, jitterDistribution: 'normal' })
  expect(linkOptions(parseLink('tail=4'))).toMatchObject({ jitterMs: 4, jitterDistribution: 'long-tail' })
  expect(linkOptions(parseLink('reorder=1')).keepOrder).toBe(false)
  expect(linkOptions(parseLink('delay=25'), 0.03).latencyMs).toBe(25.03)
})

test('samples say what the emulator added and what hosts took, where they were measured with it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fidelity-'))
  const file = join(folder, 'samples.jsonl')
  const sample = (link: string, emulatorMs?: number): string => {
    return JSON.stringify({ link, up: 'delay=25', connect: 52, rtt: [50.5], emulatorMs })
  }
  const of = (...lines: string[]): [string, number][] => {
    writeFileSync(file, lines.join('\n'))
    return loadReference(pathToFileURL(file)).map(({ name, emulatorMs }) => [name, emulatorMs])
  }
  try {
    expect(of(sample('a', 0.02), sample('a', 0.09), sample('a', 0.03), sample('b'))).toEqual([
      ['a', 0.03],
      ['b', 0.085],
    ])
    expect(() => of(sample('a', -1))).toThrow('line 1: emulatorMs = -1 is no time')
    const paced = (processingMs: unknown): string =>
      JSON.stringify({ link: 'a', up: 'delay=25', connect: 52, processingMs })
    writeFileSync(file, [paced(0.01), paced(0.03), paced(0.02), sample('b')].join('\n'))
    expect(loadReference(pathToFileURL(file)).map((row) => row.processingMs)).toEqual([0.02, undefined])
    expect(() => of(paced('a while'))).toThrow('line 1: processingMs = a while is no time')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what is lossy or overtakes itself is judged by its distribution', () => {
  const erratic = ['loss=1', 'ge=1:5', 'jit=5,reorder=1'].map((text) => isErratic(parseLink(text)))
  const steady = ['delay=25', 'jit=5', 'rate=1', 'delay=25,reorder=1'].map((text) => isErratic(parseLink(text)))
  expect(erratic).toEqual([true, true, true])
  expect(steady).toEqual([false, false, false, false])
})
