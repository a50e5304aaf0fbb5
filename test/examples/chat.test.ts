/** The chat example: what everybody reads in the end, whatever happens on the way. */
import { testSigningKey } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { beforeAll, describe, expect, test } from 'vitest'
import { Chat } from '../../examples/chat/chat.ts'
import { History } from '../../examples/chat/history.ts'
import { readMessage, signMessage } from '../../examples/chat/message.ts'
import type { ChatMessage } from '../../examples/chat/message.ts'
import { RoomFile } from '../../examples/chat/room-file.ts'
import { CAST, PARTS } from '../../examples/chat/story.ts'
import { simulatedActor } from '../../examples/stage/simulated.ts'
import { build, runExample } from './built.ts'
import { NAMES, runFaultyWorld } from './faulty-world.ts'
import type { FaultyRun, Name } from './faulty-world.ts'
import { MemoryStore } from './memory-store.ts'

const ROOM = 'room'

interface ChatRun extends FaultyRun {
  /** Texts whose `post` has resolved, and all that were ever given to it. */
  readonly posted: readonly string[]
  readonly attempted: readonly string[]
  readonly views: readonly (readonly string[])[]
  readonly restarts: number
}

/** Everybody writes now and then for a minute; cleo comes late. */
async function chatThrough(seed: number, profile: 'mobile' | 'hostile'): Promise<ChatRun> {
  const posted: string[] = []
  const attempted: string[] = []
  const chats = new Map<Name, Chat>()
  let starts = 0
  const writeUntilMs = 60_000
  const view = (name: Name): readonly string[] =>
    chats
      .get(name)
      ?.messages(ROOM)
      .map(({ text }) => text) ?? []
  const run = await runFaultyWorld({
    seed,
    profile,
    healMs: writeUntilMs,
    limitMs: 300_000,
    program: (name) => async (host) => {
      starts++
      const { runtime, world } = host
      const nowMs = (): number => world.scheduler.nowUs() / 1000
      if (name === 'cleo' && nowMs() < 30_000) await runtime.sleep(30_000 - nowMs())
      const chat = await Chat.start(simulatedActor(host), { contacts: NAMES, syncEveryMs: 1_000 })
      await chat.join(ROOM)
      chats.set(name, chat)
      const own = starts
      for (let n = 0; nowMs() < writeUntilMs; n++) {
        const text = `${name} ${own}.${n}`
        attempted.push(text)
        await chat.post(ROOM, text)
        posted.push(text)
        await runtime.sleep(1_000 + runtime.random() * 4_000)
      }
    },
    isWell: () => {
      const [first, ...others] = NAMES.map((name) => view(name).join('\n'))
      return others.every((other) => other === first) && posted.every((text) => view('ada').includes(text))
    },
  })
  return { ...run, posted, attempted, views: NAMES.map((name) => view(name)), restarts: starts - NAMES.length }
}

describe('a room in the end', () => {
  test.each([1, 2, 3])('is the same for all, whatever happens to phones (seed %i)', async (seed) => {
    expect(problemsOf(await chatThrough(seed, 'mobile'))).toEqual([])
  })

  test.each([1, 2, 4, 5, 6])('is the same for all, after crashes and partitions (seed %i)', async (seed) => {
    expect(problemsOf(await chatThrough(seed, 'hostile'))).toEqual([])
  })

  test('is the same with the same seed', async () => {
    const [one, again, other] = [
      await chatThrough(3, 'hostile'),
      await chatThrough(3, 'hostile'),
      await chatThrough(4, 'hostile'),
    ]
    expect(again).toEqual(one)
    expect(other.hash).not.toBe(one.hash)
    // These seeds are worth something.
    expect(one.faults.length + other.faults.length).toBeGreaterThan(5)
    expect(one.posted.length).toBeGreaterThan(30)
  })
})

/** What is wrong with a run, in words. */
function problemsOf({ isWell, views, posted, attempted }: ChatRun): string[] {
  const problems: string[] = []
  if (!isWell) problems.push('it did not become well')
  for (const [i, view] of views.entries()) {
    const name = NAMES[i]
    if (view.join('\n') !== views[0]?.join('\n')) problems.push(`${name} reads something else than ${NAMES[0]}`)
    if (new Set(view).size !== view.length) problems.push(`${name} reads something twice`)
    for (const text of posted) if (!view.includes(text)) problems.push(`${name} does not read ${text}`)
    for (const text of view) if (!attempted.includes(text)) problems.push(`${name} reads ${text}, which nobody wrote`)
    // What one person wrote stands in its order.
    for (const author of NAMES) {
      const own = view.filter((text) => text.startsWith(author))
      const inOrder = attempted.filter((text) => own.includes(text) && text.startsWith(author))
      if (own.join() !== inOrder.join()) problems.push(`${name} reads ${author} out of order`)
    }
  }
  return problems
}

describe('the story', () => {
  test('happens the same way twice', async () => {
    const tell = async (): Promise<{ readonly hash: string; readonly said: readonly string[] }> => {
      const said: string[] = []
      await using sim = new Simulation({ seed: 7 })
      for (const name of CAST) {
        const lan = sim.lan({ nat: 'home', link: 'fibre' })
        sim.host(name, { lan }, (host) => PARTS[name](simulatedActor(host, (who, text) => said.push(`${who} ${text}`))))
      }
      const { hash, ended } = await sim.run({ forMs: 300_000 })
      expect(ended).toBe('programs')
      return { hash, said }
    }
    const first = await tell()
    expect(await tell()).toEqual(first)
    expect(first.said).toContain('dave reads   #kitchen: Is anybody there?')
    expect(first.said.filter((line) => line.includes('#plans') && /^(?:carol|dave)/.test(line))).toEqual([])
  })

  describe('as a program', () => {
    beforeAll(() => build(), 120_000)

    test.each(['simulator', 'iroh'])('comes to its end on %s', async (backend) => {
      const { code, stdout, stderr } = await runExample('chat', '--backend', backend)
      // A binding may warn of itself.
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('error:')])
      const text = stdout.toString()
      for (const name of CAST) expect(text).toMatch(new RegExp(`${name} +goes offline`))
      expect(text).toMatch(/dave +reads +#kitchen: Is anybody there\?/)
    })

    test('says what is wrong with how it was called', async () => {
      expect(await runExample('chat', '--backend', 'smoke')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('simulator or iroh'),
      })
      expect(await runExample('chat', '--seed', '-x')).toMatchObject({ code: 2 })
      expect(await runExample('chess')).toMatchObject({ code: 2, stderr: expect.stringContaining('there are chat') })
    })
  })
})

describe('the parts', () => {
  const key = testSigningKey('ada')
  const CONTENT = { room: ROOM, log: 'a1', atMs: 1_700_000_000_000 } as const
  const message = (number: number, clock = number + 1): ChatMessage =>
    signMessage(key, { ...CONTENT, author: key.nodeId.toString(), number, clock, text: `message ${number}` })

  test('only genuine messages are read', () => {
    const genuine = message(0)
    expect(readMessage({ ...genuine })).toEqual(genuine)
    const author = testSigningKey('bert').nodeId.toString()
    for (const change of [
      { text: 'other' },
      { number: 1 },
      { room: 'other' },
      { clock: 9 },
      { author },
      { author: 'x' },
    ]) {
      expect(readMessage({ ...genuine, ...change })).toBeUndefined()
    }
    for (const value of [undefined, null, 7, 'text', [], {}, { ...genuine, text: 'x'.repeat(3_000) }]) {
      expect(readMessage(value)).toBeUndefined()
    }
  })

  test('a history takes messages in order, once, and knows what another lacks', () => {
    const history = new History()
    expect(history.add(message(1))).toBe(false)
    expect([0, 1, 2].map((number) => history.add(message(number)))).toEqual([true, true, true])
    expect(history.add(message(1))).toBe(false)
    const log = `${key.nodeId.toString()}/a1`
    expect(history.have()).toEqual({ [log]: 3 })
    const lacks = (have: Record<string, number>, limit = 100): number[] =>
      history.missing(have, limit).map(({ number }) => number)
    expect(lacks({})).toEqual([0, 1, 2])
    expect(lacks({ [log]: 2 })).toEqual([2])
    expect(lacks({ [log]: 3, other: 5 })).toEqual([])
    expect(lacks({}, 2)).toEqual([0, 1])
    expect(lacks({ [log]: -5 })).toEqual([0, 1, 2])
    expect(lacks({ [log]: 'x' as never })).toEqual([0, 1, 2])
  })

  test('a room file forgets a torn line, and only that', async () => {
    const store = new MemoryStore()
    const messages = [message(0), message(1)]
    await new RoomFile(store, ROOM).append(messages)
    const [name = ''] = store.files.keys()
    const whole = store.files.get(name) ?? new Uint8Array(0)
    for (const cut of [1, 10, 200]) {
      store.files.set(name, whole.slice(0, whole.length - cut))
      expect(await new RoomFile(store, ROOM).load()).toEqual([messages[0]])
      const file = new RoomFile(store, ROOM)
      await file.append([message(1)])
      expect(await new RoomFile(store, ROOM).load()).toEqual(messages)
    }
  })
})
