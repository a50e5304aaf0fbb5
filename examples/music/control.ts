/**
 * The control channel: who plays what, and where in it. Small JSON messages with a `type`, both ways, about one a
 * second; every controller of a server sees the same sessions, so that a phone can steer what the living room plays.
 * From its first message on a controller hears of every change.
 *
 * @module
 */
import { MusicError } from './errors.ts'

/** What one player is doing. */
export interface Session {
  /** The player's own name. */
  readonly sessionId: string
  readonly trackId: number
  readonly playing: boolean
  readonly positionMs: number
  /** 0 to 1. */
  readonly volume: number
}

/** From a controller to the server. `requestId` comes back in the answer. */
export type ControlRequest =
  | { readonly type: 'PING'; readonly requestId: number }
  | { readonly type: 'GET_SESSIONS'; readonly requestId: number }
  | ({ readonly type: 'UPDATE_SESSION'; readonly requestId: number } & Session)
  | { readonly type: 'SET_SEEK'; readonly requestId: number; readonly sessionId: string; readonly positionMs: number }

/** From the server to controllers: answers have the request's id, what was not asked for has none. */
export type ControlEvent =
  | { readonly type: 'PONG'; readonly requestId: number }
  | { readonly type: 'SESSIONS'; readonly requestId: number; readonly sessions: readonly Session[] }
  | ({ readonly type: 'SESSION_UPDATED'; readonly requestId?: number | undefined } & Session)
  | { readonly type: 'ERROR'; readonly requestId?: number | undefined; readonly message: string }

/** Longest message; the usual ones have about 140 bytes. */
export const MAX_CONTROL_BYTES = 16_384
/** Longest id of a session. */
const MAX_ID_LENGTH = 128

/** A message as bytes. */
export function encodeControl(message: ControlRequest | ControlEvent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message))
}

type Fields = Readonly<Record<string, unknown>>

/** @throws MusicError that says what is wrong, and is fit for whoever sent it */
function decode(bytes: Uint8Array): Fields {
  if (bytes.length > MAX_CONTROL_BYTES) throw new MusicError(`a control message has at most ${MAX_CONTROL_BYTES} bytes`)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new MusicError('a control message is JSON in UTF-8')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MusicError('a control message is a JSON object')
  }
  return value as Fields
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH) return value
  throw new MusicError(`${name} must be a text of 1 to ${MAX_ID_LENGTH} characters`)
}

function number(fields: Fields, name: string, max: number): number {
  const value = fields[name]
  if (typeof value === 'number' && value >= 0 && value <= max) return value
  throw new MusicError(`${name} must be a number from 0 to ${max}`)
}

function requestIdOf(fields: Fields): number {
  const value = fields['requestId']
  if (Number.isSafeInteger(value)) return value as number
  throw new MusicError('requestId must be a whole number')
}

function sessionOf(fields: Fields): Session {
  if (typeof fields['playing'] !== 'boolean') throw new MusicError('playing must be true or false')
  return {
    sessionId: text(fields, 'sessionId'),
    trackId: number(fields, 'trackId', Number.MAX_SAFE_INTEGER),
    playing: fields['playing'],
    positionMs: number(fields, 'positionMs', Number.MAX_SAFE_INTEGER),
    volume: number(fields, 'volume', 1),
  }
}

/**
 * Reads what a controller sent.
 *
 * @throws MusicError saying what is wrong with it
 */
export function decodeRequest(bytes: Uint8Array): ControlRequest {
  const fields = decode(bytes)
  const requestId = requestIdOf(fields)
  const { type } = fields
  switch (type) {
    case 'PING':
    case 'GET_SESSIONS':
      return { type, requestId }
    case 'UPDATE_SESSION':
      return { type, requestId, ...sessionOf(fields) }
    case 'SET_SEEK': {
      const positionMs = number(fields, 'positionMs', Number.MAX_SAFE_INTEGER)
      return { type, requestId, sessionId: text(fields, 'sessionId'), positionMs }
    }
    default:
      throw new MusicError('type must be one of PING, GET_SESSIONS, UPDATE_SESSION, SET_SEEK')
  }
}

/**
 * Reads what the server sent; undefined for a type that this version does not know, as a newer server may send it.
 *
 * @throws MusicError saying what is wrong with it
 */
export function decodeEvent(bytes: Uint8Array): ControlEvent | undefined {
  const fields = decode(bytes)
  const answers = fields['requestId'] === undefined ? {} : { requestId: requestIdOf(fields) }
  switch (fields['type']) {
    case 'PONG':
      return { type: 'PONG', requestId: requestIdOf(fields) }
    case 'SESSIONS': {
      if (!Array.isArray(fields['sessions'])) throw new MusicError('sessions must be a list')
      const sessions = fields['sessions'].map((session) => sessionOf((session ?? {}) as Fields))
      return { type: 'SESSIONS', requestId: requestIdOf(fields), sessions }
    }
    case 'SESSION_UPDATED':
      return { type: 'SESSION_UPDATED', ...answers, ...sessionOf(fields) }
    case 'ERROR':
      return { type: 'ERROR', ...answers, message: String(fields['message']) }
    default:
      return undefined
  }
}
