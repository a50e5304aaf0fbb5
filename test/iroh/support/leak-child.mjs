// Loses handles, or does not, and prints the warnings that come of it. `node --expose-gc leak-child.mjs DOOR`; with `exit`
// behind it, it ends without closing anything, with `close` after closing everything.
import { once } from 'node:events'
import { IrohP2P } from '../../../dist/iroh/index.js'

const [binding, end] = process.argv.slice(2)
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

if (end !== undefined) {
  if (end === 'close') {
    listener.close()
    await Promise.all([a.close(), b.close()])
  }
  process.exit(0)
}

/** The connection that was accepted as that one. */
async function acceptedAs(index) {
  while (accepted.length <= index) await new Promise((resolve) => setImmediate(resolve))
  return accepted[index]
}

async function loseConnection() {
  await a.connect(b.address())
}

async function loseStream(connection) {
  const stream = await connection.openStream()
  await stream.write(Uint8Array.of(1))
}

async function loseSendStream(connection) {
  const stream = await connection.openSendStream()
  await stream.write(Uint8Array.of(1))
}

async function loseReceiveStream(connection) {
  await connection.acceptReceiveStream()
}

async function closeAsOneShould() {
  const connection = await a.connect(b.address())
  const clone = connection.clone()
  const stream = await connection.openStream()
  stream.reset(0)
  stream.stop(0)
  const oneWay = await connection.openSendStream()
  await oneWay.write(Uint8Array.of(1))
  await oneWay.finish()
  for await (const bytes of await (await acceptedAs(0)).acceptReceiveStream()) void bytes
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
await loseSendStream(kept)
await loseReceiveStream(await acceptedAs(1))
await collect(4)
// Never a semantic: what was lost goes on to be connected.
const stillConnected = accepted.filter((connection) => connection.isConnected()).length
process.send({ afterGood, warnings, stillConnected })
await once(process, 'message')
await Promise.all([a.close(), b.close()])
process.disconnect()
