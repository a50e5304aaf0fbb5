/**
 * Listening to a track as a person does: hear its beginning, jump to the middle, hear more.
 *
 * @module
 */
import { alongside } from './alongside.ts'
import type { TrackDigest } from './digest.ts'
import type { Track } from './media/index.ts'
import { Playback } from './playback.ts'
import type { Player } from './player.ts'
import { Progress } from './progress.ts'

/** How often the position moves on. */
const TICK_MS = 100
/** Music starts when this much of it is there, */
const ENOUGH_MS = 1000
/** and no more than this is fetched ahead, as whoever jumps has no use for it. */
const READ_AHEAD_MS = 3000
/** Windows asked for before the one in hand is complete. */
const WINDOWS_AHEAD = 1

/** Is given every block of the file once, in the order of their arrival, and where it begins in the file. */
export type OnBlock = (track: Track, offset: number, bytes: Uint8Array) => void

/** How to listen to a track. */
export interface ListenOptions {
  /** Music heard before the jump to the middle of the track, */
  readonly beforeSeekMs: number
  /** and after it, unless the track ends before. */
  readonly afterSeekMs: number
  readonly onBlock?: OnBlock | undefined
}

/**
 * Listens to `track`. What was skipped is fetched in the end, so that every byte of the file has been checked.
 *
 * @throws MusicError when the bytes are not what the server's digest says
 */
export async function listen(player: Player, track: Track, options: ListenOptions): Promise<void> {
  const digest = await player.client.digest(track.id)
  const listening = new Listening(player, track, digest, options.onBlock)
  await player.whilePlaying(
    track,
    () => listening.positionMs,
    async (signal) => {
      await listening.hear(options.beforeSeekMs, signal)
      await listening.seek((track.durationSeconds * 1000) / 2)
      await listening.hear(options.afterSeekMs, signal)
      await listening.fetchRest(signal)
    },
  )
  player.report({ type: 'VERIFIED', bytes: digest.sizeBytes, blocks: digest.blocks.length })
}

class Listening {
  readonly #player: Player
  readonly #track: Track
  readonly #digest: TrackDigest
  readonly #onBlock: OnBlock | undefined
  readonly #playback: Playback
  readonly #progress: Progress
  #pauses = 0

  constructor(player: Player, track: Track, digest: TrackDigest, onBlock: OnBlock | undefined) {
    this.#player = player
    this.#track = track
    this.#digest = digest
    this.#onBlock = onBlock
    this.#playback = new Playback(track, digest.sizeBytes)
    this.#progress = new Progress(player.runtime, player.report, digest.sizeBytes)
  }

  get positionMs(): number {
    return this.#playback.positionMs
  }

  /** Plays `forMs` of music, and fetches a little more than that. */
  async hear(forMs: number, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#player
    const notTooFarAhead = async (signal: AbortSignal): Promise<void> => {
      while (this.#playback.bufferedMs > READ_AHEAD_MS) await runtime.sleep(TICK_MS, { signal })
    }
    await alongside(signal, (signal) => this.#play(forMs, signal), [
      (signal) => this.#fetch(this.#playback.missing(), notTooFarAhead, signal),
    ])
  }

  /** Jumps; what was asked for before has been cancelled with the end of {@link hear}. */
  async seek(toMs: number): Promise<void> {
    this.#player.report({ type: 'SEEK', fromMs: this.positionMs, toMs })
    this.#playback.seek(toMs)
    await this.#player.control.seek(this.#player.sessionId, toMs)
  }

  /** Fetches what is missing. */
  async fetchRest(signal: AbortSignal): Promise<void> {
    const { positionMs, arrivedBytes } = this.#playback
    const missingBytes = this.#digest.sizeBytes - arrivedBytes
    this.#player.report({ type: 'LISTENED', positionMs, pauses: this.#pauses, missingBytes })
    await this.#fetch(this.#playback.missing(0), () => Promise.resolve(), signal)
  }

  async #fetch(
    indexes: Iterable<number>,
    pause: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = this.#player
    const blocks = client.blocks(this.#track.id, this.#digest, indexes, { ahead: WINDOWS_AHEAD, signal })
    for await (const { index, offset, bytes } of blocks) {
      this.#playback.arrived(index, bytes.length)
      this.#onBlock?.(this.#track, offset, bytes)
      this.#progress.tell(this.#playback.arrivedBytes, this.positionMs)
      await pause(signal)
    }
  }

  /** Moves the position on with the clock, as far as there is music. */
  async #play(forMs: number, signal: AbortSignal): Promise<void> {
    const playback = this.#playback
    const { runtime, report } = this.#player
    const untilMs = Math.min(playback.positionMs + forMs, playback.durationMs)
    const startMs = runtime.now()
    let silent = true
    let heard = false
    for (let lastMs = startMs; playback.positionMs < untilMs;) {
      await runtime.sleep(TICK_MS, { signal })
      const nowMs = runtime.now()
      if (silent) {
        silent = playback.bufferedMs < Math.min(ENOUGH_MS, playback.durationMs - playback.positionMs)
        if (!silent && !heard) report({ type: 'SOUND', positionMs: playback.positionMs, afterMs: nowMs - startMs })
        heard ||= !silent
      } else if (!playback.advance(Math.min(nowMs - lastMs, untilMs - playback.positionMs))) {
        silent = true
        this.#pauses++
        report({ type: 'PAUSE', positionMs: playback.positionMs })
      }
      lastMs = nowMs
    }
  }
}
