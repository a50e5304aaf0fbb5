/** The same conversation over both backends: what holds in memory holds over real QUIC and over simulated packets. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import type { P2PSystem } from '../../src/core/system.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { fetch, P2PResponse, P2PRouter, request, RequestPool, serve } from '../../src/router/index.ts'
import type { P2PPeer, P2PServer } from '../../src/router/index.ts'
import { Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import { pattern } from '../support/engine-suite.ts'

const SONG = pattern(700_001)
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

let folder = ''
let path = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2p-router-'))
  path = join(folder, 'song.flac')
  await writeFile(path, SONG)
})
afterAll(() => rm(folder, { recursive: true }))

async function serveAt(system: P2PSystem): Promise<P2PServer> {
  let aborts = 0
  const router = new P2PRouter()
    .route('GET', '/tracks/:id', (req) => P2PResponse.json({ id: req.params['id'], by: req.remoteNodeId.fmtShort() }))
    .route('GET', '/song', (req) => P2PResponse.file(path, req))
    .route('POST', '/echo', (req) => P2PResponse.stream(req.body))
    .route('GET', '/aborts', () => P2PResponse.json({ aborts, inFlight: server.stats().requestsInFlight }))
    .route('GET', '/never', (req) => {
      req.signal.addEventListener('abort', () => aborts++)
      return new Promise(() => {})
    })
  const server = await serve(system, router)
  return server
}

/** What the player hears; the same wherever it runs. */
async function converse(player: P2PSystem, home: P2PPeer, ticket: string): Promise<unknown[]> {
  const heard: unknown[] = []
  const get = async (target: string, headers = {}): Promise<Uint8Array> =>
    (await request(player, home, { path: target, headers })).bytes()
  const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))

  heard.push(parse(await get('/tracks/7')))
  const many = await Promise.all(Array.from({ length: 150 }, (_, i) => get(`/tracks/${i}`)))
  heard.push(many.map((bytes) => (parse(bytes) as { id: string }).id).join())
  heard.push(sha(await get('/song')), sha(await get('/song', { range: 'bytes=100000-399999' })))
  const response = await fetch(player, `p2p://${ticket}/song`, { headers: { range: 'bytes=-10' } })
  heard.push([
    response.status,
    response.headers.get('content-range'),
    sha(new Uint8Array(await response.arrayBuffer())),
  ])
  const echoed = await request(player, home, { method: 'POST', path: '/echo', body: SONG })
  heard.push(sha(await echoed.bytes()))

  const seek = new AbortController()
  const song = await request(player, home, { path: '/song', signal: seek.signal })
  await song.body.read()
  seek.abort()
  heard.push(await song.body.read().catch((error: unknown) => P2PError.is(error) && error.code))
  const patience = new AbortController()
  const never = request(player, home, { path: '/never', signal: patience.signal }).catch(
    (error: unknown) => P2PError.is(error) && error.code,
  )
  await player.runtime.sleep(200)
  patience.abort()
  heard.push(await never)
  // The aborts are on their way: ask until they have arrived. The question itself is one request in flight.
  let state: unknown
  for (let i = 0; i < 100; i++) {
    state = parse(await get('/aborts'))
    if ((state as { inFlight: number }).inFlight === 1) break
    await player.runtime.sleep(50)
  }
  heard.push(state)

  await using connection = await player.connect(ticket)
  const hostile = await connection.openStream({ kind: 'request' })
  await hostile.write(Uint8Array.of(0xc0, 0, 0, 1))
  heard.push(await hostile.read().catch((error: unknown) => P2PError.is(error, 'stream-reset') && error.streamCode))
  heard.push(parse(await get('/tracks/last')))
  return heard
}

const expected = (by: string): unknown[] => [
  { id: '7', by },
  Array.from({ length: 150 }, (_, i) => i).join(),
  sha(SONG),
  sha(SONG.subarray(100_000, 400_000)),
  [206, `bytes ${SONG.length - 10}-${SONG.length - 1}/${SONG.length}`, sha(SONG.subarray(-10))],
  sha(SONG),
  'aborted',
  'aborted',
  { aborts: 1, inFlight: 1 },
  3,
  { id: 'last', by },
]

test('over iroh', async () => {
  const local = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] } as const
  await using home = await IrohP2P.create(local)
  await using player = await IrohP2P.create(local)
  await using server = await serveAt(home)
  const heard = await converse(player, home.address(), home.address().toTicket())
  expect(heard).toEqual(expected(player.localNodeId().fmtShort()))
  await RequestPool.of(player).close()
  expect(server.stats().requestsInFlight).toBe(0)
})

test('over simulated packets, of which some are lost, with one history a seed', async () => {
  const once = async (): Promise<{ hash: string; heard: unknown[] }> => {
    let heard: unknown[] = []
    const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0.01' })
    await using sim = new Simulation({ seed: 7, config })
    sim.host('home', async (host) => {
      const home = await SimulatorP2P.create()
      const server = await serveAt(home)
      await host.runtime.sleep(300_000)
      await server.close()
    })
    sim.host('player', async (host) => {
      await host.runtime.sleep(1_000)
      const player = await SimulatorP2P.create()
      heard = await converse(player, testNodeId('home'), testNodeId('home').toString())
      await player.close()
    })
    const { hash } = await sim.run({ forMs: 600_000 })
    return { hash, heard }
  }
  const first = await once()
  expect(first.heard).toEqual(expected(testNodeId('player').fmtShort()))
  expect((await once()).hash).toBe(first.hash)
})
