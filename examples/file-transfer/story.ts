/**
 * The story of the example: a phone downloads a recording from a server and a laptop at once, is interrupted, goes on from
 * where it was, and hands the file on to a tablet.
 *
 * @module
 */
import type { Actor, Part } from '../stage/actor.ts'
import { download } from './download.ts'
import { fileId, manifestOf, sha256 } from './manifest.ts'
import { share } from './share.ts'

/** Everybody in the story. */
export const CAST = ['server', 'laptop', 'phone', 'tablet'] as const

/** Who is not asked for so long goes offline. */
const IDLE_MS = 5_000
const NAME = 'recording.flac'

/** A recording, the same for everybody. */
function recording(): Uint8Array {
  const bytes = new Uint8Array(2_500_000)
  let state = 1
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

async function give(actor: Actor): Promise<void> {
  const { p2p, shelf, untilIdle } = await share(actor)
  await shelf.add(NAME, recording())
  actor.log(`offers ${NAME}`)
  await untilIdle(IDLE_MS)
  await p2p.close()
}

async function take(actor: Actor, sources: readonly string[], interruptAt?: number): Promise<void> {
  const id = fileId(manifestOf(NAME, recording()))
  const { p2p, shelf, untilIdle } = await share(actor)
  const counts = new Map<string, number>()
  const interrupt = new AbortController()
  const onBlock = (_index: number, source: string): void => {
    counts.set(source, (counts.get(source) ?? 0) + 1)
    if ([...counts.values()].reduce((a, b) => a + b) === interruptAt) interrupt.abort()
  }
  const told = (): string => [...counts].map(([source, blocks]) => `${blocks} from ${source}`).join(', ')
  if (interruptAt !== undefined) {
    await download(p2p, shelf, id, { sources, onBlock, signal: interrupt.signal }).catch(() => {})
    actor.log(`is interrupted after ${told()}`)
    counts.clear()
  }
  const file = await download(p2p, shelf, id, { sources, onBlock })
  const isRight = sha256(await file.bytes()) === sha256(recording())
  actor.log(`has ${file.blocks} blocks: ${told()}; ${isRight ? 'every byte is right' : 'SOMETHING IS WRONG'}`)
  if (!isRight) throw new Error('a wrong file was taken for the right one')
  await untilIdle(IDLE_MS)
  await p2p.close()
}

/** What each of them does. */
export const PARTS: Readonly<Record<(typeof CAST)[number], Part>> = {
  server: give,
  laptop: give,
  phone: (actor) => take(actor, ['server', 'laptop'], 20),
  tablet: async (actor) => {
    await actor.runtime.sleep(2_000)
    await take(actor, ['phone', 'server'])
  },
}
