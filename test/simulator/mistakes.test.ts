import { expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { burstyLoss, Simulation } from '../../src/simulator/index.ts'

/** Calls that the compiler would refuse, from JavaScript or from JSON. */
type Loose = any // oxlint-disable-line typescript/no-explicit-any

type Mistake = readonly [what: string, make: (sim: Loose) => unknown, says: string]

const home = (sim: Loose): Loose => sim.lan({ name: 'home', portMapping: true })
const graph = (sim: Loose): Loose => {
  const { graph: it } = sim.topology.fabric
  it.addNode('exchange')
  it.connectNodes('exchange', 'internet')
  return it
}
const link = (options: unknown) => (sim: Loose) => sim.host('a', { link: options })

const MISTAKES: readonly Mistake[] = [
  ['a latency as text', link({ latencyMs: '5' }), 'link a up: latencyMs = "5": must be milliseconds'],
  ['a latency that is true', link({ latencyMs: true }), 'latencyMs = true'],
  ['a loss as text', link({ packetLoss: '0.5' }), 'packetLoss = "0.5": must be a probability'],
  ['a loss that is a list', link({ packetLoss: [0.5] }), 'packetLoss = 0.5: must be a probability'],
  [
    'a field of bursty loss that is misspelt',
    link({ packetLoss: { goodToBad: 0, badToGood: 1, lossInbad: 1 } }),
    'lossInbad',
  ],
  ['a probability of bursty loss as text', link({ packetLoss: { goodToBad: '0', badToGood: 1 } }), 'goodToBad = "0"'],
  ['null for an option of a link', link({ latencyMs: null }), 'latencyMs = null: leave it out'],
  ['a list for a link', link([]), 'must be an object of link options'],
  ['one way of a line only', link({ up: {} }), 'must have both up and down'],
  ['a way that is null', link({ up: {}, down: null }), 'up and down must be objects'],
  ['options beside up and down', link({ up: {}, down: {}, latencyMs: 5 }), 'has no option "latencyMs"'],
  ['an average loss as text', () => burstyLoss('0.1' as Loose, 5), 'averageLoss'],
  ['an option of a simulation that is misspelt', () => new Simulation({ sed: 5 } as Loose), 'has no option "sed"'],
  ['a setting that is misspelt', () => new Simulation({ config: { latency: 5 } as Loose }), 'has no option "latency"'],
  [
    'a setting that is NaN',
    () => new Simulation({ config: { partitionProbability: Number.NaN } }),
    'config.partitionProbability = NaN: must be a number from 0 to 1',
  ],
  ['steps of no length', () => new Simulation({ config: { stepSizeMs: 0 } }), 'config.stepSizeMs = 0'],
  ['a run of no length', () => new Simulation({ config: { durationMs: 0 } }), 'config.durationMs = 0: time must move'],
  ['settings that are a number', () => new Simulation({ config: 5 as Loose }), 'config = 5'],
  ['a limit that is NaN', () => new Simulation({ hangLimitMs: Number.NaN }), 'hangLimitMs = NaN'],
  ['an unknown way to settle', () => new Simulation({ settle: 'never' as Loose }), 'settle = "never"'],
  ['a trace that is a number', () => new Simulation({ trace: 5 as Loose }), 'trace = 5'],
  ['an option of a host that is misspelt', (sim) => sim.host('a', { nat: 'home' }), 'a host has no option "nat"'],
  ['a pace as text', (sim) => sim.host('a', { processingMs: '5' }), 'processingMs = "5": must be milliseconds'],
  ['a pace below 0', (sim) => sim.host('a', { processingMs: -1 }), 'processingMs = -1: must be milliseconds from 0 to'],
  [
    'the name of a LAN for the LAN',
    (sim) => [home(sim), sim.host('a', { lan: 'home' })],
    'lan = "home": is no LAN of this internet: give what `lan()` has returned',
  ],
  ['a LAN that is null', (sim) => sim.host('a', { lan: null }), 'a host: lan = null'],
  ['a number for an address', (sim) => sim.host('a', { ip: 5 }), 'ip = 5: is no IPv4 or IPv6 address'],
  ['the loopback address', (sim) => sim.host('a', { ip: '127.0.0.1' }), 'is not an address of a single host'],
  ['a multicast address', (sim) => sim.host('a', { ip: 'ff02::1' }), 'is not an address of a single host'],
  [
    "a LAN's broadcast address",
    (sim) => sim.host('a', { lan: home(sim), ip: '192.168.1.255' }),
    'is not an address of a single host',
  ],
  [
    'a host that is a text',
    (sim) => sim.host('a', 'program.js'),
    'options of a host = "program.js": must be an object',
  ],
  ['a program that is none', (sim) => sim.host('a', {}, 'program.js'), 'program = "program.js": must be a function'],
  ['port mapping that is no flag', (sim) => sim.host('a', { portMapping: 'yes' }), 'portMapping = "yes"'],
  ['a clock that is misspelt', (sim) => sim.host('a', { clock: { drift: 5 } }), 'a clock has no option "drift"'],
  ['an option of a LAN that is misspelt', (sim) => sim.lan({ natt: 'home' }), 'a LAN has no option "natt"'],
  ['a NAT that is null', (sim) => sim.lan({ nat: null }), 'a LAN: nat = null'],
  ['an unknown kind of IPv6', (sim) => sim.lan({ ipv6: 'closed' }), 'ipv6 = "closed": must be true, false, open'],
  [
    "a mapping of a firewall's",
    (sim) => sim.lan({ ipv6: { mapping: 'endpoint-independent' } }),
    'has no option "mapping"',
  ],
  ['a prefix that is a number', (sim) => sim.lan({ prefix: 5 }), 'prefix = 5'],
  [
    'a time-out as text',
    (sim) => sim.lan({ nat: { mapping: 'address-dependent', filtering: 'address-dependent', mappingTimeoutMs: '5' } }),
    'mappingTimeoutMs = "5"',
  ],
  [
    'a relay without a rate',
    (sim) => sim.relay('r', { rateLimit: { bytesPerSecond: 0 } }),
    'rateLimit.bytesPerSecond = 0',
  ],
  ['a rate that is misspelt', (sim) => sim.relay('r', { rateLimit: { bytes: 5 } }), 'rateLimit has no option "bytes"'],
  ['a scheme that is none', (sim) => sim.relay('r', { scheme: 'ftp' }), 'scheme = "ftp": must be http or https'],
  ['a port that is none', (sim) => sim.relay('r', { port: 70_000 }), 'port = 70000'],
  ['an option of a relay that is misspelt', (sim) => sim.relay('r', { rate: 5 }), 'a relay has no option "rate"'],
  ['an option of a name server that is misspelt', (sim) => sim.nameServer('n', { ttl: 5 }), 'has no option "ttl"'],
  ['a move without anywhere', (sim) => sim.host('a').move(undefined), 'options of a host = undefined'],
  ['an interface without a name', (sim) => sim.host('a').addInterface(''), 'name = ""'],
  ['a slowness that is NaN', (sim) => sim.host('a').slow(Number.NaN), 'eventMs = NaN'],
  ['a drift as text', (sim) => (sim.host('a').clock.driftPpm = '5'), 'driftPpm = "5"'],
  ['an unknown end of a disk', (sim) => sim.host('a').crash({ disk: 'burnt' }), 'disk = "burnt"'],
  ['an operation that is none', (sim) => sim.at(5, 'x'), 'operation = "x": must be a function'],
  [
    'a time that is infinite',
    (sim) => sim.at(Number.POSITIVE_INFINITY, () => {}),
    'time = Infinity: must be milliseconds',
  ],
  ['a time that is null', (sim) => sim.at(null, () => {}), 'time = null'],
  [
    'a group that is a text',
    (sim) => graph(sim).addPartition('exchange'),
    'groupA = "exchange": must be a list of names',
  ],
  [
    'an unknown direction',
    (sim) => graph(sim).addPartition(['exchange'], ['internet'], { direction: 'one-way' }),
    'direction = "one-way"',
  ],
  [
    'an option of a partition that is misspelt',
    (sim) => graph(sim).addPartition(['exchange'], ['internet'], { oneWay: true }),
    'has no option "oneWay"',
  ],
  ['a partition of nobody', (sim) => graph(sim).addPartition(['exchange']), 'has no host and no LAN to be cut off'],
  [
    'a LAN cut off from its own host',
    (sim) => [sim.host('a', { lan: home(sim) }), graph(sim).addPartition(['home'], ['a'])],
    'groupB = "a": is in both groups',
  ],
  ['an unknown kind of node', (sim) => graph(sim).addNode('x', { kind: 'switch' }), 'kind = "switch"'],
  [
    'changes of a link that are null',
    (sim) => graph(sim).updateLink('exchange', 'internet', null),
    'link exchange>internet = null',
  ],
  ['the internet taken away', (sim) => graph(sim).removeNode('internet'), 'is what everything public hangs on'],
  ["a host's interface taken away", (sim) => [sim.host('a'), graph(sim).removeNode('a')], "is a host's interface"],
  ['a router taken away', (sim) => [home(sim), graph(sim).removeNode('home/wan')], 'is the router of the LAN home'],
  ['a rule that is none', (sim) => sim.topology.fabric.rules.add('drop'), 'rule = "drop": must be a function'],
  ['a socket without anybody', (sim) => sim.topology.host('a').bind(5), 'handler = undefined'],
  [
    'a packet to nobody',
    (sim) =>
      sim.topology
        .host('a')
        .bind(5, () => {})
        .send(undefined, 'x', 1),
    'destination = undefined',
  ],
  [
    'a port mapped for no interface',
    (sim) => home(sim).mapPort(sim.host('a'), 5),
    "host = [object Object]: must be a host's interface",
  ],
  [
    'a port mapped for no protocol',
    (sim) => home(sim).mapPort(sim.topology.host('a'), 5, { protocol: 'sctp' }),
    'protocol = "sctp"',
  ],
]

test.each(MISTAKES)('%s is one clear error at that moment', async (_what, make, says) => {
  await using sim = new Simulation({ seed: 1 })
  let error: unknown
  try {
    make(sim)
  } catch (thrown) {
    error = thrown
  }
  expect(P2PError.is(error, 'invalid-configuration') && error.message).toContain(says)
})

test.each([
  [{ forMs: '10' }, 'forMs = "10"'],
  [{ forMS: 10 }, 'has no option "forMS"'],
  [{ until: true }, 'until = true: must be a function'],
  [null, 'options of run() = null'],
])('a run cannot be asked for %j', async (options, says) => {
  await using sim = new Simulation({ seed: 1 })
  sim.host('a', () => {})
  await expect(sim.run(options as Loose)).rejects.toThrow(says)
})

test.each([[undefined], ['dropp'], [{ delay: 5 }], [5], [null]])('a rule cannot say %j', async (verdict) => {
  await using sim = new Simulation({ seed: 1, config: { defaultPacketLoss: 0 } })
  sim.topology.fabric.rules.add(() => verdict as Loose)
  const inbox = sim.topology.host('a').bind(1, () => {})
  const sender = sim.topology.host('b').bind(1, () => {})
  sim.at(1, () => sender.send(inbox.localAddress, 'x', 1))
  await expect(sim.run({ forMs: 1_000 })).rejects.toThrow('must be pass, drop, corrupt, { delayMs } or { copies }')
})

test('half a connection is not left behind', async () => {
  await using sim = new Simulation({ seed: 1 })
  const { graph: it } = sim.topology.fabric
  it.addNode('exchange')
  expect(() => it.connectNodes('exchange', 'internet', {}, { latencyMs: -1 })).toThrow('latencyMs = -1')
  expect([it.hasLink('exchange', 'internet'), it.hasLink('internet', 'exchange')]).toEqual([false, false])
})

test('settings that are undefined are the defaults', async () => {
  await using sim = new Simulation({ seed: 1, config: { stepSizeMs: undefined, durationMs: undefined } as Loose })
  expect(sim.config.stepSizeMs).toBe(10)
})
