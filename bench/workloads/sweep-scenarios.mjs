// What is swept to see how fast sweeps are: five hosts that tell each other what they have heard, over NATs and lines of
// different sorts, for half a minute; the same without faults.
import { DefaultP2P } from '@moosicbox/p2p'
import { scenario } from '@moosicbox/p2p/simtest'

const NAMES = ['ada', 'bert', 'cleo', 'dora', 'emil']

const gossip = (name, faults) =>
  scenario(name, { seeds: 1000, faults, faultsForMs: 20_000 }, async (sim) => {
    const hosts = []
    const heard = new Map(NAMES.map((host) => [host, new Set([host])]))
    const home = sim.lan({ name: 'home', nat: 'home', link: 'cable' })
    const phone = sim.lan({ name: 'provider', nat: 'cgnat', link: '4g' })
    const program = async ({ name: me, runtime }) => {
      const mine = heard.get(me)
      const p2p = await DefaultP2P.create()
      const listener = await p2p.listen()
      const listening = (async () => {
        for await (const connection of listener) {
          void (async () => {
            for await (const message of connection) {
              for (const one of JSON.parse(new TextDecoder().decode(message))) mine.add(one)
            }
          })().catch(() => {})
        }
      })()
      void listening.catch(() => {})
      for (;;) {
        await runtime.sleep(500 + runtime.random() * 2000)
        const others = hosts.filter((host) => host.name !== me)
        const peer = others[Math.floor(runtime.random() * others.length)]
        try {
          const connection = await p2p.connect(peer.id, { timeoutMs: 3000 })
          await connection.send(new TextEncoder().encode(JSON.stringify([...mine])))
          await connection.end()
        } catch {
          // Somebody else, then.
        }
      }
    }
    for (const [i, host] of NAMES.entries()) {
      hosts.push(sim.host(host, i === 0 ? {} : { lan: i < 3 ? home : phone }, program))
    }
    await sim.run({ forMs: 20_000 })
    await sim.converge('everybody has heard of everybody', () =>
      [...heard.values()].every((set) => set.size === NAMES.length),
    )
  })

export const calm = gossip('five hosts, nothing goes wrong', 'none')
export const hostile = gossip('five hosts, everything goes wrong', 'hostile')
