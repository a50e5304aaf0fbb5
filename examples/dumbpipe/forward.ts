/**
 * Joins a stream of a connection to the input and the output of a program, each direction at its own pace and with an
 * end of its own.
 *
 * @module
 */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import type { CloseInfo, P2PConnection, P2PStream } from '@moosicbox/p2p'

/** A pipe that is open. */
export interface Pipe {
  readonly connection: P2PConnection
  readonly stream: P2PStream
}

/** The two ends of a program's own pipe. */
export interface Ends {
  readonly input: Readable
  readonly output: Writable
}

/** Whoever read the output has had enough. */
export class ReaderGone extends Error {}

/**
 * Forwards both ways until both have ended. The end of the input is the end of what the other side reads, and nothing
 * else: its answer may come long after. A failure of one direction, or `signal`, ends both.
 */
export async function forward(pipe: Pipe, { input, output }: Ends, signal: AbortSignal): Promise<void> {
  const { stream } = pipe
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const fail = (error: unknown): never => {
    failed.abort(error)
    throw error
  }
  await Promise.all([send(pipe, input, either).catch(fail), receive(stream, output, either).catch(fail)]).catch(
    (error: unknown) => {
      stream.reset(0)
      stream.stop(0)
      // The first failure is the reason; the other direction only heard of it.
      throw failed.signal.aborted ? failed.signal.reason : error
    },
  )
}

async function send({ connection, stream }: Pipe, input: Readable, signal: AbortSignal): Promise<void> {
  const given = new AbortController()
  const either = AbortSignal.any([signal, given.signal])
  // The other side may want no more, or be gone, while there is nothing to write.
  const isGone = ({ reason }: CloseInfo): void => given.abort(new Error(`the connection is over: ${reason}`))
  void connection.closed.then(isGone)
  using _ = stream.onStopped(() => given.abort(new Error('the other side takes no more')))
  const abort = (): void => void input.destroy()
  either.addEventListener('abort', abort, { once: true })
  try {
    either.throwIfAborted()
    for await (const chunk of input) await stream.write(chunk as Uint8Array, { signal })
    either.throwIfAborted()
    await stream.finish()
  } catch (error) {
    throw either.aborted ? either.reason : error
  } finally {
    either.removeEventListener('abort', abort)
  }
}

async function receive(stream: P2PStream, output: Writable, signal: AbortSignal): Promise<void> {
  const gone = new AbortController()
  const onError = (error: NodeJS.ErrnoException): void => {
    gone.abort(error.code === 'EPIPE' ? new ReaderGone('the reader of the output has ended') : error)
  }
  output.on('error', onError)
  const either = AbortSignal.any([signal, gone.signal])
  try {
    for (;;) {
      const bytes = await stream.read(undefined, { signal: either })
      if (!bytes) return
      // A reader that is slow makes the other side wait, and not this one fill its memory.
      if (!output.write(bytes)) await once(output, 'drain', { signal: either })
    }
  } catch (error) {
    throw either.aborted ? either.reason : error
  } finally {
    output.off('error', onError)
  }
}
