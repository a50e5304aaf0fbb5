/**
 * A store on two nodes: what is written to the first is copied to the second, and acknowledged. The broken one
 * acknowledges as well when the second does not answer, and a client that cannot reach the first reads from the second.
 * To see an old value after a new one was acknowledged two faults have to meet: the copy is cut off, and then the first
 * is gone.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { answer, bytesOf, valueOf } from './support.ts'

interface Question {
  readonly write?: number
}

export function replicaAck(isRepaired: boolean): Scenario {
  const faults = { everyMs: 2000, maxForMs: 10_000, weights: { partition: 4, pause: 2, crash: 3, 'link-flap': 1 } }
  // Without loss of its own the network does what the faults say, and nothing else.
  const config = { defaultPacketLoss: 0 }
  const options = { seeds: 1000, faults, faultsForMs: 30_000, durationMs: 200_000, config }
  return scenario('what was acknowledged is what is read', options, async (sim) => {
    let acknowledged = 0
    let stale = ''
    const askOnce = async (p2p: DefaultP2P, peer: SimHost, question: Question): Promise<number | undefined> => {
      try {
        const connection = await p2p.connect(peer.id, { timeoutMs: 1000 })
        await connection.send(bytesOf(question))
        const value = valueOf<number | null>(await connection.recv())
        connection.close()
        return value ?? undefined
      } catch {
        return undefined
      }
    }
    const second = sim.host('second', async ({ disk }) => {
      let value = disk.exists('value') ? valueOf<number>(await disk.read('value')) : 0
      await answer(await DefaultP2P.create(), async (question) => {
        const { write } = valueOf<Question>(question)
        if (write !== undefined) {
          value = Math.max(value, write)
          await store(disk, value)
        }
        return bytesOf(value)
      })
    })
    const first = sim.host('first', async ({ disk }) => {
      const p2p = await DefaultP2P.create()
      let value = disk.exists('value') ? valueOf<number>(await disk.read('value')) : 0
      await answer(p2p, async (question) => {
        const { write } = valueOf<Question>(question)
        if (write === undefined) return bytesOf(value)
        value = Math.max(value, write)
        await store(disk, value)
        const copied = await askOnce(p2p, second, { write })
        return bytesOf(copied === undefined && isRepaired ? null : write)
      })
    })
    sim.host('client', async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      let next = 1
      let wroteMs = Number.NEGATIVE_INFINITY
      for (;;) {
        if (runtime.now() - wroteMs > 4000) {
          const written = await askOnce(p2p, first, { write: next })
          if (written !== undefined) {
            acknowledged = Math.max(acknowledged, written)
            wroteMs = runtime.now()
            next++
          }
        }
        const before = acknowledged
        const read = (await askOnce(p2p, first, {})) ?? (await askOnce(p2p, second, {}))
        if (read !== undefined && read < before) stale = `${before} was acknowledged, and then ${read} was read`
        await runtime.sleep(500)
      }
    })
    sim.always('nothing old is read', () => {
      if (stale) throw new Error(stale)
    })
    sim.sometimes('something is acknowledged', () => acknowledged > 1)
    await sim.run({ forMs: 32_000 })
  })
}

async function store(disk: SimHost['disk'], value: number): Promise<void> {
  await disk.write('value.new', bytesOf(value))
  await disk.fsync('value.new')
  await disk.rename('value.new', 'value')
  await disk.syncNames()
}
