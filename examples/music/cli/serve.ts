/**
 * `serve`: a music server in a terminal.
 *
 * @module
 */
import { NodeId } from '@moosicbox/p2p'
import type { DefaultP2P, Runtime } from '@moosicbox/p2p'
import { StaticDiscovery } from '@moosicbox/p2p/discovery'
import { explain, UsageError } from '../errors.ts'
import { count, printable, shortId } from '../format.ts'
import { MusicLibrary } from '../media/index.ts'
import type { ScanProgress } from '../media/index.ts'
import type { Screen } from '../screen.ts'
import { serveMusic } from '../server.ts'
import { createNode } from './node.ts'
import type { ServeCommand } from './options.ts'

/** Files that could not be read, and are named; of more, the number. */
const MAX_SKIPPED = 10
/** Files between two words about the progress of a scan. */
const SHOW_EVERY = 100
/** The same where there is no terminal, and each word is a line. */
const SAY_EVERY = 2_000
/** Longest wait at the first Ctrl-C: for the players to leave, and for requests in flight to end. */
const GRACE_MS = 5000

/** Serves until `signal` fires. */
export async function serve(command: ServeCommand, folder: string, screen: Screen, signal: AbortSignal): Promise<void> {
  const friends = command.allow.map((text) => parseFriend(text))
  const { name, names } = command
  const first = names === undefined ? undefined : new StaticDiscovery({}, { file: names, writable: true })
  await using p2p = await createNode({ ...command, screen, first })
  screen.line(`MoosicBox music server, backend ${p2p.backend}`)
  const onProgress = ({ phase, done, total }: ScanProgress): void => {
    if (done % SHOW_EVERY !== 0) return
    const text = `${phase}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`
    if (screen.isLive) screen.status(text)
    else if (phase === 'reading' && done % SAY_EVERY === 0) screen.fact('Scanning', text)
  }
  const library = await MusicLibrary.scan(folder, { runtime: p2p.runtime, signal, onProgress })
  screen.clear()
  describe(library, screen)
  const players = new Players()
  await using server = await serveMusic(p2p, library, {
    authorize: (peer) => friends.length === 0 || friends.some((friend) => friend.equals(peer)),
    onController: (peer, here) => {
      players.moved(here)
      screen.fact('Player', `${shortId(peer)} ${here ? 'is here' : 'has left'}`)
    },
    onError: (error) => screen.fact('Error', explain(error)),
  })
  if (name !== undefined) await p2p.register(name, { signal })
  invite(p2p, command, screen)
  await fired(signal)
  const untilMs = p2p.runtime.now() + GRACE_MS
  // A track is many requests: a server that takes no more of them cuts it.
  if (players.count > 0) {
    screen.fact('Ending', `when ${count(players.count, 'player')} left, in ${GRACE_MS / 1000} s at most`)
    await players.gone(p2p.runtime)
  }
  await server.close({ graceful: true, timeoutMs: Math.max(0, untilMs - p2p.runtime.now()) })
}

/** The players that are here. */
class Players {
  count = 0
  #allGone: (() => void) | undefined

  moved(here: boolean): void {
    this.count += here ? 1 : -1
    if (this.count === 0) this.#allGone?.()
  }

  /** Waits until all have left, or the time is up. */
  async gone(runtime: Runtime): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = runtime.setTimer(GRACE_MS, resolve)
      this.#allGone = (): void => {
        timer.cancel()
        resolve()
      }
    })
  }
}

async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

function parseFriend(text: string): NodeId {
  try {
    return NodeId.parse(text)
  } catch (error) {
    throw new UsageError(`--allow: ${explain(error)}`)
  }
}

function describe({ folder, artists, albums, tracks, skipped }: MusicLibrary, screen: Screen): void {
  const what = `${count(artists.length, 'artist')}, ${count(albums.length, 'album')}, ${count(tracks.length, 'track')}`
  screen.fact('Library', `${folder}: ${what}`)
  for (const { path, reason } of skipped.slice(0, MAX_SKIPPED)) screen.fact('Skipped', `${path}: ${reason}`)
  if (skipped.length > MAX_SKIPPED) screen.fact('', `and ${count(skipped.length - MAX_SKIPPED, 'more file')}`)
}

/** How to reach it, as the command for the other terminal. */
function invite(p2p: DefaultP2P, { loopback, name, names, discovery }: ServeCommand, screen: Screen): void {
  const address = p2p.address()
  const ticket = address.toTicket()
  const local = loopback ? ' --loopback' : ''
  screen.fact('Node id', p2p.localNodeId().toString())
  screen.fact('Addresses', [...address.direct, ...address.relays].join(', '))
  screen.fact('Ticket', ticket)
  screen.line()
  screen.line('In another terminal:')
  screen.line(`  npm start -- play ${ticket}${local}`)
  screen.line(`  node scripts/start.mjs play ${ticket}${local} --stdout | mpv -`)
  if (name !== undefined && names !== undefined) {
    screen.line(`  npm start -- play ${quoted(name)} --names ${quoted(names)}${local}`)
  }
  if (discovery !== undefined) {
    const whom = name === undefined ? p2p.localNodeId().toString() : quoted(name)
    screen.line(`  npm start -- play ${whom} --discovery ${discovery}${local}`)
  }
  screen.line('Ctrl-C ends it; a second one at once.')
}

function quoted(text: string): string {
  return /^[\w./@:-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
}
