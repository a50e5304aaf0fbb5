// Relayed connections, pairs of NATs and relay outages: what is run, and whether it is what was seen of real ones.
import { readFileSync } from 'node:fs'
import { median, percentile } from './statistics.mjs'

export const PATH_BARS = { median: 0.05, roundTripsToDirect: 0.25, stall: 0.2 }

const REFERENCE = JSON.parse(readFileSync(new URL('./reference/paths.json', import.meta.url), 'utf8'))
/** Neither of them lets the other in, so that such a pair stays relayed. */
const STUCK = ['symmetric', 'symmetric']
const OPEN = ['none', 'none']

/** Groups of rows: each has tasks for the pool and turns their results into figures. */
export function pathGroups(seeds) {
  return [
    natPairs(REFERENCE.natPairs, Math.ceil(seeds / 10)),
    relayed(REFERENCE.relayed, seeds),
    outages(REFERENCE.outages, seeds),
  ]
}

function natPairs({ linkMs, kinds, relayed, roundTripsToDirect }, seeds) {
  const pairs = kinds.flatMap((client) => kinds.map((server) => [client, server]))
  const roundTripMs = 4 * linkMs
  return {
    name: 'nat-pairs',
    tasks: pairs.map((nats) => ({ scenario: 'natPair', setting: { nats, linkMs }, seeds })),
    judge(results) {
      const outcomes = pairs.map((nats, i) => {
        const expected = relayed.some(([client, server]) => client === nats[0] && server === nats[1])
          ? 'relayed'
          : 'direct'
        const found = [...new Set(results[i].map(({ outcome }) => outcome))]
        return { nats, expected, found, pass: found.length === 1 && found[0] === expected }
      })
      const punched = results.flat().flatMap(({ directAfter }) => (directAfter > 0 ? [directAfter / roundTripMs] : []))
      const wrong = outcomes.filter(({ pass }) => !pass)
      const figures = [
        {
          label: `outcomes of ${pairs.length} pairs`,
          measured: pairs.length,
          simulated: pairs.length - wrong.length,
          error: -wrong.length / pairs.length,
          bar: 'identical',
          pass: wrong.length === 0,
          ...(wrong.length > 0 && {
            wrong: wrong.map(({ nats, found }) => `${nats.join(' x ')}: ${found.join(' or ')}`),
          }),
        },
        within('round trips to direct', roundTripsToDirect, median(punched), PATH_BARS.roundTripsToDirect),
      ]
      return { figures, outcomes, roundTripsToDirect: punched }
    },
  }
}

function relayed({ linkMs, lossPercent }, seeds) {
  const roundTripMs = 4 * linkMs
  const task = (nats, loss) => ({ scenario: 'transferAtHome', setting: { nats, linkMs, lossPercent: loss }, seeds })
  return {
    name: 'relayed',
    tasks: [task(STUCK, 0), task(OPEN, 0), task(STUCK, lossPercent), task(OPEN, lossPercent)],
    judge([clean, cleanDirect, lossy, lossyDirect]) {
      const rtts = (results) => results.flatMap(({ rtt }) => rtt)
      const bulk = (results) => median(results.map(({ cold }) => cold))
      const tail = (results) => percentile(rtts(results), 0.99)
      const slower = (label, [a, b]) => ({ label, simulated: a / b, bar: '> 1', pass: a > b })
      return {
        figures: [
          within('connect', roundTripMs, median(clean.map(({ connect }) => connect)), PATH_BARS.median),
          within('RTT p50', roundTripMs, median(rtts(clean)), PATH_BARS.median),
          { label: '1 MiB', simulated: bulk(clean) },
          { label: '1 MiB direct', simulated: bulk(cleanDirect) },
          { label: `1 MiB, ${lossPercent} % loss`, simulated: bulk(lossy) },
          { label: `1 MiB direct, ${lossPercent} % loss`, simulated: bulk(lossyDirect) },
          slower(`1 MiB, ${lossPercent} % loss, direct / relayed`, [bulk(lossyDirect), bulk(lossy)]),
          slower(`RTT p99, ${lossPercent} % loss, relayed / direct`, [tail(lossy), tail(lossyDirect)]),
        ],
      }
    },
  }
}

function outages({ linkMs, killed }, seeds) {
  return {
    name: 'relay-outages',
    tasks: killed.map(({ forMs }) => ({
      scenario: 'relayOutage',
      setting: { linkMs, forMs },
      seeds: Math.ceil(seeds / 4),
    })),
    judge(results) {
      return {
        lost: results.flat().filter((result) => result === undefined).length,
        figures: killed.map(({ forMs, stallMs }, i) => {
          const stalls = results[i].flatMap((result) => result?.stall ?? [])
          return {
            ...within(`stall, away ${forMs / 1000} s`, stallMs, median(stalls), PATH_BARS.stall),
            samples: stalls,
          }
        }),
      }
    },
  }
}

function within(label, measured, simulated, bar) {
  const error = simulated / measured - 1
  return { label, measured, simulated, error, bar: `${100 * bar} %`, pass: Math.abs(error) <= bar }
}
