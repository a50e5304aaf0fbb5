/** What nodes find out about their network: through every door on loopback, and the command. Needs `npm run build`. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { describeNetwork, natKind } from '../../src/core/network-report.ts'
import type { NetworkReport } from '../../src/core/network-report.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { P2PAddress } from '../../src/core/address.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { parseReport } from '../../src/iroh/native/network-report.ts'
import { serveReflector } from '../../src/reflector/index.ts'
import { RelayServer } from '../../src/relay/index.ts'
import type { RelayReflector } from '../../src/relay/index.ts'
import { DOORS } from './doors.ts'
import { LOOPBACK } from './endpoints.ts'

const COMMAND = fileURLToPath(new URL('../../dist/cli/p2p-doctor.js', import.meta.url))
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function create(options: IrohCreateOptions): Promise<IrohP2P> {
  const node = await IrohP2P.create({ bind: LOOPBACK, relayTimeoutMs: 10_000, ...options })
  open.push(node)
  return node
}

/** A relay with two reflectors. */
async function startRelay(): Promise<RelayServer> {
  const reflectors: RelayReflector[] = []
  for (let i = 0; i < 2; i++) {
    const node = await create({ relay: 'disabled' })
    await serveReflector(node)
    reflectors.push({
      id: node.localNodeId(),
      addresses: [node.address().direct.find((a) => a.startsWith('127.')) ?? ''],
    })
  }
  const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, reflectors })
  open.push(relay)
  return relay
}

describe('the kind of a NAT', () => {
  const seen = (...addresses: string[]): { observer: string; address: string }[] =>
    addresses.map((address, i) => ({ observer: String(i), address }))

  test.each([
    ['nobody has seen it', seen(), 'unknown'],
    ['one has', seen('198.51.100.1:5'), 'unknown'],
    ['two have, at one address', seen('198.51.100.1:5', '198.51.100.1:5'), 'endpoint-independent'],
    ['two have, at two ports', seen('198.51.100.1:5', '198.51.100.1:6'), 'endpoint-dependent'],
    ['two have, at two addresses', seen('198.51.100.1:5', '198.51.100.2:5'), 'endpoint-dependent'],
    ['at its own', seen('192.0.2.1:5', '192.0.2.1:5'), 'none'],
    ['over IPv6 at its own, which says nothing of IPv4', seen('[2001:db8::1]:5', '198.51.100.1:5'), 'unknown'],
    ['over IPv6 alone', seen('[2001:db8::1]:5'), 'none'],
  ] as const)('%s', (_what, observations, kind) => {
    expect(natKind(observations, ['192.0.2.1', '[2001:db8::1]'])).toBe(kind)
  })

  test('one who says two things is one', () => {
    const twice = ['198.51.100.1:5', '198.51.100.1:6'].map((address) => ({ observer: 'a', address }))
    expect(natKind(twice, [])).toBe('unknown')
  })
})

describe('what iroh has found out', () => {
  const text = `udp4 true
udp6 false
varies4 false
global 198.51.100.1:5
captive false
latency https 12500 https://a.example/
latency quic4 9000 https://a.example/
`
  test('is read', () => {
    expect(parseReport(text, { portMapping: true, discoversAddresses: true })).toEqual({
      udp: { ipv4: true, ipv6: false },
      mappingVaries: false,
      publicAddresses: ['198.51.100.1:5'],
      captivePortal: false,
      portMapping: 'unknown',
      latencies: [
        { url: 'https://a.example/', latencyMs: 12.5 },
        { url: 'https://a.example/', latencyMs: 9 },
      ],
    })
  })

  test('says nothing of UDP where no relay could tell, and nothing at all before the first time', () => {
    const context = { portMapping: false, discoversAddresses: false }
    expect(parseReport('udp4 false\nudp6 false\n', context).udp).toEqual({ ipv4: undefined, ipv6: undefined })
    const empty = parseReport('', { ...context, discoversAddresses: true })
    expect(empty).toMatchObject({ udp: { ipv4: undefined }, publicAddresses: [], portMapping: 'off', latencies: [] })
  })
})

describe.each(DOORS)('through the $name door', ({ name: binding }) => {
  test('a node tells its relay and how far it is, where it is seen, and that there is no NAT', async () => {
    const relay = await startRelay()
    const node = await create({ binding, relay: [relay.url] })
    const report = await node.networkReport()
    expect(report).toMatchObject({
      backend: `iroh (${binding})`,
      nat: 'none',
      udp: { ipv4: true },
      homeRelay: `${relay.url}/`,
      boundAddresses: expect.arrayContaining([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]) as unknown,
    })
    expect(report.publicAddresses).toEqual([...new Set(node.reflectors().flatMap(({ observed }) => observed))])
    expect(report.publicAddresses.length).toBeGreaterThan(0)
    expect(report.relays).toHaveLength(1)
    expect(report.relays[0]).toMatchObject({ url: `${relay.url}/`, home: true, reason: undefined })
    expect(report.relays[0]?.latencyMs).toBeGreaterThan(0)
    expect(report.relays[0]?.latencyMs).toBeLessThan(5_000)
    expect(report.reflectors.map(({ error }) => error)).toEqual([undefined, undefined])
  })

  test('a node without relays knows little, and says so', async () => {
    const node = await create({ binding, relay: 'disabled' })
    const { nat, udp, relays, homeRelay, publicAddresses } = await node.networkReport()
    expect({ nat, udp, relays, homeRelay, publicAddresses }).toEqual({
      nat: 'unknown',
      udp: { ipv4: undefined, ipv6: undefined },
      relays: [],
      homeRelay: undefined,
      publicAddresses: [],
    })
  })

  test('it can be given up, and is not for closed nodes', async () => {
    const node = await create({ binding, relay: 'disabled' })
    await expect(node.networkReport({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
    await node.close()
    await expect(node.networkReport()).rejects.toMatchObject({ code: 'connection-closed' })
  })
})

test('a report as text', () => {
  const report: NetworkReport = {
    backend: 'iroh (native)',
    tookMs: 1,
    address: new P2PAddress(testNodeId('a'), ['192.168.1.2:5']),
    boundAddresses: ['0.0.0.0:5'],
    publicAddresses: [],
    nat: 'unknown',
    udp: { ipv4: true, ipv6: undefined },
    homeRelay: undefined,
    relays: [
      { url: 'http://a.example/', home: false, state: 'unreachable', latencyMs: undefined, reason: 'it is gone' },
    ],
    reflectors: [],
    portMapping: 'off',
    captivePortal: false,
  }
  expect(describeNetwork(report)).toBe(`node            ${testNodeId('a').toString()}
backend         iroh (native)
bound to        0.0.0.0:5
told to peers   192.168.1.2:5
seen at         unknown
NAT             unknown
UDP over IPv4   yes
UDP over IPv6   unknown
port mapping    off
captive portal  no
home relay      none
  relay         http://a.example/  unreachable  it is gone
`)
})

describe('p2p-doctor', () => {
  const run = (...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> =>
    promisify(execFile)(process.execPath, [COMMAND, ...args]).then(
      (done) => ({ ...done, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    )
  const loopback = LOOPBACK.flatMap((address) => ['--bind', address])

  test('prints what it finds out', async () => {
    const relay = await startRelay()
    const { stdout, code } = await run('--relay', relay.url, ...loopback)
    expect(stdout).toMatch(/^NAT {13}none$/m)
    expect(stdout).toMatch(/^UDP over IPv4 {3}yes$/m)
    expect(stdout).toContain(`\nhome relay      ${relay.url}/\n* relay         ${relay.url}/  `)
    expect(stdout.match(/^ {2}reflector /gm)).toHaveLength(2)
    expect(code).toBe(0)
  })

  test('prints JSON, and ends with 1 where nobody could reach the node', async () => {
    const { stdout, code } = await run('--relay', 'http://127.0.0.1:1', '--json', ...loopback)
    const report = JSON.parse(stdout) as {
      readonly relays: readonly { readonly reason: string }[]
      readonly nat: string
    }
    expect(report.nat).toBe('unknown')
    expect(report.relays[0]?.reason).toMatch(/nobody listens there/)
    expect(code).toBe(1)
  })

  test.each([
    [['--binding', 'x'], /--binding is native or official/, 2],
    [['--nonsense'], /nonsense/, 2],
    [['--relay', 'disabled', '--relay', 'http://a.example'], /stands alone/, 2],
    [['--relay', 'nonsense'], /must be 'default', 'disabled'/, 1],
    [['--relay-root', '/none'], /\/none cannot be read/, 1],
  ])('%j', async (args, message, code) => {
    const done = await run(...args)
    expect(done.stderr).toMatch(message)
    expect(done.code).toBe(code)
  })
})
