// Friends of the home server (examples/deploy) who want it to run out of memory: all the connections they get, on each as
// many requests as it takes, with bodies without end, whose answers nobody reads, and messages that it has no use for.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { IrohP2P } from '@moosicbox/p2p/iroh'

const SERVER = fileURLToPath(new URL('../../examples/deploy/home-server.mjs', import.meta.url))
const MIB = 2 ** 20
/** GET /files/big, without headers (docs/wire.md). */
const HEAD = Buffer.concat([Buffer.of(13, 1, 10), Buffer.from('/files/big'), Buffer.of(0)])
const STREAMS = 64

async function memoryOf(pid, field) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
}

async function misuse(connection) {
  const messages = (async () => {
    for (;;) await connection.send(new Uint8Array(MIB))
  })()
  const requests = Array.from({ length: STREAMS }, async () => {
    const stream = await connection.openStream({ kind: 'request' })
    await stream.write(HEAD)
    for (;;) await stream.write(new Uint8Array(65_536))
  })
  await Promise.allSettled([messages, ...requests])
}

/** What the server's memory comes to, in MiB; Linux alone tells. */
export async function runHostileFriends({ friends, connections, seconds, door }) {
  const folder = await mkdtemp(join(tmpdir(), 'p2p-friends-'))
  await mkdir(join(folder, 'shared'))
  await writeFile(join(folder, 'shared/big'), '')
  await truncate(join(folder, 'shared/big'), 1024 * MIB)
  const local = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] }
  const nodes = await Promise.all(Array.from({ length: friends }, () => IrohP2P.create(local)))
  await writeFile(join(folder, 'friends'), nodes.map((node) => `${node.localNodeId().toString()}\n`).join(''))
  const paths = { STATE_DIRECTORY: folder, SHARED: join(folder, 'shared'), HEALTH_PORT: '0' }
  const network = { P2P_RELAY_MODE: 'disabled', P2P_IROH_BINDING: door }
  const server = spawn(process.execPath, [SERVER], {
    env: { ...process.env, ...paths, ...network },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    let said = ''
    for await (const data of server.stdout) if (/^endpoint\w+$/m.test((said += String(data)))) break
    const [ticket] = /^endpoint\w+$/m.exec(said)
    const idleMiB = await memoryOf(server.pid, 'VmRSS')
    for (const node of nodes) {
      // Those that are refused have nothing to misuse.
      for (let i = 0; i < connections; i++) void node.connect(ticket).then(misuse, () => {})
    }
    await sleep(seconds * 1000)
    const health = await (await fetch(/http:\S+/.exec(said)[0])).json()
    return { idleMiB, peakMiB: await memoryOf(server.pid, 'VmHWM'), connections: health.active_connections }
  } finally {
    server.kill('SIGKILL')
    await Promise.all(nodes.map((node) => node.close()))
    await rm(folder, { recursive: true })
  }
}
