/**
 * A mailbox that says "stored" before it is: it appends to its log and does not sync. A crash after the answer loses what
 * the sender believes to be safe. One fault is needed: a crash, in which the disk loses what was not synced.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'

const LOG = 'mailbox'
/**
 * An answer that takes longer is not waited for: only one side may hear the other, as of a mailbox whose NAT has given it
 * another port, which keeps the connection alive without anything getting through.
 */
const SILENCE_MS = 10_000

function program(isRepaired: boolean): (host: SimHost) => Promise<void> {
  return async ({ disk }) => {
    const p2p = await DefaultP2P.create()
    for await (const connection of await p2p.listen()) {
      void (async () => {
        for await (const message of connection) {
          await disk.append(LOG, Uint8Array.of(message[0] as number))
          if (isRepaired) await disk.fsync(LOG)
          await connection.send(message)
        }
      })().catch(() => {})
    }
  }
}

export function unsyncedWrite(isRepaired: boolean): Scenario {
  return scenario('a mailbox keeps what it has acknowledged', { seeds: 1000, faults: 'hostile' }, async (sim) => {
    const acknowledged = new Set<number>()
    const home = sim.lan({ nat: sim.pick(['home', 'symmetric', 'cgnat'], 'nat'), name: 'home' })
    const mailbox = sim.host('mailbox', { lan: home }, program(isRepaired))
    let isDone = false
    sim.host('sender', async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      let next = 0
      while (next < 20) {
        try {
          const connection = await p2p.connect(mailbox.id, { timeoutMs: 3000 })
          while (next < 20) {
            await connection.send(Uint8Array.of(next))
            const silence = runtime.setTimer(SILENCE_MS, () => connection.close(1, 'silence'))
            const [answer] = await connection.recv()
            silence.cancel()
            acknowledged.add(answer as number)
            next++
            await runtime.sleep(500)
          }
        } catch {
          await runtime.sleep(200)
        }
      }
      isDone = true
    })
    sim.always('what was acknowledged is on the disk', () => {
      if (!mailbox.isOn || !mailbox.disk.exists(LOG)) return
      const stored = new Set(mailbox.diskState.read(LOG))
      for (const id of acknowledged) if (!stored.has(id)) throw new Error(`message ${id} was acknowledged and is lost`)
    })
    await sim.run({ forMs: 60_000 })
    await sim.converge('everything is delivered', () => isDone)
  })
}
