// What is compared: the same work through each way from one process to another. A side is `{ name, connect }`, where
// `connect` gives `{ request, stream, close }`.
import { connect as tcpConnect } from 'node:net'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { homedir } from 'node:os'
import { join } from 'node:path'
import * as iroh from '@number0/iroh'
import { DefaultP2P } from '@moosicbox/p2p'
import { IrohP2P } from '@moosicbox/p2p/iroh'
import { P2PAddress } from '../../dist/core/address.js'
import { NodeId } from '../../dist/core/node-id.js'
import { nativeBinding } from '../../dist/iroh/native/binding.js'
import { realRuntime, SecretKey } from '../../dist/runtime/index.js'
import { library, raw, RAW_ALPN, toArray } from '../iroh/workloads.mjs'

export const LOOPBACK = ['127.0.0.1:0', '[::1]:0']
export const NATIVE_ALPN = 'p2p-bench/native'
export const BULK = 0x62

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

/** Answers, on a connection of the native door. */
export async function serveNative(connection) {
  for (;;) {
    const stream = connection.acceptBiNow() ?? (await connection.acceptBi())
    void (async () => {
      const { first, length } = await drain(stream.receive)
      await sendAll(stream.send, new Uint8Array(first === BULK ? 1 : length).fill(5))
    })().catch(() => {})
  }
}

async function nativeRaw(ready) {
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
        close: () => connection.close(0, ''),
      }
    },
    close: () => endpoint.close(),
  }
}

async function libraryOver(binding, ticket) {
  const node = await IrohP2P.create({ relay: 'disabled', bind: LOOPBACK, binding })
  return {
    name: `library, ${binding}`,
    async connect() {
      const connection = await node.connect(ticket)
      return {
        request: (payload) => library.echo(connection, payload),
        stream: (size, count) => library.stream(connection, size, count),
        messages: (size, count) => library.messages(connection, size, count),
        close: () => connection.close(),
      }
    },
    close: () => node.close(),
  }
}

async function routerOver(binding, ticket) {
  process.env.P2P_IROH_BINDING = binding
  const node = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK })
  return {
    name: `router, ${binding}`,
    async connect() {
      return {
        async request(payload) {
          const answer = await node.request(ticket, { method: 'POST', path: '/echo', body: payload })
          await answer.bytes(1024)
        },
        close() {},
      }
    },
    close: () => node.close(),
  }
}

async function officialRaw(ready) {
  const builder = iroh.Endpoint.builder()
  iroh.presetMinimal(builder)
  builder.relayMode(iroh.RelayMode.disabled())
  for (const address of LOOPBACK) builder.bindAddr(address)
  const endpoint = await builder.bind()
  const target = new iroh.EndpointAddr(iroh.EndpointId.fromString(ready.official.id), null, ready.official.addresses)
  return {
    name: 'official raw',
    async connect() {
      const connection = await endpoint.connect(target, toArray(Buffer.from(RAW_ALPN)))
      return {
        request: (payload) => raw.echo(connection, payload),
        stream: (size, count) => raw.stream(connection, size, count),
        close: () => connection.close(0n, []),
      }
    },
    close: () => endpoint.close(),
  }
}

/** Length-prefixed frames on one connection of TCP; answers come in order. */
async function tcp(ready) {
  return {
    name: 'TCP',
    async connect() {
      const socket = tcpConnect(ready.tcp)
      socket.setNoDelay(true)
      await new Promise((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      })
      const waiting = []
      let pending = Buffer.alloc(0)
      socket.on('data', (data) => {
        pending = pending.length === 0 ? data : Buffer.concat([pending, data])
        let at = 0
        while (pending.length - at >= 4 && pending.length - at - 4 >= pending.readUInt32BE(at)) {
          at += 4 + pending.readUInt32BE(at)
          waiting.shift()()
        }
        pending = pending.subarray(at)
      })
      const frame = (kind, payload) => {
        const header = Buffer.alloc(5)
        header.writeUInt32BE(payload.length + 1)
        header[4] = kind
        return [header, payload]
      }
      const send = async (buffers) => {
        let room = true
        socket.cork()
        for (const buffer of buffers) room = socket.write(buffer)
        socket.uncork()
        if (!room) await new Promise((resolve) => socket.once('drain', resolve))
      }
      return {
        async request(payload) {
          const answer = new Promise((resolve) => waiting.push(resolve))
          await send(frame(1, payload))
          await answer
        },
        async stream(size, count) {
          const chunk = Buffer.alloc(size, 7)
          const answer = new Promise((resolve) => waiting.push(resolve))
          for (let i = 0; i < count; i++) await send(frame(2, chunk))
          await send(frame(1, chunk.subarray(0, 1)))
          await answer
        },
        close: () => socket.destroy(),
      }
    },
    close() {},
  }
}

/** Where `node native/build.mjs bench` leaves the pair of pure Rust. */
export function pairProgram() {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const target = process.env.CARGO_TARGET_DIR ?? join(cache, 'moosicbox-p2p/native')
  const file = join(target, 'release/examples/pair')
  return existsSync(file) ? file : undefined
}

/** iroh without JavaScript; it measures itself. */
async function rust(ready) {
  const child = spawn(pairProgram(), ['drive', ready.rust.id, ready.rust.address], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    name: 'pure Rust',
    /** Times in milliseconds. */
    async measure(work, ...numbers) {
      child.stdin.write(`${[work, ...numbers].join(' ')}\n`)
      const { value } = await lines.next()
      return value.split(' ').map((us) => Number(us) / 1000)
    },
    close: () => child.stdin.end(),
  }
}

/** All sides that can be had here. */
export async function makeSides(ready) {
  return [
    ...(ready.rust ? [await rust(ready)] : []),
    await nativeRaw(ready),
    await libraryOver('native', ready.libraryNative),
    await routerOver('native', ready.libraryNative),
    await officialRaw(ready),
    await libraryOver('official', ready.libraryOfficial),
    await tcp(ready),
  ]
}
