// The relay under measurement, in a process of its own; asked by messages what it has used.
import { RelayServer } from '../../dist/relay/index.js'

const limits = { maxConnectionsPerAddress: 10_000 }
const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, limits })
process.send({ url: relay.url })
process.on('message', () => {
  globalThis.gc?.()
  const { user, system } = process.cpuUsage()
  process.send({ cpuMs: (user + system) / 1000, memoryBytes: process.memoryUsage().rss })
})
process.on('disconnect', () => {
  void relay.close({ graceMs: 10 })
})
