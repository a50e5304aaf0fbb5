// Relayed connections, pairs of NATs and relay outages: what is run, and whether it is what was seen of real ones.
import { readFileSync } from 'node:fs'
import { alike, BARS, within } from './judge.mjs'
import { median, percentile } from './statistics.mjs'

export const PATH_BARS = { median: 0.05, roundTripsToDirect: 0.25, stall: 0.2 }

const read = (name) => readFileSync(new URL(`./reference/${name}`, import.meta.url), 'utf8')
const REFERENCE = JSON.parse(read('paths.json'))
/** What was measured over lines that lose, by the kind of path. */
const LOSSY_HOMES = read('lossy-homes.jsonl')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
/** Neither of them lets the other in, so that such a pair stays relayed. */
const STUCK = ['symmetric', 'symmetric']
const OPEN = ['none', 'none']

/** Groups of rows: each has tasks for the pool and turns their results into figures. */
export function pathGroups(seeds, isQuick) {
  return [
    natPairs(REFERENCE.natPairs, Math.ceil(seeds / 10)),
    relayed(REFERENCE.relayed, seeds),
    lossyHomes(REFERENCE.lossyHomes, Math.ceil(seeds / 4), isQuick),
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

function relayed({ linkMs }, seeds) {
  const roundTripMs = 4 * linkMs
  const task = (nats) => ({ scenario: 'loadAtHome', setting: { nats, linkMs, requests: 60, transfers: 1 }, seeds })
  return {
    name: 'relayed',
    tasks: [task(STUCK), task(OPEN)],
    judge([relayed, direct]) {
      const bulk = (results) => median(results.flatMap(({ transferMs }) => transferMs))
      return {
        figures: [
          within('connect', roundTripMs, median(relayed.map(({ connect }) => connect)), PATH_BARS.median),
          within('RTT p50', roundTripMs, median(relayed.flatMap(({ requestMs }) => requestMs)), PATH_BARS.median),
          { label: '1 MiB', simulated: bulk(relayed) },
          { label: '1 MiB direct', simulated: bulk(direct) },
        ],
      }
    },
  }
}

function lossyHomes({ linkMs, lossPercent, requests, transfers }, seeds, isQuick) {
  const setting = { linkMs, lossPercent, requests, transfers }
  const nats = { relayed: STUCK, direct: OPEN }
  return {
    name: 'lossy-homes',
    tasks: LOSSY_HOMES.map(({ path }) => ({
      scenario: 'loadAtHome',
      setting: { ...setting, nats: nats[path] },
      seeds,
    })),
    judge(results) {
      return {
        figures: LOSSY_HOMES.flatMap(({ path, requestMs, transferMs }, i) => {
          const simulatedMs = results[i].flatMap((result) => result.requestMs)
          const rtt = (label, share, bar) => ({
            ...within(`rtt${100 * share}`, percentile(requestMs, share), percentile(simulatedMs, share), bar),
            label: `${path}, ${label}`,
          })
          const simulatedTransfers = results[i].flatMap((result) => result.transferMs)
          return [
            rtt('RTT p50', 0.5, BARS.median),
            rtt('RTT p90', 0.9),
            rtt('RTT p99', 0.99, BARS.p99Erratic),
            { ...alike('transfer', transferMs, simulatedTransfers, isQuick), label: `${path}, 1 MiB` },
          ]
        }),
      }
    },
  }
}

function outages({ linkMs, killed, streams }, seeds) {
  const task = (setting, count) => ({ scenario: 'relayOutage', setting, seeds: Math.ceil(count) })
  return {
    name: 'relay-outages',
    tasks: [
      ...killed.map(({ forMs }) => task({ linkMs, forMs }, seeds / 4)),
      task({ linkMs: streams.linkMs, forMs: streams.forMs, streams: true }, seeds),
    ],
    judge(results) {
      const stallsOf = (some) => some.flatMap((result) => result?.stall ?? [])
      const stall = (label, measuredMs, stalls) => ({
        ...within(label, measuredMs, median(stalls), PATH_BARS.stall),
        samples: stalls,
      })
      const requests = results.slice(0, killed.length).flat()
      const streaming = results[killed.length]
      const streamStalls = stallsOf(streaming)
      return {
        // Those of the streams have a figure of their own.
        lost: requests.length - stallsOf(requests).length,
        figures: [
          ...killed.map(({ forMs, stallMs }, i) =>
            stall(`stall, away ${forMs / 1000} s`, stallMs, stallsOf(results[i])),
          ),
          stall(`stall of streams, away ${streams.forMs / 1000} s`, streams.stallMs, streamStalls),
          // Without a bar: a share that small would need thousands of real outages.
          {
            label: 'streams lost, %',
            measured: (100 * streams.lost) / streams.connections,
            simulated: (100 * (streaming.length - streamStalls.length)) / streaming.length,
          },
        ],
      }
    },
  }
}
