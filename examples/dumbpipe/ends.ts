/**
 * The two ends: one waits, the other one comes.
 *
 * @module
 */
import type { P2PAddress, P2PConnection, P2PListener, P2PSystem } from '@moosicbox/p2p'
import { forward } from './forward.ts'
import type { Ends, Pipe } from './forward.ts'
import { hearHello, sayHello } from './protocol.ts'

/** Waits for somebody who speaks `alpn`, and is a pipe to them; `onReady` is told when it can be reached. */
export async function listenAndPipe(
  p2p: P2PSystem,
  alpn: string,
  ends: Ends,
  signal: AbortSignal,
  onReady: () => void,
): Promise<void> {
  const listener = await p2p.listen('', { alpns: [alpn] })
  onReady()
  let pipe: Pipe | undefined
  while (!pipe) pipe = await nextPipe(listener, alpn, signal)
  // One pipe has two ends.
  listener.close()
  await usePipe(pipe, ends, signal)
}

/** Connects to `address`, and is a pipe to whoever listens there. */
export async function connectAndPipe(
  p2p: P2PSystem,
  address: P2PAddress,
  alpn: string,
  ends: Ends,
  signal: AbortSignal,
): Promise<void> {
  const connection = await p2p.connect(address, { alpn, signal })
  const stream = await connection.openStream({ signal })
  await sayHello(stream, alpn, signal)
  await usePipe({ connection, stream }, ends, signal)
}

/** The next one who connects; undefined when that was somebody else, or nobody for long. */
async function nextPipe(
  listener: P2PListener<P2PConnection>,
  alpn: string,
  signal: AbortSignal,
): Promise<Pipe | undefined> {
  const connection = await listener.accept({ signal })
  try {
    const stream = await connection.acceptStream({ signal })
    await hearHello(stream, alpn, signal)
    return { connection, stream }
  } catch (error) {
    connection.close(1, 'no hello')
    if (signal.aborted) throw error
    return undefined
  }
}

async function usePipe(pipe: Pipe, ends: Ends, signal: AbortSignal): Promise<void> {
  try {
    await forward(pipe, ends, signal)
    // What was sent last is still on its way: who closes now may lose it.
    await pipe.connection.end({ signal })
  } catch (error) {
    pipe.connection.close(1, 'the pipe is broken')
    throw error
  }
}
