import { Simulation } from '@moosicbox/p2p/simulator'
import PQueue from 'p-queue'
import { expect, test } from 'vitest'

test('hosts live on their own clock', async () => {
  const seen: number[] = []
  const sim = new Simulation({ seed: 1, ambient: true })
  sim.host('alice', async () => {
    const queue = new PQueue({ interval: 1000, intervalCap: 1 })
    for (let i = 0; i < 3; i++) void queue.add(() => seen.push(Date.now(), Math.random()))
    await queue.onIdle()
  })
  await sim.run()
  await sim.close()
  console.log('seen', seen.join(' '))
  expect(seen.length).toBe(6)
})
