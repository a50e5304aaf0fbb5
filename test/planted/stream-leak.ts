/**
 * A client that asks on a stream each and does not wait for ever. The broken one turns away from an answer that is late
 * and leaves its stream as it is: the peer's limit of open streams is used up one by one, until none can be opened, on a
 * connection that is in good health. The repaired one gives the stream back.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'

const PATIENCE_MS = 400
const QUESTION_BYTES = 4
/**
 * A connection whose peer has forgotten it is over with its idle time-out: 30 s, or three probe time-outs where that is
 * longer (RFC 9000, 10.1). A packet that has waited out all of the trouble makes a round trip of up to 30 s, so that a probe
 * time-out is up to 30 s and four times three quarters of that, and three of them six minutes.
 */
const RECOVER_MS = 400_000

export function streamLeak(isRepaired: boolean): Scenario {
  const faults = { everyMs: 5000, maxForMs: 20_000, weights: { pause: 3, 'link-degrade': 2, partition: 1 } }
  // Without loss of its own the network does what the faults say, and nothing else.
  const options = { seeds: 1000, faults, faultsForMs: 30_000, config: { defaultPacketLoss: 0 } }
  return scenario('answers come again after they were late', options, async (sim) => {
    let answered = 0
    let late = 0
    const server = sim.host('server', async () => {
      for await (const connection of await (await DefaultP2P.create()).listen()) {
        void (async () => {
          for (;;) {
            const stream = await connection.acceptStream()
            void (async () => {
              await stream.write(await stream.readExactly(QUESTION_BYTES))
              await stream.finish()
              await stream.readToEnd(0)
            })().catch(() => {})
          }
        })().catch(() => {})
      }
    })
    const askOn = async (connection: Connection, { runtime }: SimHost, question: number): Promise<void> => {
      const controller = new AbortController()
      const { signal } = controller
      const timer = runtime.setTimer(PATIENCE_MS, () => controller.abort(new Error('no answer')))
      try {
        const stream = await connection.openStream({ signal })
        try {
          const asked = Uint8Array.from({ length: QUESTION_BYTES }, (_, i) => question >> (8 * i))
          await stream.write(asked)
          const answer = await stream.readExactly(QUESTION_BYTES, { signal })
          await stream.finish()
          if (answer.every((byte, i) => byte === asked[i])) answered++
        } finally {
          if (isRepaired) stream[Symbol.dispose]()
        }
      } catch {
        late++
      } finally {
        timer.cancel()
      }
    }
    sim.host('client', async (host) => {
      const p2p = await DefaultP2P.create()
      for (let question = 0; ;) {
        try {
          const connection = await p2p.connect(server.id, { timeoutMs: 2000 })
          while (connection.isConnected()) {
            void askOn(connection, host, question++)
            await host.runtime.sleep(100)
          }
        } catch {
          await host.runtime.sleep(200)
        }
      }
    })
    sim.sometimes('an answer is late', () => late > 0)
    await sim.run({ forMs: 30_000 })
    const before = answered
    await sim.converge('answers come', () => answered > before + 20, { withinMs: RECOVER_MS })
  })
}

type Connection = Awaited<ReturnType<DefaultP2P['connect']>>
