// How fast simulations run: every figure in a process of its own, several times. The workloads W1, W3 and W4 are those
// that other simulators were measured with (docs/simulation.md, "How fast it is").
//   node bench/simulator.mjs [--quick] [--json] [NAME…]
// Wall time is what a user waits; with other work on the machine the processor's time says more.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { summary } from './lib/stats.mjs'
import { printTable, short } from './lib/table.mjs'

const RUN_ONE = fileURLToPath(new URL('./workloads/run-one.mjs', import.meta.url))

/** What is told of a row besides time, memory and packets. */
const perSeed = (seeds) => ({ unit: 'ms a seed', value: ({ ms }) => ms / seeds })
const speed = { unit: 'virtual / real', value: ({ ms, virtualMs }) => virtualMs / ms }
const perEvent = { unit: 'ns CPU an event', value: ({ cpuMs, events }) => (1e6 * cpuMs) / events }
const perPacket = { unit: 'ns CPU a packet', value: ({ cpuMs, packets }) => (1e6 * cpuMs) / packets }
const undisturbed = (what) => ({ unit: `us CPU a ${what}, undisturbed`, value: ({ undisturbedUs }) => undisturbedUs })
const perHost = { unit: 'KiB a host', value: ({ bytesPerHost }) => bytesPerHost / 1024 }
const perConnection = { unit: 'KiB a connection', value: ({ bytesPerConnection }) => bytesPerConnection / 1024 }
const seconds = { unit: 's', value: ({ ms }) => ms / 1000 }

const perSecond = { unit: 'seeds/s', value: ({ ms, seeds }) => (1000 * seeds) / ms }

const row = (name, work, module, workload, args, quick, figures, aim = '') => {
  return { name, work, module, workload, args, quick, figures, aim }
}
const ROWS = [
  row('w1', 'W1, datagrams, a NAT each', 'datagrams', 'w1', {}, { seconds: 600 }, [speed], '>= 3500'),
  row('w1-public', 'W1, datagrams, no NAT', 'datagrams', 'w1', { nat: false }, { seconds: 600 }, [speed]),
  ...[100, 1000, 10_000].map((hosts) =>
    row(
      `w3-${hosts}`,
      `W3, datagrams, ${hosts} hosts`,
      'datagrams',
      'w3',
      { hosts },
      { seconds: 10 },
      [seconds, perEvent],
      hosts === 10_000 ? '<= 8 s' : '',
    ),
  ),
  row(
    'w3-100-long',
    'W3, datagrams, 100 hosts for 6000 s',
    'datagrams',
    'w3',
    { hosts: 100, seconds: 6000 },
    { seconds: 1000 },
    [perEvent],
  ),
  row(
    'hosts-100k',
    '100,000 hosts, a ping a second for 10 s',
    'datagrams',
    'w3',
    { hosts: 100_000, seconds: 10 },
    { seconds: 2 },
    [seconds, perEvent],
    'runs',
  ),
  row('w4', 'W4, datagrams, 1000 seeds', 'datagrams', 'w4', {}, {}, [perSeed(1000)], '<= 0.3'),
  row('memory', '10,000 hosts that wait', 'datagrams', 'memory', {}, {}, [perHost], '<= 10'),
  row('woken', 'events that wake a program', 'transport', 'woken', {}, { sleeps: 4000 }, [perEvent]),
  row(
    'w1-transport',
    'W1, streams over the transport',
    'transport',
    'w1',
    {},
    { seconds: 60 },
    [speed, perPacket, undisturbed('request')],
    '>= 1000',
  ),
  row(
    'w4-transport',
    'W4, streams over the transport, 200 seeds',
    'transport',
    'w4',
    { seeds: 200 },
    {},
    [perSeed(200), undisturbed('seed')],
    '<= 2',
  ),
  row('mesh-1k', '1000 hosts with 3 connections, 60 s', 'transport', 'mesh', { hosts: 1000 }, { hosts: 100 }, [
    seconds,
    perHost,
    perConnection,
  ]),
  row(
    'mesh',
    '10,000 hosts with 3 connections, 60 s',
    'transport',
    'mesh',
    {},
    { hosts: 300 },
    [seconds, perHost, perConnection],
    '<= 10, <= 40',
  ),
  row('bulk', '100 MB over 1 Gbit/s, 10 ms', 'transport', 'bulk', {}, { megabytes: 10 }, [seconds, perPacket]),
  row(
    'bulk-loss',
    '100 MB over 100 Mbit/s, 10 ms, 1 % loss',
    'transport',
    'bulk',
    { bitsPerSecond: 100_000_000, packetLoss: 0.01 },
    { megabytes: 10 },
    [seconds, perPacket],
  ),
  ...[
    ['sweep', 'five hosts, twenty requests each, nothing goes wrong', 'twenty requests each, no faults', '<= 10 s'],
    [
      'sweep-faults',
      'five hosts, twenty requests each, everything goes wrong',
      'twenty requests each, all faults',
      '<= 60 s',
    ],
    ['sweep-gossip', 'five hosts that gossip, nothing goes wrong', 'gossip for 20 s and more, no faults', ''],
    [
      'sweep-gossip-faults',
      'five hosts that gossip, everything goes wrong',
      'gossip for 20 s and more, all faults',
      '<= 60 s',
    ],
  ].map(([name, scenario, work, aim]) =>
    row(
      name,
      `1000 seeds of five hosts, ${work}, all cores`,
      'sweep',
      'sweep',
      { scenario, seeds: 1000 },
      { seeds: 40 },
      [seconds, perSecond],
      aim,
    ),
  ),
]
/** A figure is measured again until this is used up. */
const BUDGET_MS = 20_000
/** Longer than anything takes that works. */
const LIMIT_MS = 600_000

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' } },
  allowPositionals: true,
})
const { json = false, quick = false } = values
const unknown = positionals.filter((name) => !ROWS.some((it) => it.name === name))
if (unknown.length > 0) {
  console.error(`no such figure: ${unknown.join(', ')}; there are ${ROWS.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

function once({ module, workload, args, quick: less }) {
  const given = JSON.stringify(quick ? { ...args, ...less } : args)
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', RUN_ONE, module, workload, given],
    { encoding: 'utf8', timeout: LIMIT_MS },
  )
  if (status === 0) return JSON.parse(stdout)
  return {
    failure:
      signal ??
      stderr
        .trim()
        .split('\n')
        .find((line) => /Error/.test(line)) ??
      `exit ${status}`,
  }
}

const results = []
for (const it of ROWS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
  const rounds = []
  // What takes long is not repeated as often.
  let budgetMs = BUDGET_MS
  while (rounds.length < (quick ? 1 : 7) && budgetMs > 0) {
    const result = once(it)
    rounds.push(result)
    budgetMs -= result.failure ? BUDGET_MS : result.ms
  }
  const failed = rounds.find(({ failure }) => failure)
  if (!json) process.stderr.write(`${it.work}: ${failed ? failed.failure : `${rounds.length} rounds`}\n`)
  results.push({ ...it, rounds: failed ? [] : rounds, failure: failed?.failure })
}

const of = (rounds, value) => (rounds.length === 0 ? undefined : summary(rounds.map(value)))
const figures = results.map(({ name, work, aim, rounds, failure, figures: own }) => ({
  name,
  work,
  aim,
  failure,
  rounds: rounds.length,
  wallMs: of(rounds, ({ ms }) => ms),
  cpuMs: of(rounds, ({ cpuMs }) => cpuMs),
  peakBytes: of(rounds, ({ peakBytes }) => peakBytes),
  packetsPerSecond: of(rounds, ({ ms, packets }) => (1000 * packets) / ms),
  figures: own.map(({ unit, value }) => ({ unit, ...of(rounds, value) })),
}))

if (json) {
  console.log(JSON.stringify({ quick, figures }, null, 2))
} else {
  printTable(
    `simulations, each in a process of its own${quick ? ', a share of the work' : ''}`,
    ['work', 'figure', 'median', 'min..max', 'aim', 'wall s', 'CPU s', 'packets/s', 'peak MiB', 'rounds'],
    figures.flatMap((it) => {
      if (it.failure) return [[it.work, it.failure]]
      const common = [
        (it.wallMs.median / 1000).toFixed(2),
        (it.cpuMs.median / 1000).toFixed(2),
        short(it.packetsPerSecond.median),
        (it.peakBytes.median / 1_048_576).toFixed(0),
        it.rounds,
      ]
      return it.figures.map(({ unit, median, min, max }, i) => {
        const spread = `${short(min)}..${short(max)}`
        return i === 0 ? [it.work, unit, short(median), spread, it.aim, ...common] : ['', unit, short(median), spread]
      })
    }),
  )
}
if (figures.some(({ failure }) => failure)) process.exit(1)
