// What is swept to see how fast sweeps are, with all faults and without any, over NATs and lines of different sorts: five
// hosts that ask each other twenty times, and five that connect to one another anew every second or two for half a minute
// to tell what they have heard.
import { DefaultP2P, P2PResponse, P2PRouter } from '@moosicbox/p2p'
import { scenario } from '@moosicbox/p2p/simtest'

const NAMES = ['ada', 'bert', 'cleo', 'dora', 'emil']
const PAYLOAD = new Uint8Array(100).fill(9)

/** One host in public, two in a home, two with a mobile provider. */
function five(sim, program) {
  const home = sim.lan({ name: 'home', nat: 'home', link: 'cable' })
  const phone = sim.lan({ name: 'provider', nat: 'cgnat', link: '4g' })
  return NAMES.map((name, i) => sim.host(name, i === 0 ? {} : { lan: i < 3 ? home : phone }, program))
}

const requests = (name, faults) =>
  scenario(name, { seeds: 1000, faults, faultsForMs: 20_000 }, async (sim) => {
    const answers = new Map(NAMES.map((host) => [host, 0]))
    const hosts = five(sim, async ({ name: me, runtime }) => {
      const p2p = await DefaultP2P.create()
      const echo = new P2PRouter().route('POST', '/echo', async (req) => P2PResponse.bytes(await req.bytes()))
      await p2p.serve(echo, { authorize: 'everyone' })
      const next = hosts[(NAMES.indexOf(me) + 1) % hosts.length]
      while (answers.get(me) < 20) {
        try {
          const request = { method: 'POST', path: '/echo', body: PAYLOAD, deadlineMs: 3000 }
          const response = await p2p.request(next.id, request)
          if ((await response.bytes()).length === PAYLOAD.length) answers.set(me, answers.get(me) + 1)
        } catch {
          await runtime.sleep(200)
        }
      }
    })
    if (faults !== 'none') await sim.run({ forMs: 20_000 })
    await sim.converge('everybody has twenty answers', () => [...answers.values()].every((count) => count >= 20))
  })

const gossip = (name, faults) =>
  scenario(name, { seeds: 1000, faults, faultsForMs: 20_000 }, async (sim) => {
    const heard = new Map(NAMES.map((host) => [host, new Set([host])]))
    const hosts = five(sim, async ({ name: me, runtime }) => {
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
    })
    await sim.run({ forMs: 20_000 })
    await sim.converge('everybody has heard of everybody', () =>
      [...heard.values()].every((set) => set.size === NAMES.length),
    )
  })

export const asked = requests('five hosts, twenty requests each, nothing goes wrong', 'none')
export const askedThroughFaults = requests('five hosts, twenty requests each, everything goes wrong', 'hostile')
export const calm = gossip('five hosts that gossip, nothing goes wrong', 'none')
export const hostile = gossip('five hosts that gossip, everything goes wrong', 'hostile')
