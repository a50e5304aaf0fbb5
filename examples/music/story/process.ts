/**
 * One of the two processes of the story over iroh: the server or the player.
 *
 * @module
 */
import { DefaultP2P } from '@moosicbox/p2p'
import { StaticDiscovery } from '@moosicbox/p2p/discovery'
import { explain } from '../errors.ts'
import { listenToHome } from '../listener.ts'
import { MusicLibrary } from '../media/index.ts'
import type { Report } from '../report.ts'
import { serveMusic } from '../server.ts'
import { HOME } from './names.ts'

/** What a process is to do. */
export type Task =
  | { readonly role: 'server'; readonly folder: string; readonly names: string }
  | { readonly role: 'player'; readonly names: string }

/** What a process says to the one that started it. */
export type Word =
  | { readonly type: 'READY'; readonly backend: string; readonly nodeId: string }
  | { readonly type: 'REPORT'; readonly report: Report }
  | { readonly type: 'FAILED'; readonly message: string }

/** A real clock cannot be hurried, so the story hears less of the music than in the simulation. */
const LISTEN = { beforeSeekMs: 2500, afterSeekMs: 3000 }

function say(word: Word): void {
  process.send?.(word)
}

async function main(task: Task): Promise<void> {
  await using p2p = await DefaultP2P.create({
    // Not one packet leaves this machine.
    relay: 'disabled',
    bind: ['127.0.0.1:0', '[::1]:0'],
    discovery: [new StaticDiscovery({}, { file: task.names, writable: task.role === 'server' })],
  })
  if (task.role === 'player') {
    await listenToHome(p2p, { name: HOME, report: (report) => say({ type: 'REPORT', report }), ...LISTEN })
    return
  }
  const library = await MusicLibrary.scan(task.folder, { runtime: p2p.runtime })
  await serveMusic(p2p, library)
  await p2p.register(HOME)
  const end = new Promise((resolve) => process.once('message', resolve))
  say({ type: 'READY', backend: p2p.backend, nodeId: p2p.localNodeId().toString() })
  await end
}

// Ctrl-C in a terminal reaches every process; the one that started this one decides what happens.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
process.once('disconnect', () => process.exit(1))
try {
  await main(JSON.parse(process.argv[2] ?? '') as Task)
  process.exitCode = 0
} catch (error) {
  say({ type: 'FAILED', message: explain(error) })
  process.exitCode = 1
}
process.removeAllListeners('disconnect')
process.disconnect()
