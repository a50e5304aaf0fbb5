/**
 * A bank that books what it is told, and a client that asks again when it hears nothing: an answer that is lost, or late,
 * makes the same order count twice. The repaired bank remembers the numbers of the orders it has booked.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import { answer, Asker, bytesOf, valueOf } from './support.ts'

const ORDERS = 10

export function duplicateDelivery(isRepaired: boolean): Scenario {
  const faults = {
    everyMs: 3000,
    maxForMs: 8000,
    weights: { 'link-degrade': 2, 'one-way-partition': 2, partition: 1, pause: 1, 'nat-rebind': 1, 'link-flap': 1 },
  }
  const options = { seeds: 1000, faults, faultsForMs: 30_000 }
  return scenario('an order is booked once', options, async (sim) => {
    let balance = 0
    let confirmed = 0
    const home = sim.lan({ name: 'home', nat: sim.pick(['home', 'symmetric', 'cgnat'], 'nat') })
    const bank = sim.host('bank', async () => {
      const booked = new Set<number>()
      await answer(await DefaultP2P.create(), (order) => {
        const { id, amount } = valueOf<{ id: number; amount: number }>(order)
        if (!isRepaired || !booked.has(id)) balance += amount
        booked.add(id)
        return bytesOf({ id })
      })
    })
    const client = sim.host('client', { lan: home }, async (host) => {
      const asker = new Asker(await DefaultP2P.create(), host, bank)
      for (let id = 0; id < ORDERS; id++) {
        // An answer to an earlier question may come first.
        while (valueOf<{ id: number }>(await asker.ask(bytesOf({ id, amount: 1 }))).id !== id);
        confirmed = id + 1
        await host.runtime.sleep(1000)
      }
    })
    sim.always('no order counts twice', () => {
      if (balance > confirmed + 1) throw new Error(`${balance} were booked of ${confirmed + 1}`)
    })
    sim.sometimes('an order is asked for again', () => confirmed > 0)
    await sim.run({ forMs: 30_000 })
    await sim.converge('all orders are confirmed', () => client.program === 'ended')
    if (balance !== ORDERS) throw new Error(`${balance} were booked of ${ORDERS}`)
  })
}
