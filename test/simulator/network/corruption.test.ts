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
})
