// A measured link in the words of its samples (`delay=25,loss=0.5,rate=20,queue=125000`), one way each, and the same
// for the simulator.
import { burstyLoss } from '@moosicbox/p2p/simulator'

export const HEADERS_BYTES = 28
/**
 * What the emulator itself adds to each way of every link where samples do not say it: 0.17 ms to a round trip at the median,
 * measured by itself.
 */
export const EMULATOR_MS = 0.085
/** The largest IP packet of the emulator, and what its queue holds at least. */
const LARGEST_PACKET_BYTES = 1480
const MIN_QUEUE_PACKETS = 30
const QUEUE_SECONDS = 0.05

/** Every word: the names it also goes by, what its number or two are, and which jitter it means. */
const WORDS = {
  delay: { names: ['latency'], unit: 'ms' },
  jit: { names: ['jitter'], unit: 'ms', jitter: 'uniform' },
  normal: { names: [], unit: 'ms', jitter: 'normal' },
  tail: { names: [], unit: 'ms', jitter: 'long-tail' },
  reorder: { names: [], unit: '0 or 1' },
  loss: { names: [], unit: '%' },
  ge: { names: ['gilbert', 'burst'], unit: '% on average : packets a burst' },
  rate: { names: ['bandwidth'], unit: 'Mbit/s' },
  queue: { names: ['limit'], unit: 'bytes' },
  mtu: { names: [], unit: 'bytes of IP' },
}
const CANONICAL = new Map(Object.entries(WORDS).flatMap(([word, { names }]) => [word, ...names].map((n) => [n, word])))

function numberOf(text, word, description) {
  // A unit may stand behind: `25ms`, `1%`, `20mbit`.
  const match = /^(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?:ms|%|mbit(?:\/s)?|mbps|b|bytes)?$/i.exec(text.trim())
  const value = match ? Number(match[1]) : Number.NaN
  if (!(value >= 0))
    throw new Error(`"${description}": ${word} = "${text}" must be a number from 0 (${WORDS[word].unit})`)
  return value
}

/**
 * One way of a link: `delayMs`, `jitterMs` with its `jitterDistribution`, `reorders`, `lossPercent`, `burst` (`percent`,
 * `packets`), `rateMbit`, `queueBytes`, `mtuBytes`; what is not said is 0, false or undefined.
 *
 * @throws Error for a word that is not known: better no figure than one of another link
 */
export function parseLink(description) {
  const way = {
    delayMs: 0,
    jitterMs: 0,
    jitterDistribution: 'uniform',
    reorders: false,
    lossPercent: 0,
    burst: undefined,
    rateMbit: 0,
    queueBytes: undefined,
    mtuBytes: LARGEST_PACKET_BYTES,
  }
  for (const part of description.split(/[,;]/).filter((text) => text.trim() !== '')) {
    const [name = '', value = '1'] = part.split('=')
    const word = CANONICAL.get(name.trim().toLowerCase())
    if (!word) throw new Error(`"${description}": "${name}" is not one of ${Object.keys(WORDS).join(', ')}`)
    if (word === 'ge') {
      const [percent = '', packets = ''] = value.split(':')
      way.burst = { percent: numberOf(percent, word, description), packets: numberOf(packets, word, description) }
      continue
    }
    const number = numberOf(value, word, description)
    const { jitter } = WORDS[word]
    if (word === 'delay') way.delayMs = number
    else if (jitter) Object.assign(way, { jitterMs: number, jitterDistribution: jitter })
    else if (word === 'reorder') way.reorders = number !== 0
    else if (word === 'loss') way.lossPercent = number
    else if (word === 'rate') way.rateMbit = number
    else if (word === 'mtu') way.mtuBytes = Math.min(number, LARGEST_PACKET_BYTES)
    else way.queueBytes = number
  }
  if (way.rateMbit > 0) way.queueBytes ??= defaultQueueBytes(way.rateMbit)
  return way
}

/** 50 ms at the rate and at least 30 packets. */
function defaultQueueBytes(rateMbit) {
  return Math.max(Math.round(rateMbit * 1e6 * QUEUE_SECONDS) / 8, MIN_QUEUE_PACKETS * LARGEST_PACKET_BYTES)
}

/** One way for the simulator, which takes the rate first, then loss, then delay and jitter, as the emulator did. */
export function linkOptions(way, emulatorMs = EMULATOR_MS) {
  const { delayMs, jitterMs, jitterDistribution, reorders, lossPercent, burst, rateMbit, queueBytes, mtuBytes } = way
  const chance = lossPercent / 100
  // Both at once: in a burst everything is lost, outside of one each packet by its own chance.
  const packetLoss = burst ? { ...burstyLoss(burst.percent / 100, burst.packets), lossInGood: chance } : chance
  return {
    latencyMs: delayMs + emulatorMs,
    jitterMs,
    jitterDistribution,
    keepOrder: !reorders,
    packetLoss,
    ...(rateMbit > 0 && { bandwidthLimitBitsPerSecond: Math.round(rateMbit * 1e6), queueBytes }),
    mtuBytes: mtuBytes - HEADERS_BYTES,
  }
}

/** Whether packets get lost on it by chance, or overtake each other: its transfers then spread by factors. */
export function isErratic({ lossPercent, burst, jitterMs, reorders }) {
  return lossPercent > 0 || burst?.percent > 0 || (reorders && jitterMs > 0)
}
