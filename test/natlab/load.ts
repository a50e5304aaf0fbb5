/**
 * Requests one after the other, then transfers, timed. The same code runs on real nodes and on simulated ones.
 *
 * @module
 */
import type { P2PConnection, Runtime } from '@moosicbox/p2p'
import { answer, REQUEST_BYTES } from './traffic.ts'

export const LOAD_ALPN = 'natlab/load'
const TRANSFER_BYTES = 1_048_576

/** What is sent. */
export interface Load {
  /** Each of 100 B, with an answer of 100 B, on one stream. */
  readonly requests: number
  /** 1 MiB each, until the receiver says that it has come. */
  readonly transfers: number
}

/** How long each took, in milliseconds. */
export interface LoadTimes {
  readonly requestMs: readonly number[]
  readonly transferMs: readonly number[]
}

/** What became of a load. */
export interface LoadReport extends LoadTimes {
  /** The kind of path at the end. */
  readonly outcome: 'direct' | 'relayed'
}

export async function runLoad(connection: P2PConnection, runtime: Runtime, load: Load): Promise<LoadTimes> {
  const time = async (what: () => Promise<unknown>): Promise<number> => {
    const startMs = runtime.now()
    await what()
    return runtime.now() - startMs
  }
  const stream = await connection.openStream()
  const ask = async (): Promise<void> => {
    await stream.write(new Uint8Array(REQUEST_BYTES))
    await stream.readExactly(REQUEST_BYTES)
  }
  const transfer = async (): Promise<void> => {
    const upload = await connection.openSendStream()
    await upload.write(new Uint8Array(TRANSFER_BYTES))
    await upload.finish()
    await (await connection.acceptReceiveStream()).readToEnd(1)
  }
  const requestMs: number[] = []
  for (let i = 0; i < load.requests; i++) requestMs.push(await time(ask))
  const transferMs: number[] = []
  for (let i = 0; i < load.transfers; i++) transferMs.push(await time(transfer))
  return { requestMs, transferMs }
}

/** The other side, until the connection ends. */
export async function serveLoad(connection: P2PConnection): Promise<void> {
  void answer(await connection.acceptStream()).catch(() => {})
  for (;;) {
    await (await connection.acceptReceiveStream()).readToEnd(TRANSFER_BYTES)
    const acknowledgement = await connection.openSendStream()
    await acknowledgement.write(new Uint8Array(1))
    await acknowledgement.finish()
  }
}
