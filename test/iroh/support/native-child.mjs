// Programs on the native door that need a process of their own. They run what `npm run build` has made.
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { IrohP2P } from '../../../dist/iroh/index.js'

const LOCAL = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'], binding: 'native' }

/** Two nodes meet and exchange a message, and stay a while. */
async function talk(binding, stayMs = 0) {
  const [a, b] = await Promise.all([IrohP2P.create({ ...LOCAL, binding }), IrohP2P.create({ ...LOCAL, binding })])
  const listener = await b.listen()
  const [client, server] = await Promise.all([a.connect(b.address()), listener.accept()])
  await client.send(Uint8Array.of(1))
  await server.recv()
  await new Promise((resolve) => setTimeout(resolve, stayMs))
  await Promise.all([a.close(), b.close()])
}

const programs = {
  /** Prints how many packets left by the interface `out` meanwhile. */
  async talk(binding) {
    const before = readPackets()
    await talk(binding, 2_000)
    console.log(readPackets() - before)
    process.exit()
  },

  /** Listens until it is killed. */
  async listen() {
    const node = await IrohP2P.create(LOCAL)
    const listener = await node.listen()
    process.send(node.address().toTicket())
    for await (const connection of listener) void connection
  },

  /** Opens a node, and has nothing else to do. */
  async idle() {
    await IrohP2P.create(LOCAL)
    console.log('open')
  },

  /** Workers that come to their end, and some that do not get so far. */
  async workers() {
    const file = new URL(import.meta.url)
    for (let round = 0; round < 3; round++) {
      const patient = new Worker(file, { workerData: { endless: false } })
      const cut = new Worker(file, { workerData: { endless: true } })
      const ended = new Promise((resolve, reject) => {
        patient.once('exit', resolve)
        patient.once('error', reject)
      })
      await new Promise((resolve) => cut.once('message', resolve))
      await cut.terminate()
      const code = await ended
      if (code !== 0) throw new Error(`a worker ended with ${code}`)
    }
    await talk('native')
    console.log('done')
  },
}

/** /sys shows the network of whoever mounted it; /proc that of this process. */
function readPackets() {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((text) => text.trim().startsWith('out:'))
  return Number(line.split(':')[1].trim().split(/\s+/)[9])
}

if (isMainThread) {
  const [name, ...args] = process.argv.slice(2)
  await programs[name](...args)
} else if (workerData.endless) {
  for (let i = 0; ; i++) {
    await talk('native')
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has none
    if (i === 0) parentPort.postMessage('talking')
  }
} else {
  await talk('native')
}
