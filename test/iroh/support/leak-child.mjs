// Loses handles, or does not, and prints the warnings that come of it. `node --expose-gc leak-child.mjs DOOR`.
import { once } from 'node:events'
import { IrohP2P } from '../../../dist/iroh/index.js'

const [binding] = process.argv.slice(2)
const local = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'], binding }
const warnings = []
process.on('warning', (warning) => {
  if (warning.code === 'P2P_LEAK') warnings.push(`${warning.message}\n${warning.detail}`)
})

const [a, b] = await Promise.all([IrohP2P.create(local), IrohP2P.create(local)])
const listener = await b.listen()
const accepted = []
const accept = async () => {
  for await (const connection of listener) accepted.push(connection)
}
void accept()

async function loseConnection() {
  await a.connect(b.address())
}

async function loseStream(connection) {
  const stream = await connection.openStream()
  await stream.write(Uint8Array.of(1))
}

async function closeAsOneShould() {
  const connection = await a.connect(b.address())
  const clone = connection.clone()
  const stream = await connection.openStream()
  stream.reset(0)
  stream.stop(0)
  await connection.end()
  clone.close()
}

/** Collects garbage until `count` warnings are there, or often enough that more would be. */
async function collect(count) {
  for (let i = 0; i < 100 && warnings.length < count; i++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

await closeAsOneShould()
for (let i = 0; i < 5; i++) {
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 20))
}
const afterGood = warnings.length
const kept = await a.connect(b.address())
await loseConnection()
await loseStream(kept)
await collect(2)
// Never a semantic: what was lost goes on to be connected.
const stillConnected = accepted.filter((connection) => connection.isConnected()).length
process.send({ afterGood, warnings, stillConnected })
await once(process, 'message')
await Promise.all([a.close(), b.close()])
process.disconnect()
