/**
 * Whether the lab's network is what it is meant to be: what its NATs do to plain datagrams, and what its lines do.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { natPreset } from '@moosicbox/p2p/simulator'
import type { NatBehaviour } from '@moosicbox/p2p/simulator'
import type { Emulator } from './emulator.ts'
import type { Place } from './model.ts'
import { PLACES } from './model.ts'
import { Network } from './network.ts'
import { CalledProcess } from './process.ts'
import { UdpSocket } from './udp.ts'
import type { Finding } from './udp.ts'
import { checkWays } from './ways.ts'

const PROGRAM = fileURLToPath(new URL('./udp-program.js', import.meta.url))
const DELAY_MS = 15
/** Longer than anything takes to arrive. */
const WAIT_MS = 500
const ECHOES = 20
const LOSS = 0.3
const LOSSY_PACKETS = 400
/** Six standard deviations: one run in a thousand million would be outside by chance. */
const LOSS_BOUNDS = [0.16, 0.44] as const

interface Server {
  readonly address: string
  readonly process: CalledProcess
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Probes a NAT of each kind, and the lines. */
export async function checkNetwork(emulator: Emulator): Promise<Finding[]> {
  const network = new Network(emulator, { delayMs: DELAY_MS, loss: 0 })
  const servers = await Promise.all(
    ['first', 'second'].map(async (name): Promise<Server> => {
      const { namespace, address } = await network.addServer(name)
      return { address, process: new CalledProcess(name, namespace, [PROGRAM]) }
    }),
  )
  const [first, second] = servers
  if (!first || !second) throw new Error('there are no servers')
  const findings: Finding[] = []
  for (const place of PLACES) {
    const { namespace } = await network.addSite({ name: place, place })
    const inside = new CalledProcess(place, namespace, [PROGRAM])
    if (place === 'none') {
      findings.push(...(await checkLines(inside, first, emulator)))
      findings.push(...(await checkWays(inside, first, (way) => emulator.setWays('none', way, 'delay=0'))))
    } else findings.push(...(await checkNat(place, inside, first, second)))
  }
  return findings
}

async function checkNat(
  place: Exclude<Place, 'none'>,
  inside: CalledProcess,
  first: Server,
  second: Server,
): Promise<Finding[]> {
  const [a, sameHost, b] = [
    await UdpSocket.bind(first.process),
    await UdpSocket.bind(first.process),
    await UdpSocket.bind(second.process),
  ]
  const addresses = [`${first.address}:${a.port}`, `${first.address}:${sameHost.port}`, `${second.address}:${b.port}`]
  const mapped = await UdpSocket.bind(inside)
  for (const address of addresses) await mapped.send('mapping', address)
  const filtered = await UdpSocket.bind(inside)
  await filtered.send('filtering', addresses[0] ?? '')
  await sleep(WAIT_MS)
  const seenAs = async (socket: UdpSocket, text: string): Promise<string> =>
    (await socket.received()).find((one) => one.text === text)?.from ?? 'nothing'
  const outside = await seenAs(a, 'filtering')
  await a.send('an answer', outside)
  await sameHost.send('same address', outside)
  await b.send('another address', outside)
  await sleep(WAIT_MS)
  const came = (await filtered.received()).map(({ text }) => text)
  const [toA, toSameHost, toB] = await Promise.all([a, sameHost, b].map((socket) => seenAs(socket, 'mapping')))
  const mapping = behaviour(toA === toB && toA === toSameHost, toA === toSameHost)
  const filtering = behaviour(came.includes('another address'), came.includes('same address'))
  const preset = natPreset(place)
  const compare = (what: string, seen: string, expected: string): Finding => ({
    what: `${place}: ${what}`,
    seen,
    expected,
    isRight: seen === expected,
  })
  return [
    compare('mapping', mapping, preset.mapping),
    compare('filtering', filtering, preset.filtering),
    compare('keeps the port', String(toA?.endsWith(`:${mapped.port}`)), String(preset.portAllocation === 'preserve')),
    compare('an answer comes back', String(came.includes('an answer')), 'true'),
  ]
}

function behaviour(forAll: boolean, forAddress: boolean): NatBehaviour {
  if (forAll) return 'endpoint-independent'
  return forAddress ? 'address-dependent' : 'address-and-port-dependent'
}

/** Of a machine without a NAT, so that nothing else is in the way. */
async function checkLines(inside: CalledProcess, server: Server, emulator: Emulator): Promise<Finding[]> {
  const echo = await UdpSocket.bind(server.process, true)
  const client = await UdpSocket.bind(inside)
  const to = `${server.address}:${echo.port}`
  const sent = new Map<string, number>()
  for (let i = 0; i < ECHOES; i++) {
    sent.set(`${i}`, await client.send(`${i}`, to))
    await sleep(5)
  }
  await sleep(WAIT_MS)
  const times = (await client.received()).map(({ text, atMs }) => atMs - (sent.get(text) ?? Number.NaN))
  const least = Math.min(...times)
  await emulator.setLine('none', 0, LOSS)
  const lossy = await UdpSocket.bind(inside)
  const target = await UdpSocket.bind(server.process)
  for (let i = 0; i < LOSSY_PACKETS; i++) await lossy.send('lossy', `${server.address}:${target.port}`)
  await sleep(WAIT_MS)
  const lost = 1 - (await target.received()).length / LOSSY_PACKETS
  return [
    {
      what: `lines: the fastest of ${ECHOES} echoes, ms`,
      seen: least.toFixed(1),
      expected: `${2 * DELAY_MS} and a little`,
      isRight: least >= 2 * DELAY_MS && least < 2 * DELAY_MS + 15,
    },
    {
      what: 'lines: echoes that came back',
      seen: String(times.length),
      expected: String(ECHOES),
      isRight: times.length === ECHOES,
    },
    {
      what: `lines: lost of ${LOSSY_PACKETS} one way`,
      seen: lost.toFixed(2),
      expected: String(LOSS),
      isRight: lost > LOSS_BOUNDS[0] && lost < LOSS_BOUNDS[1],
    },
  ]
}
