// Programs that show what else an event loop does while it takes turns for the native door. They run what `npm run build`
// has made, and print what they saw as JSON.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { IrohP2P } from '../../../dist/iroh/index.js'

const LOCAL = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'], binding: 'native' }

const ECHO =
  'const { parentPort } = require("worker_threads"); parentPort.on("message", () => parentPort.postMessage(0))'

async function pair(options = {}) {
  const [a, b] = await Promise.all([IrohP2P.create({ ...LOCAL, ...options }), IrohP2P.create({ ...LOCAL, ...options })])
  const listener = await b.listen()
  const [client, server] = await Promise.all([a.connect(b.address()), listener.accept()])
  const echo = async () => {
    for (;;) {
      const stream = await server.acceptStream()
      await stream.write(await stream.readToEnd(1024))
      await stream.finish()
    }
  }
  echo().catch(() => {})
  const request = async () => {
    const stream = await client.openStream()
    await stream.write(Uint8Array.of(1, 2, 3))
    await stream.finish()
    return stream.readToEnd(1024)
  }
  return { a, b, client, server, request }
}

/** How often `work` is done during 500 requests. */
async function countBeside(work, request) {
  const done = new AbortController()
  const counting = (async () => {
    let count = 0
    for (; !done.signal.aborted; count++) await work()
    return count
  })()
  for (let i = 0; i < 500; i++) await request()
  done.abort()
  return counting
}

const programs = {
  /** How far others get, one after the other, while 500 requests follow each other. */
  async beside() {
    const { a, b, request } = await pair()
    const tcp = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const open = async () => {
      const socket = connect(tcp.address().port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }
    const socket = await open()
    const thread = new Worker(ECHO, { eval: true })
    const others = {
      echoes: async () => {
        socket.write('x')
        await once(socket, 'data')
      },
      newSockets: async () => {
        const another = await open()
        another.destroy()
      },
      files: () => readFile(new URL(import.meta.url)),
      immediates: () => immediate(),
      timers: () => sleep(1),
      threads: async () => {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has none
        thread.postMessage(0)
        await once(thread, 'message')
      },
    }
    const done = {}
    for (const [name, work] of Object.entries(others)) done[name] = await countBeside(work, request)
    await Promise.all([a.close(), b.close(), thread.terminate()])
    console.log(JSON.stringify(done))
    process.exit()
  },

  /** Whether a connection outlives a program that does not come back to its event loop for thrice the idle time-out. */
  async blocked() {
    const { a, b, client, request } = await pair({ limits: { idleTimeoutMs: 1_000 } })
    for (let i = 0; i < 300; i++) await request()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000)
    const answer = await request()
    console.log(JSON.stringify({ answer: [...answer], isOpen: client.isConnected() }))
    await Promise.all([a.close(), b.close()])
  },

  /** What an exception in the middle of it does. */
  async throws() {
    const { request } = await pair()
    for (let i = 0; i < 300; i++) await request()
    process.once('uncaughtException', (error) => {
      console.log(JSON.stringify({ error: error.message }))
      process.exit()
    })
    await request()
    process.nextTick(() => {
      throw new Error('on purpose')
    })
    for (;;) await request()
  },
}

await programs[process.argv[2]]()
