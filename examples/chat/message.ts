/**
 * A message of a room: who wrote it, where it stands in what they wrote, and their signature, so that anybody may pass it
 * on and nobody can change or invent one.
 *
 * @module
 */
import { NodeId, verifySignature } from '@moosicbox/p2p'
import type { SigningKey } from '@moosicbox/p2p'

/** The longest text, in UTF-16 units. */
export const MAX_TEXT = 2_000

/** What is signed. */
export interface MessageContent {
  readonly room: string
  /** The author's node id. */
  readonly author: string
  /**
   * The author's log: another one each time the author's program starts, so that numbers are never used twice, even when
   * a disk was lost.
   */
  readonly log: string
  /** Counts the messages of the log from 0. */
  readonly number: number
  /** One more than that of every message the author had seen: what answers another message comes after it (Lamport). */
  readonly clock: number
  /** The author's wall clock, for people. */
  readonly atMs: number
  readonly text: string
}

/** A message; `signature` is the author's, in base64. */
export interface ChatMessage extends MessageContent {
  readonly signature: string
}

function signedBytes({ room, author, log, number, clock, atMs, text }: MessageContent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(['chat 1', room, author, log, number, clock, atMs, text]))
}

/** Signs a message; `content.author` must be the key's id. */
export function signMessage(key: SigningKey, content: MessageContent): ChatMessage {
  return { ...content, signature: Buffer.from(key.sign(signedBytes(content))).toString('base64') }
}

/** The message in something that came from a peer or a disk; undefined when it is none, or not its author's. */
export function readMessage(value: unknown): ChatMessage | undefined {
  const { room, author, log, number, clock, atMs, text, signature } = Object(value) as Partial<ChatMessage>
  const isShaped =
    isText(room, 100) &&
    isText(author, 64) &&
    isText(log, 32) &&
    isCount(number) &&
    isCount(clock) &&
    isCount(atMs) &&
    isText(text, MAX_TEXT) &&
    isText(signature, 100)
  if (!isShaped) return undefined
  const content = { room, author, log, number, clock, atMs, text }
  try {
    const isGenuine = verifySignature(NodeId.parse(author), signedBytes(content), Buffer.from(signature, 'base64'))
    return isGenuine ? { ...content, signature } : undefined
  } catch {
    return undefined
  }
}

/** The order in which everybody shows a room: answers behind what they answer, and the same for all. */
export function compareMessages(a: ChatMessage, b: ChatMessage): number {
  if (a.clock !== b.clock) return a.clock - b.clock
  if (a.author !== b.author) return a.author < b.author ? -1 : 1
  return a.log === b.log ? a.number - b.number : a.log < b.log ? -1 : 1
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
