/** What a listener for changes of paths is told. */
import { describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import type { P2PPath, P2PPathChange } from '../../src/core/connection.ts'
import { PathChanges } from '../../src/core/engine/path-changes.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { Simulation, SimulatorP2P } from '../../src/simulator/index.ts'

const RELAY = { kind: 'relay', remote: 'https://relay.example/', rttMs: 1 } as const
const A = { kind: 'direct', remote: '192.0.2.1:1', rttMs: 1 } as const
const B = { kind: 'direct', remote: '192.0.2.2:1', rttMs: 1 } as const
const used = (path: Omit<P2PPath, 'selected'>): P2PPath => ({ ...path, selected: true })
const spare = (path: Omit<P2PPath, 'selected'>): P2PPath => ({ ...path, selected: false })

describe('a change', () => {
  test.each([
    ['relay to direct', [used(RELAY)], [spare(RELAY), used(A)], 'upgraded', [A.remote], []],
    ['direct to relay', [used(A), spare(RELAY)], [used(RELAY)], 'fell-back', [], [A.remote]],
    ['direct to direct', [used(A), spare(B)], [spare(A), used(B)], 'switched', [], []],
    ['a first path', [], [used(A)], 'switched', [A.remote], []],
    ['no path left', [used(A)], [], 'candidates', [], [A.remote]],
    ['a spare one came', [used(A)], [used(A), spare(B)], 'candidates', [B.remote], []],
    ['a spare one went', [used(A), spare(B)], [used(A)], 'candidates', [], [B.remote]],
  ] as const)('%s', (_what, before, after, kind, opened, closed) => {
    const change = new PathChanges(before).next(after, 7)
    expect(change).toMatchObject({ kind, atMs: 7 })
    expect(change?.opened.map(({ remote }) => remote)).toEqual(opened)
    expect(change?.closed.map(({ remote }) => remote)).toEqual(closed)
    expect(change?.from).toBe(before.find(({ selected }) => selected))
    expect(change?.to).toBe(after.find(({ selected }) => selected))
  })

  test('in round-trip times alone is none, and each is told once', () => {
    const changes = new PathChanges([used(A)])
    expect(changes.next([used({ ...A, rttMs: 2 })], 1)).toBeUndefined()
    expect(changes.next([used(B)], 2)?.kind).toBe('switched')
    expect(changes.next([used(B)], 3)).toBeUndefined()
  })
})

test('a connection that begins over a relay tells when it goes direct, and when it has to go back', async () => {
  const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0' })
  await using sim = new Simulation({ seed: 1, config })
  const changes: P2PPathChange[] = []
  const packets: (number | undefined)[] = []
  sim.host('server', { lan: sim.lan({ name: 'there', nat: 'home' }) }, async () => {
    const p2p = await SimulatorP2P.create()
    for await (const connection of await p2p.listen()) {
      void (async (): Promise<void> => {
        for await (const message of connection) await connection.send(message)
      })()
    }
  })
  sim.host('client', { lan: sim.lan({ name: 'here', nat: 'home' }) }, async ({ runtime }) => {
    await runtime.sleep(2_000)
    const p2p = await SimulatorP2P.create()
    const connection = await p2p.connect(testNodeId('server'))
    connection.onPathChange((paths, change) => {
      expect(paths.find(({ selected }) => selected)).toBe(change.to)
      changes.push(change)
    })
    for (let i = 0; i < 60; i++) {
      await connection.send(new Uint8Array(1000))
      await connection.recv()
      await runtime.sleep(500)
    }
    packets.push(connection.stats().packetsSent, connection.stats().packetsLost)
    connection.close()
    packets.push(connection.stats().packetsSent)
  })
  // The way between the two homes is cut, and that of each to the relay is not.
  sim.faults.inject({ kind: 'partition', atMs: 20_000, forMs: 100_000, a: ['client'], b: ['server'] })
  await sim.run({ forMs: 150_000 })
  expect(changes.map(({ kind }) => kind).filter((kind) => kind !== 'candidates')).toEqual(['upgraded', 'fell-back'])
  const [upgraded, fellBack] = changes.filter(({ kind }) => kind !== 'candidates')
  expect([upgraded?.from?.kind, upgraded?.to?.kind]).toEqual(['relay', 'direct'])
  expect(upgraded?.atMs).toBeGreaterThan(0)
  expect(upgraded?.atMs).toBeLessThan(5_000)
  expect(fellBack?.atMs).toBeGreaterThan(17_000)
  const [sent = 0, lost = -1, after] = packets
  expect(sent).toBeGreaterThan(60)
  expect(lost).toBeGreaterThan(0)
  expect(lost).toBeLessThan(sent)
  expect(after).toBeUndefined()
})
