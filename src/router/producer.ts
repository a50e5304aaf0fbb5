/**
 * Bodies on their way out: one way to pull bytes from whatever an application gave, and to give up doing so.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { FileBody } from './file.ts'

/** Bytes to send, at the pace of whoever takes them. */
export interface BodyProducer {
  /** Whether the first bytes come at once, so that the head may wait for them and share their packet. */
  readonly prompt: boolean
  /** The next bytes, undefined at the end. */
  next(): Promise<Uint8Array | undefined>
  /** Nobody wants more. Never throws; a `next` under way may never settle. */
  cancel(reason: unknown): void
}

function checked(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  throw invalidConfiguration('body', typeof chunk, 'the chunks of a body are Uint8Arrays; encode text first')
}

function fromReadable(stream: ReadableStream<Uint8Array>): BodyProducer {
  const reader = stream.getReader()
  return {
    prompt: false,
    next: async (): Promise<Uint8Array | undefined> => {
      const { done, value } = await reader.read()
      return done ? undefined : checked(value)
    },
    cancel: (reason): void => void reader.cancel(reason).catch(() => {}),
  }
}

function fromIterable(iterable: AsyncIterable<Uint8Array>): BodyProducer {
  const iterator = iterable[Symbol.asyncIterator]()
  return {
    prompt: false,
    next: async (): Promise<Uint8Array | undefined> => {
      const { done, value } = await iterator.next()
      return done === true ? undefined : checked(value)
    },
    cancel: (): void => {
      // An iterator need have no `return`; one that has may fail, which is nobody's business any more.
      const end = async (): Promise<unknown> => iterator.return?.()
      end().catch(() => {})
    },
  }
}

function fromFile(file: FileBody): BodyProducer {
  return { prompt: true, next: () => file.read(), cancel: (): void => {} }
}

/** The producer of a body that is no plain bytes. @throws P2PError `invalid-configuration` when it is no body */
export function produce(body: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): BodyProducer {
  if (body instanceof FileBody) return fromFile(body)
  if ('getReader' in body) return fromReadable(body)
  if (typeof body === 'object' && Symbol.asyncIterator in body) return fromIterable(body)
  throw invalidConfiguration('body', typeof body, 'a body is bytes, a ReadableStream or an async iterable of bytes')
}
