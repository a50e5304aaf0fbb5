/**
 * The story of the example: three friends talk in a room, one comes late and reads what was said, and two have a room of
 * their own.
 *
 * @module
 */
import type { Actor, Part } from '../stage/actor.ts'
import { Chat } from './chat.ts'
import type { ChatMessage } from './message.ts'

/** Everybody in the story. */
export const CAST = ['alice', 'bob', 'carol', 'dave'] as const
const ALL = 'kitchen'
const TWO = 'plans'

/** How long everybody waits for the others before something is wrong. */
const PATIENCE_MS = 120_000

/** Waits until a room has `count` messages. */
async function untilHeard(actor: Actor, chat: Chat, room: string, count: number): Promise<readonly ChatMessage[]> {
  const endMs = actor.runtime.now() + PATIENCE_MS
  for (;;) {
    const messages = chat.messages(room)
    if (messages.length >= count) return messages
    if (actor.runtime.now() > endMs)
      throw new Error(`${actor.name} has ${messages.length} of ${count} messages of ${room}`)
    await actor.runtime.sleep(100)
  }
}

function part(play: (actor: Actor, chat: Chat) => Promise<void>, comesLateMs = 0): Part {
  return async (actor) => {
    await actor.runtime.sleep(comesLateMs)
    const onMessage = ({ room, author, text }: ChatMessage): void => {
      const who = author === actor.key.nodeId.toString() ? 'writes' : 'reads '
      actor.log(`${who}  #${room}: ${text}`)
    }
    const chat = await Chat.start(actor, { contacts: CAST, syncEveryMs: 500, onMessage })
    await chat.join(ALL)
    await play(actor, chat)
    // So that whoever is late finds somebody.
    await untilHeard(actor, chat, ALL, 6)
    await actor.runtime.sleep(5_000)
    await chat.close()
    actor.log('goes offline')
  }
}

/** What each of them does. */
export const PARTS: Readonly<Record<(typeof CAST)[number], Part>> = {
  alice: part(async (actor, chat) => {
    await chat.join(TWO)
    await chat.post(ALL, 'Is anybody there?')
    await untilHeard(actor, chat, ALL, 3)
    await chat.post(TWO, 'Dave has his birthday on Friday.')
    await untilHeard(actor, chat, TWO, 2)
  }),
  bob: part(async (actor, chat) => {
    await chat.join(TWO)
    await untilHeard(actor, chat, ALL, 1)
    await chat.post(ALL, 'I am, on the train.')
    await untilHeard(actor, chat, TWO, 1)
    await chat.post(TWO, 'I bring the cake!')
  }),
  carol: part(async (actor, chat) => {
    await untilHeard(actor, chat, ALL, 2)
    await chat.post(ALL, 'Me too.')
    await untilHeard(actor, chat, ALL, 4)
    await chat.post(ALL, 'Hello, Dave!')
    await chat.post(ALL, 'Friday? Nothing special.')
  }),
  dave: part(async (actor, chat) => {
    await untilHeard(actor, chat, ALL, 3)
    await chat.post(ALL, 'What did I miss? And what is on Friday?')
  }, 3_000),
}
