/**
 * WHATWG byte streams over a `read` that resolves with chunks, and with undefined at the end.
 *
 * @module
 */
import { copyBytes } from './encoding.ts'

/** A byte stream that reads only when asked to; cancelling it calls `cancel`. */
export function readableBytes(
  read: () => Promise<Uint8Array | undefined>,
  cancel: () => void | Promise<void>,
): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      type: 'bytes',
      pull: async (controller): Promise<void> => {
        const chunk = await read()
        if (chunk) {
          // `enqueue` takes the whole buffer away, of which others may have read, or still need, another part.
          controller.enqueue(chunk.byteLength === chunk.buffer.byteLength ? chunk : copyBytes(chunk))
        } else {
          controller.close()
          controller.byobRequest?.respond(0)
        }
      },
      cancel,
    },
    { highWaterMark: 0 },
  )
}
