import { expect, test } from 'vitest'
import { health, P2PResponse, P2PRouter } from '../../src/router/index.ts'
import { Rig } from './support/rig.ts'

const app = (): P2PRouter => new P2PRouter().route('GET', '/', () => P2PResponse.text('here'))

test('health tells who, how many, how and for how long', async () => {
  const rig = await Rig.create(app())
  const before = health(rig.home, rig.server)
  expect(before).toEqual({
    active_connections: 0,
    node_id: rig.home.localNodeId().fmtShort(),
    network_type: before.network_type,
    uptime: 0,
  })
  await rig.runtime.advance(61_999)
  const connection = await rig.player.connect(rig.home.localNodeId())
  await rig.runtime.advance(1)
  expect(health(rig.home, rig.server)).toMatchObject({
    active_connections: 1,
    network_type: connection.stats().path === 'relay' ? 'relay' : 'direct',
    uptime: 62,
  })
  connection.close()
  await rig.runtime.advance(1)
  expect(health(rig.home, rig.server).active_connections).toBe(0)
})

test('health says relay when every connection is relayed, or when there is no other way to this node', () => {
  const of = (connections: number, relayedConnections: number, direct: readonly string[]): string =>
    health(
      { localNodeId: () => ({ fmtShort: () => 'x' }), address: () => ({ direct }) } as never,
      { stats: () => ({ connections, relayedConnections, uptimeMs: 0 }) } as never,
    ).network_type
  expect(of(0, 0, [])).toBe('relay')
  expect(of(0, 0, ['192.0.2.1:1'])).toBe('direct')
  expect(of(2, 2, ['192.0.2.1:1'])).toBe('relay')
  expect(of(2, 1, [])).toBe('direct')
})
