/**
 * A node whose peer is the test itself, byte by byte: for what an engine would never say, and to see what ours says.
 *
 * @module
 */
import type { CarrierConnection, CarrierReceiveStream, CarrierSendStream } from '../../src/core/carrier.ts'
import { decodeControlFrame, STREAM_KIND } from '../../src/core/engine/wire.ts'
import type { ControlFrame } from '../../src/core/engine/wire.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { P2P_ALPN } from '../../src/core/system.ts'
import type { ListenOptions } from '../../src/core/system.ts'
import { ManualRuntime } from './manual-runtime.ts'
import { MemoryNetwork } from './memory-carrier.ts'
import { deferred } from './memory-pipe.ts'
import { MemoryNode } from './memory-node.ts'
import type { MemoryConnection, PairOptions } from './memory-node.ts'

/** A node, its connection, and the other end in the test's hands. */
export interface RawPair {
  readonly network: MemoryNetwork
  readonly runtime: ManualRuntime
  readonly node: MemoryNode
  readonly connection: MemoryConnection
  readonly raw: CarrierConnection
}

/** The test connects to a node. */
export async function rawClient(options: PairOptions & { readonly listen?: ListenOptions } = {}): Promise<RawPair> {
  const network = new MemoryNetwork(options)
  const runtime = new ManualRuntime()
  const node = MemoryNode.create(network, 'node', { runtime, limits: options.limits ?? {} })
  const alpn = options.alpn ?? P2P_ALPN
  const listener = await node.listen('', { alpns: [alpn], ...options.listen })
  const { signal } = new AbortController()
  const raw = await network.endpoint(testNodeId('raw')).connect({ address: node.address(), alpn, signal })
  return { network, runtime, node, connection: await listener.accept(), raw }
}

/** A node connects to the test. */
export async function rawServer(options: PairOptions = {}): Promise<RawPair> {
  const network = new MemoryNetwork(options)
  const runtime = new ManualRuntime()
  const node = MemoryNode.create(network, 'node', { runtime, limits: options.limits ?? {} })
  const endpoint = network.endpoint(testNodeId('raw'))
  const incoming = deferred<CarrierConnection>()
  endpoint.onIncoming = incoming.resolve
  const alpn = options.alpn ?? P2P_ALPN
  endpoint.setAlpns([alpn])
  const connection = await node.connect(testNodeId('raw'), { alpn })
  return { network, runtime, node, connection, raw: await incoming.promise }
}

/** Opens a one-way stream with these first bytes. */
export async function openUni(raw: CarrierConnection, ...bytes: (Uint8Array | number)[]): Promise<CarrierSendStream> {
  const stream = await raw.openUni()
  for (const part of bytes) await stream.write(typeof part === 'number' ? Uint8Array.of(part) : part)
  return stream
}

/** All bytes of a stream. */
export async function readAll(stream: CarrierReceiveStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for (let chunk = await stream.read(65_536); chunk; chunk = await stream.read(65_536)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Collects the control frames that a node sends, and counts its other one-way streams; fills as they come. */
export function listenToControl(raw: CarrierConnection): { readonly frames: ControlFrame[]; otherStreams: number } {
  const heard = { frames: [] as ControlFrame[], otherStreams: 0 }
  const follow = async (stream: CarrierReceiveStream): Promise<void> => {
    let bytes = (await stream.read(65_536)) ?? new Uint8Array(0)
    if (bytes[0] !== STREAM_KIND.control) {
      heard.otherStreams++
      return
    }
    bytes = bytes.subarray(1)
    for (;;) {
      for (let decoded = decodeControlFrame(bytes, 0); decoded; decoded = decodeControlFrame(bytes, 0)) {
        if (decoded === 'malformed') throw new Error('the node sent a malformed control frame')
        heard.frames.push(decoded.frame)
        bytes = bytes.subarray(decoded.next)
      }
      const more = await stream.read(65_536)
      if (!more) return
      bytes = Buffer.concat([bytes, more])
    }
  }
  void (async (): Promise<void> => {
    try {
      for (;;) {
        const stream = await raw.acceptUni()
        follow(stream).catch(() => {
          heard.otherStreams++
        })
      }
    } catch {
      // The connection is over.
    }
  })()
  return heard
}
