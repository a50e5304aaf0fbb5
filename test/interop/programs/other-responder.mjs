// Another implementation of mDNS: answers for printer.local, or asks for it, by multicast or at one address.
import dgram from 'node:dgram'
import { networkInterfaces } from 'node:os'
import mdns from 'multicast-dns'

const [role, target] = process.argv.slice(2)
const question = { name: 'printer.local', type: 'A' }

if (role === 'answer') {
  const responder = mdns()
  const address = networkInterfaces().lan.find(({ family }) => family === 'IPv4').address
  responder.on('query', ({ id, questions }, from) => {
    if (!questions.some(({ name }) => name === question.name)) return
    const answers = [{ ...question, ttl: 10, data: address }]
    // From another port than 5353 it is an old resolver, which is answered directly.
    if (from.port === 5353) responder.respond({ answers })
    else responder.respond({ id, questions: [question], answers }, from)
  })
  responder.on('ready', () => console.log('ready'))
} else if (role === 'ask') {
  const asker = mdns()
  asker.on('response', ({ answers }) => {
    for (const { name, data } of answers) if (name === question.name) console.log('answer', name, data)
  })
  asker.on('ready', () => setInterval(() => asker.query([question]), 200))
} else {
  const { default: packet } = await import('dns-packet')
  const socket = dgram.createSocket('udp4')
  socket.on('message', (bytes) => {
    for (const { name, data } of packet.decode(bytes).answers) console.log('answer', name, data)
  })
  const ask = () => socket.send(packet.encode({ type: 'query', id: 7, questions: [question] }), 5353, target)
  setInterval(ask, 200)
  ask()
}
