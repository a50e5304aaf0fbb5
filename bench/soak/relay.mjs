// The relay of the soak, which is killed now and then and begins again on the same port.
import { RelayServer } from '../../dist/relay/index.js'

const relay = await RelayServer.start({ host: '127.0.0.1', port: Number(process.argv[2]) })
process.send({ url: relay.url })
process.on('disconnect', () => process.exit(0))
