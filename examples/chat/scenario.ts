/**
 * The chat, held to its promises in thousands of histories: `npx p2p-sim sweep build/examples/chat/scenario.js --seeds 1000`.
 *
 * @module
 */
import { scenario } from '@moosicbox/p2p/simtest'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { simulatedActor } from '../stage/simulated.ts'
import { Chat } from './chat.ts'

const ROOM = 'room'
const NAMES = ['ada', 'bert', 'cleo', 'dora'] as const
/** For so long people write, and things go wrong. */
const TROUBLE_MS = 40_000

const everybodyReadsTheSame: Scenario = scenario(
  'everybody in a room reads the same in the end',
  { seeds: 10, faults: 'hostile', faultsForMs: TROUBLE_MS, config: { defaultPacketLoss: 0.01 } },
  async (sim) => {
    const chats = new Map<string, Chat>()
    const written = new Set<string>()
    /** Texts that are on their author's disk, by text. */
    const posted = new Map<string, string>()
    const view = (name: string): readonly string[] =>
      chats
        .get(name)
        ?.messages(ROOM)
        .map(({ text }) => text) ?? []
    let starts = 0
    const home = sim.lan({
      name: 'home',
      nat: sim.pick(['full-cone', 'home', 'symmetric'] as const, 'NAT'),
      link: 'cable',
    })
    const phone = sim.lan({ name: 'provider', nat: 'cgnat', link: '4g' })
    const lans = [undefined, home, home, phone]
    for (const [i, name] of NAMES.entries()) {
      sim.host(name, { lan: lans[i], ...(i === 0 && { link: 'fibre' }) }, async (host) => {
        const { runtime } = host
        const start = ++starts
        // The third of them comes late.
        if (i === 2 && sim.now < TROUBLE_MS / 2) await runtime.sleep(TROUBLE_MS / 2 - sim.now)
        const chat = await Chat.start(simulatedActor(host), { contacts: NAMES, syncEveryMs: 1_000 })
        await chat.join(ROOM)
        chats.set(name, chat)
        for (let n = 0; sim.now < TROUBLE_MS; n++) {
          const text = `${name} ${start}.${n}`
          written.add(text)
          await chat.post(ROOM, text)
          posted.set(text, name)
          await runtime.sleep(1_000 + runtime.random() * 4_000)
        }
      })
    }
    sim.faults.onChange((fault, began) => {
      const isLost = (fault.kind === 'crash' || fault.kind === 'restart') && fault.disk === 'lost'
      if (!began || !isLost) return
      // What nobody else had yet is lost with the disk, and about that nothing was promised.
      const others = NAMES.filter((name) => name !== fault.host && sim.hosts.find((host) => host.name === name)?.isOn)
      const saved = new Set(others.flatMap((name) => view(name)))
      for (const [text, author] of posted) if (author === fault.host && !saved.has(text)) posted.delete(text)
    })
    sim.always(
      'nobody reads what nobody wrote, or twice',
      () => {
        for (const name of NAMES) {
          const texts = view(name)
          if (new Set(texts).size !== texts.length || texts.some((text) => !written.has(text))) return false
        }
        return true
      },
      { everyMs: 1_000 },
    )
    sim.sometimes('somebody starts again after a crash', () => starts > NAMES.length)
    await sim.run({ forMs: TROUBLE_MS })
    const isSame = (): boolean => {
      const [first = '', ...others] = NAMES.map((name) => view(name).join('\n'))
      return others.every((other) => other === first)
    }
    await sim.converge(
      'everybody reads the same, and all that was posted',
      () => isSame() && [...posted.keys()].every((text) => view('ada').includes(text)),
      { withinMs: 240_000 },
    )
  },
)
export default everybodyReadsTheSame
