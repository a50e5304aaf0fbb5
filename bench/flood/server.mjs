// The server that is flooded. It lets one peer in, and one that will turn out to be hostile.
import { DefaultP2P, P2PResponse, P2PRouter, testNodeId } from '@moosicbox/p2p'

const [door] = process.argv.slice(2)
const friends = [testNodeId('honest'), testNodeId('hostile')]
const native = door === 'native'
let asked = 0

const node = await DefaultP2P.create({
  relay: 'disabled',
  bind: ['127.0.0.1:0', '[::1]:0'],
  binding: door,
  // Through the native door strangers are turned away in Rust; through the other by the library, which asks.
  ...(native && { allow: friends }),
})
await node.serve(
  new P2PRouter().route('GET', '/ping', () => P2PResponse.text('pong')),
  {
    authorize: (peer) => {
      asked++
      return friends.some((friend) => friend.equals(peer))
    },
    onError: () => {},
  },
)
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage().rss, asked })
})
process.on('disconnect', () => process.exit(0))
process.send({ ticket: node.address().toTicket(), backend: node.backend })
