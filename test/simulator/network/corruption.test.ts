import { expect, test } from 'vitest'
import { pattern } from '../transport/pair.ts'
import { readAll, World, writeAll } from '../transport/world.ts'

test('what arrives corrupted is counted by the endpoint and taken for lost: every byte comes through', async () => {
  const world = new World()
  const link = { latencyMs: 5, corruption: 0.05 }
  const [server, client] = [world.node('server', { link }), world.node('client', { link })]
  const bytes = pattern(300_000)
  const transfer = async (): Promise<Uint8Array> => {
    const [here, there] = await Promise.all([client.connect(server), server.accept()])
    const [stream] = await Promise.all([there.acceptBi(), here.openBi().then(({ send }) => writeAll(send, bytes))])
    return readAll(stream.receive)
  }
  expect(Buffer.compare(await world.until(transfer()), bytes)).toBe(0)
  expect(server.endpoint.corruptedDatagrams).toBeGreaterThan(5)
  expect(client.endpoint.corruptedDatagrams).toBeGreaterThan(1)
  expect(world.topology.fabric.dropped).toEqual({})
  // Each of them is counted on the link that did it, and at the end that it was for.
  const flipped = (to: string): number =>
    world.topology.fabric.graph
      .links()
      .map((each) => each.snapshot())
      .filter((each) => each.from === to || each.to === to)
      .reduce((sum, each) => sum + each.corruptedPackets, 0)
  const corrupted = server.endpoint.corruptedDatagrams + client.endpoint.corruptedDatagrams
  // One that was hit on both links is one at its end.
  expect(flipped('server') + flipped('client')).toBeGreaterThanOrEqual(corrupted)
  expect(flipped('server') + flipped('client')).toBeLessThan(1.2 * corrupted)
})
