// A node of this library on the local network, for the interoperability tests: what test/interop/peer is for iroh's own.
// It prints lines `word value…`, in the same words, and closes when its standard input ends.
//
// lan-node.mjs listen|browse|connect ID|discover NAME [--name NAME] [--door native|official] [--lost-after MS]
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { MdnsDiscovery } from '@moosicbox/p2p/discovery'
import { IrohP2P } from '@moosicbox/p2p/iroh'

const ALPN = 'p2p-interop/1'
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string' },
    door: { type: 'string', default: 'official' },
    'lost-after': { type: 'string', default: '30000' },
  },
})
const [role, target] = positionals
const say = (...words) => console.log(words.join(' '))

const mdns = new MdnsDiscovery({ lostAfterMs: Number(values['lost-after']) })
const p2p = await IrohP2P.create({ relay: 'disabled', discovery: [mdns], binding: values.door })
say('id', p2p.localNodeId().toHex())
createInterface({ input: process.stdin }).on('close', () => void p2p.close().then(() => say('closed')))

async function listen() {
  if (values.name !== undefined) await p2p.register(values.name)
  const listener = await p2p.listen('', { alpns: [ALPN] })
  say('ready')
  const watch = setInterval(() => {
    const [{ source, error }] = p2p.announcements()
    if (!error) return
    clearInterval(watch)
    say('unpublished', source, error.message)
  }, 20)
  for await (const connection of listener) {
    say('accepted', connection.remoteNodeId().toHex())
    void echo(connection).catch((error) => console.error(error.message))
  }
}

async function echo(connection) {
  const stream = await connection.acceptStream()
  const bytes = await stream.readToEnd(1 << 20)
  await stream.write(bytes)
  await stream.finish()
  say('echoed', bytes.length)
  await connection.closed
}

async function connect(id) {
  const connection = await p2p.connect(id, { alpn: ALPN })
  const sent = new Uint8Array(100_000).map((_, i) => i)
  const stream = await connection.openStream()
  await stream.write(sent)
  await stream.finish()
  const back = await stream.readToEnd(1 << 20)
  say(Buffer.compare(sent, back) === 0 ? 'echoed' : 'altered', back.length)
  connection.close(0, 'done')
}

async function browse() {
  say('ready')
  for await (const { kind, peer } of mdns.browse()) {
    const text = peer.name === undefined ? peer.userData && `user-data=${peer.userData}` : `name=${peer.name}`
    say(kind, peer.id.toHex(), ...peer.address.direct, text ?? '')
  }
}

try {
  if (role === 'listen') await listen()
  else if (role === 'browse') await browse()
  else if (role === 'connect') await connect(target)
  else if (role === 'discover') say('discovered', (await p2p.discover(target)).toHex())
} catch (error) {
  say('failed', error.code, error.message)
}
await p2p.close()
process.exit(0)
