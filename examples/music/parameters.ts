/**
 * Parameters of requests, checked: what a peer sends is anybody's guess.
 *
 * @module
 */
import { P2PResponse } from '@moosicbox/p2p'
import type { P2PMiddleware } from '@moosicbox/p2p'

/** A request that cannot be answered as its sender wished; {@link explainToPeer} makes an answer of it. */
export class RequestError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  /** What was asked for does not exist. */
  static notFound(what: string): RequestError {
    return new RequestError(404, `there is no ${what}`)
  }

  /** The request makes no sense. */
  static bad(message: string): RequestError {
    return new RequestError(400, message)
  }
}

/** Answers with what a {@link RequestError} says. Any other error stays one, and the peer learns nothing of it. */
export const explainToPeer: P2PMiddleware = async (_request, next) => {
  try {
    return await next()
  } catch (error) {
    if (error instanceof RequestError) return P2PResponse.error(error.status, error.message)
    throw error
  }
}

/**
 * A whole number from 0 to `max`.
 *
 * @throws RequestError 400 when it is missing and there is no `fallback`, or is no such number
 */
export function wholeNumber(text: string | undefined, name: string, max: number, fallback?: number): number {
  if (text === undefined && fallback !== undefined) return fallback
  const value = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  const range = max < Number.MAX_SAFE_INTEGER ? ` from 0 to ${max}` : ''
  throw RequestError.bad(`${name} must be a whole number${range}`)
}
