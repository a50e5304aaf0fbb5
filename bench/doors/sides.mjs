// What is compared: the same work through each way from one process to another. A side is `{ name, connect }`, where
// `connect` gives `{ request, stream, close }`.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { homedir } from 'node:os'
import { join } from 'node:path'
import * as iroh from '@number0/iroh'
import { DefaultP2P } from '@moosicbox/p2p'
import { IrohP2P } from '@moosicbox/p2p/iroh'
import { framedSides } from './framed.mjs'
import { hyperdhtSide } from './hyperdht.mjs'
import { LOOPBACK, nativeRaw } from './native.mjs'
import { library, raw, RAW_ALPN, toArray } from '../iroh/workloads.mjs'

export { LOOPBACK } from './native.mjs'

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
    pid: child.pid,
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
    hyperdhtSide(ready.hyperdht),
    ...framedSides(ready.framed),
  ]
}
