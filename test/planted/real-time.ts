/**
 * A client with two servers, of which the second is asked when the first does not answer. When neither does, the broken
 * one waits by a timer of the machine, which no seed decides; the repaired one by its host's. Two faults have to meet for
 * it to come to that, and the run ends at the line that does it.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { answer, bytesOf, valueOf } from './support.ts'

export function realTime(isRepaired: boolean): Scenario {
  const faults = { everyMs: 5000, maxForMs: 8000, weights: { crash: 3, pause: 1 } }
  // Without loss of its own the network does what the faults say, and nothing else.
  const options = { seeds: 1000, faults, faultsForMs: 30_000, config: { defaultPacketLoss: 0 } }
  return scenario('a client finds a server', options, async (sim) => {
    let answers = 0
    let seconds = 0
    const server = async (): Promise<void> => answer(await DefaultP2P.create(), (question) => question)
    const servers = [sim.host('first', server), sim.host('second', server)]
    const ask = async (p2p: DefaultP2P, { runtime }: SimHost, peer: SimHost): Promise<boolean> => {
      const controller = new AbortController()
      const timer = runtime.setTimer(3000, () => controller.abort(new Error('no answer')))
      try {
        const connection = await p2p.connect(peer.id, { timeoutMs: 1500 })
        await connection.send(bytesOf(answers))
        answers = valueOf<number>(await connection.recv({ signal: controller.signal })) + 1
        connection.close()
        return true
      } catch {
        return false
      } finally {
        timer.cancel()
      }
    }
    sim.host('client', async (host) => {
      const p2p = await DefaultP2P.create()
      for (const peer of servers) while (!(await ask(p2p, host, peer))) await host.runtime.sleep(500)
      for (;;) {
        const [first, second] = servers as [SimHost, SimHost]
        let isAnswered = await ask(p2p, host, first)
        if (!isAnswered) {
          isAnswered = await ask(p2p, host, second)
          if (isAnswered) seconds++
        }
        if (isAnswered || isRepaired) await host.runtime.sleep(1000)
        else await new Promise((resolve) => setTimeout(resolve, 1000))
      }
    })
    sim.sometimes('the second answers', () => seconds > 0)
    await sim.run({ forMs: 31_000 })
    const before = answers
    await sim.converge('answers come', () => answers > before + 2)
  })
}
