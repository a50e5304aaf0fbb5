// An application that has captured the real globals before it installs those of hosts.
import PQueue from 'p-queue'

globalThis.queue = new PQueue()
await import('@moosicbox/p2p/ambient')
