/**
 * Two nodes that keep each other up to date. While they hear nothing of each other each keeps every version, and a peer
 * that it does not know, as it began anew, is sent all of them. The broken one sends all it has and reads then: when both
 * have more than fits into the queues and windows in between, both wait for the other to read. Two faults have to meet: a
 * partition in which much gathers, and a restart, without which they would go on where they were.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { bytesOf, valueOf } from './support.ts'

const VERSION_BYTES = 131_072
const SILENCE_MS = 3000

export function bothSend(isRepaired: boolean): Scenario {
  const faults = { everyMs: 5000, maxForMs: 40_000, weights: { partition: 3, restart: 3 } }
  // Without loss of its own the network does what the faults say, and nothing else.
  const options = { seeds: 1000, faults, faultsForMs: 40_000, config: { defaultPacketLoss: 0 } }
  return scenario('both get what the other has', options, async (sim) => {
    const rounds = new Map<string, number>()
    const limits = { sendQueueBytes: VERSION_BYTES, receiveQueueBytes: VERSION_BYTES }
    let most = 0
    const program =
      (dial: (p2p: DefaultP2P) => AsyncIterable<Connection>) =>
      async ({ disk, name, runtime }: SimHost): Promise<void> => {
        const p2p = await DefaultP2P.create({ limits })
        const epoch = runtime.random()
        let known: number | undefined
        let contactMs = runtime.now()
        let versions = 0
        void (async () => {
          for (;;) {
            await runtime.sleep(1000)
            if (disk.exists('met') && runtime.now() - contactMs > SILENCE_MS) versions++
            most = Math.max(most, versions)
          }
        })()
        const round = async (connection: Connection): Promise<void> => {
          await connection.send(bytesOf(epoch))
          const silence = runtime.setTimer(SILENCE_MS, () => connection.close(1, 'silence'))
          const peer = valueOf<number>(await connection.recv())
          silence.cancel()
          const isKnown = peer === known
          known = peer
          const count = versions
          const push = async (): Promise<void> => {
            for (let i = 0; i < count; i++) await connection.send(new Uint8Array(VERSION_BYTES))
            await connection.send(bytesOf('that is all'))
          }
          const pull = async (): Promise<void> => {
            while ((await connection.recv()).length === VERSION_BYTES);
          }
          if (isKnown || isRepaired) {
            await Promise.all([push(), pull()])
          } else {
            await push()
            await pull()
          }
          versions -= count
          contactMs = runtime.now()
          rounds.set(name, (rounds.get(name) ?? 0) + 1)
          if (disk.exists('met')) return
          await disk.write('met', bytesOf(true))
          await disk.fsync('met')
          await disk.syncNames()
        }
        for await (const connection of dial(p2p)) {
          void (async () => {
            for (;;) {
              await round(connection)
              await runtime.sleep(1000)
            }
          })().catch(() => {})
        }
      }
    const right = sim.host(
      'right',
      program(async function* (p2p) {
        yield* await p2p.listen()
      }),
    )
    sim.host('left', (host) =>
      program(async function* (p2p) {
        for (;;) {
          try {
            const connection = await p2p.connect(right.id, { timeoutMs: 2000 })
            yield connection
            await connection.closed
          } catch {
            await host.runtime.sleep(500)
          }
        }
      })(host),
    )
    sim.sometimes('much gathers', () => most > 12)
    await sim.run({ forMs: 41_000 })
    const before = new Map(rounds)
    const isNew = (name: string): boolean => (rounds.get(name) ?? 0) > (before.get(name) ?? 0) + 2
    await sim.converge('they keep each other up to date', () => isNew('left') && isNew('right'), { withinMs: 90_000 })
  })
}

type Connection = Awaited<ReturnType<DefaultP2P['connect']>>
