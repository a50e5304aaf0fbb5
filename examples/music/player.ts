/**
 * A player: connected to a music server, asking for music on one side and saying on the other what it plays. It knows
 * no backend, and takes its time from the node's runtime only.
 *
 * @module
 */
import type { DefaultP2P, NodeId, P2PAddress, P2PConnection, Runtime } from '@moosicbox/p2p'
import { alongside } from './alongside.ts'
import type { Task } from './alongside.ts'
import { ControlChannel } from './control-channel.ts'
import { Latencies } from './latency.ts'
import { shortId } from './format.ts'
import type { Track } from './media/index.ts'
import { MusicClient } from './music-client.ts'
import type { Reporter } from './report.ts'

/** A player says this often what it plays. */
const CONTROL_INTERVAL_MS = 1000
const VOLUME = 0.8
/** A server that ends gives up its requests first, and its connections right after. */
const GOODBYE_MS = 1000

/** Options of {@link Player.connect}. */
export interface PlayerOptions {
  readonly report: Reporter
  readonly signal?: AbortSignal | undefined
}

/** Finds the node behind a name. Throws as `P2PSystem.discover`. */
export async function lookUp(
  p2p: DefaultP2P,
  name: string,
  report: Reporter,
  signal: AbortSignal | undefined,
): Promise<NodeId> {
  const startMs = p2p.runtime.now()
  const node = await p2p.discover(name, { signal })
  report({ type: 'FOUND', name, shortId: shortId(node), afterMs: p2p.runtime.now() - startMs })
  return node
}

/** A connected player. */
export class Player {
  readonly runtime: Runtime
  readonly report: Reporter
  readonly client: MusicClient
  readonly control: ControlChannel
  /** The name under which others see what it plays. */
  readonly sessionId: string
  readonly #connection: P2PConnection
  readonly #signal: AbortSignal | undefined
  readonly #controlLatencies = new Latencies()
  readonly #requestLatencies = new Latencies()
  #path: string | undefined

  private constructor(p2p: DefaultP2P, peer: NodeId | P2PAddress, connection: P2PConnection, options: PlayerOptions) {
    this.runtime = p2p.runtime
    this.report = options.report
    this.client = new MusicClient(p2p, { peer, latencies: this.#requestLatencies })
    this.control = new ControlChannel(connection, p2p.runtime, this.#controlLatencies)
    this.sessionId = `player ${shortId(p2p.localNodeId())}`
    this.#connection = connection
    this.#signal = options.signal
    connection.onPathChange(() => this.#tellPath())
    this.#tellPath()
  }

  /** Connects to the server at `peer`. Throws as `P2PSystem.connect`. */
  static async connect(p2p: DefaultP2P, peer: NodeId | P2PAddress, options: PlayerOptions): Promise<Player> {
    const startMs = p2p.runtime.now()
    const connection = await p2p.connect(peer, { signal: options.signal })
    const afterMs = p2p.runtime.now() - startMs
    options.report({ type: 'CONNECTED', shortId: shortId(connection.remoteNodeId()), afterMs })
    return new Player(p2p, peer, connection, options)
  }

  /** Does `task`, and says once a second that `track` is playing and where it is. */
  async whilePlaying(track: Track, positionMs: () => number, task: Task<void>): Promise<void> {
    this.report({ type: 'TRACK', track })
    const tell = (playing: boolean): Promise<void> => {
      const session = { sessionId: this.sessionId, trackId: track.id, playing, volume: VOLUME }
      return this.control.update({ ...session, positionMs: Math.round(positionMs()) })
    }
    await alongside(this.#signal, task, [
      async (signal) => {
        for (let dueMs = this.runtime.now(); ;) {
          await Promise.all([tell(true), this.control.ping()])
          dueMs += CONTROL_INTERVAL_MS
          await this.runtime.sleep(dueMs - this.runtime.now(), { signal })
        }
      },
    ])
    await tell(false)
  }

  /** Whether the server has said goodbye, which may be on its way when a request has just failed. */
  async serverHasEnded(): Promise<boolean> {
    const wait = new AbortController()
    const late = this.runtime.sleep(GOODBYE_MS, { signal: wait.signal }).catch(() => undefined)
    const info = await Promise.race([this.#connection.closed, late])
    wait.abort()
    return info?.by === 'remote' && info.closeCode === 0 && !info.refused
  }

  /** Says goodbye to the server, and tells what was measured. */
  async close(): Promise<void> {
    const { path, rttMs } = this.#connection.stats()
    const [control, requests] = [this.#controlLatencies, this.#requestLatencies].map((one) => one.percentiles())
    this.report({ type: 'ENDED', control, requests, path, rttMs })
    await this.#connection.end()
  }

  /** Tells the way that packets take, when it is another than before. */
  #tellPath(): void {
    const path = this.#connection.paths().find(({ selected }) => selected)
    if (!path || this.#path === `${path.kind} ${path.remote}`) return
    this.#path = `${path.kind} ${path.remote}`
    this.report({ type: 'PATH', kind: path.kind, remote: path.remote, rttMs: path.rttMs })
  }
}
