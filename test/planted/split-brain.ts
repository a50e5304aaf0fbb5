/**
 * Three nodes elect a leader. Each hands its vote to the first that asks in a term, and holds the winner for the leader.
 * The broken one counts silence as consent: a node that cannot be reached in time does not vote against. Apart from each
 * other two nodes then both win. It takes a partition while a leader has to be found.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { answer, bytesOf, valueOf } from './support.ts'

interface Ballot {
  readonly term: number
  readonly candidate: number
}

export function splitBrain(isRepaired: boolean): Scenario {
  const faults = {
    everyMs: 3000,
    maxForMs: 12_000,
    weights: { partition: 3, 'one-way-partition': 1, 'link-flap': 1, pause: 1, 'link-degrade': 1 },
  }
  const options = { seeds: 1000, faults, faultsForMs: 30_000 }
  return scenario('there is one leader a term', options, async (sim) => {
    const leaders = new Map<number, number>()
    const hosts: SimHost[] = []
    let clashes = ''
    const program =
      (me: number) =>
      async ({ runtime }: SimHost): Promise<void> => {
        const p2p = await DefaultP2P.create()
        const votes = new Map<number, number>()
        let term = 0
        const vote = ({ term: asked, candidate }: Ballot): boolean => {
          term = Math.max(term, asked)
          if (!votes.has(asked)) votes.set(asked, candidate)
          return votes.get(asked) === candidate
        }
        void answer(p2p, (question) => bytesOf(vote(valueOf<Ballot>(question))))
        const ask = async (peer: SimHost, ballot: Ballot): Promise<boolean | undefined> => {
          try {
            const connection = await p2p.connect(peer.id, { timeoutMs: 1500 })
            await connection.send(bytesOf(ballot))
            const yes = valueOf<boolean>(await connection.recv())
            connection.close()
            return yes
          } catch {
            return undefined
          }
        }
        for (;;) {
          await runtime.sleep(2000 + runtime.random() * 6000)
          const ballot = { term: term + 1, candidate: me }
          if (!vote(ballot)) continue
          const others = hosts.filter((_, i) => i !== me)
          const answers = await Promise.all(others.map((peer) => ask(peer, ballot)))
          const yes = answers.filter((it) => it === true).length
          const no = answers.filter((it) => it === false).length
          const isElected = isRepaired ? yes + 1 >= 2 : no === 0
          if (!isElected) continue
          const before = leaders.get(ballot.term)
          if (before !== undefined && before !== me)
            clashes = `node ${before} and node ${me} both lead in term ${ballot.term}`
          leaders.set(ballot.term, me)
        }
      }
    for (let i = 0; i < 3; i++) hosts.push(sim.host(`node ${i}`, program(i)))
    sim.always('one leader a term', () => {
      if (clashes) throw new Error(clashes)
    })
    sim.sometimes('a leader is found', () => leaders.size > 0)
    await sim.run({ forMs: 40_000 })
    const terms = leaders.size
    await sim.converge('a new leader is found', () => leaders.size > terms)
  })
}
