// The native door without the library: one who answers on it, and one who asks.
import { P2PAddress } from '../../dist/core/address.js'
import { NodeId } from '../../dist/core/node-id.js'
import { nativeBinding } from '../../dist/iroh/native/binding.js'
import { realRuntime, SecretKey } from '../../dist/runtime/index.js'
import { frame } from '../iroh/workloads.mjs'

export const LOOPBACK = ['127.0.0.1:0', '[::1]:0']
export const NATIVE_ALPN = 'p2p-bench/native'
const BULK = 0x62
const MESSAGES_DONE = 0x6d

/** An endpoint of the native door, without the library. */
export function nativeEndpoint() {
  const settings = { relay: 'disabled', bind: LOOPBACK, idleTimeoutMs: 30_000 }
  return nativeBinding().open({ ...settings, secretKey: SecretKey.generate(), runtime: realRuntime() })
}

/** Reads a stream of the native door to its end: its first byte, and its length. */
async function drain(receive) {
  let first = 0
  let length = 0
  for (;;) {
    const now = receive.readNow(1_048_576)
    const chunk = now === undefined ? await receive.read(1_048_576) : now
    if (!chunk) return { first, length }
    if (length === 0) first = chunk[0]
    length += chunk.length
  }
}

/** Writes and finishes, at once where there is room. */
async function sendAll(send, bytes) {
  const writing = send.writeNow(bytes)
  if (writing) await writing
  const finishing = send.finishNow()
  if (finishing) await finishing
}

/** Takes length-prefixed messages apart, each into memory of its own. */
async function takeMessages(receive) {
  let message
  let filled = 0
  let rest = Buffer.alloc(0)
  for (;;) {
    const now = receive.readNow(1_048_576)
    const chunk = now === undefined ? await receive.read(1_048_576) : now
    if (!chunk) return
    const source =
      rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    rest = Buffer.alloc(0)
    for (let at = 0; at < source.length;) {
      if (!message) {
        if (source.length - at < 4) {
          rest = Buffer.from(source.subarray(at))
          break
        }
        message = new Uint8Array(source.readUInt32BE(at) & 0x7fffffff)
        filled = 0
        at += 4
      }
      const part = source.subarray(at, at + message.length - filled)
      message.set(part, filled)
      filled += part.length
      at += part.length
      if (filled === message.length) message = undefined
    }
  }
}

/** Answers, on a connection of the native door. */
export async function serveNative(connection) {
  let messages = Promise.resolve()
  void (async () => {
    for (;;) messages = takeMessages(await connection.acceptUni())
  })().catch(() => {})
  for (;;) {
    const stream = connection.acceptBiNow() ?? (await connection.acceptBi())
    void (async () => {
      const { first, length } = await drain(stream.receive)
      if (first === MESSAGES_DONE) await messages
      await sendAll(stream.send, new Uint8Array(first === BULK ? 1 : length).fill(5))
    })().catch(() => {})
  }
}

/** The native door without the library, as a side. */
export async function nativeRaw(ready) {
  const endpoint = await nativeEndpoint()
  const address = new P2PAddress(NodeId.parse(ready.native.id), ready.native.addresses)
  return {
    name: 'native raw',
    async connect() {
      const signal = AbortSignal.timeout(10_000)
      const connection = await endpoint.connect({ address, alpn: NATIVE_ALPN, signal })
      return {
        async request(payload) {
          const stream = connection.openBiNow() ?? (await connection.openBi())
          await sendAll(stream.send, payload)
          await drain(stream.receive)
        },
        async stream(size, count) {
          const chunk = new Uint8Array(size).fill(7)
          const stream = await connection.openBi()
          await stream.send.write(Uint8Array.of(BULK))
          for (let i = 0; i < count; i++) await stream.send.write(chunk)
          await stream.send.finish()
          await drain(stream.receive)
        },
        async messages(size, count) {
          const framed = frame(new Uint8Array(size).fill(7))
          const send = await connection.openUni()
          for (let i = 0; i < count; i++) {
            const writing = send.writeNow(framed)
            if (writing) await writing
          }
          await send.finish()
          await this.request(Uint8Array.of(MESSAGES_DONE))
        },
        close: () => connection.close(0, ''),
      }
    },
    close: () => endpoint.close(),
  }
}
