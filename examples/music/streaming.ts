/**
 * Streaming a track from its beginning to its end, as fast as the way there and whoever takes it allow.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { MusicError } from './errors.ts'
import type { Track } from './media/index.ts'
import type { Player } from './player.ts'
import { Progress } from './progress.ts'

/** Windows asked for before the one in hand is complete: with 64 KiB each, 5 MB/s at a round trip of 100 ms. */
const WINDOWS_AHEAD = 8

/** Takes the next bytes of a track; it may wait, until the signal fires. */
export type Write = (bytes: Uint8Array, signal: AbortSignal) => Promise<void>

/**
 * Streams `track` into `write`.
 *
 * @throws MusicError when the bytes are not what the server's digest says, and whatever `write` throws
 */
export async function stream(player: Player, track: Track, write: Write): Promise<void> {
  const { client, runtime, report } = player
  const digest = await client.digest(track.id)
  const { blocks, sizeBytes } = digest
  const progress = new Progress(runtime, report, sizeBytes)
  const whole = createHash('sha256')
  let done = 0
  const positionMs = (): number => (sizeBytes === 0 ? 0 : (done / sizeBytes) * track.durationSeconds * 1000)
  await player.whilePlaying(track, positionMs, async (signal) => {
    for await (const { bytes } of client.blocks(track.id, digest, blocks.keys(), { ahead: WINDOWS_AHEAD, signal })) {
      await write(bytes, signal)
      whole.update(bytes)
      done += bytes.length
      progress.tell(done)
    }
  })
  const sha256 = whole.digest('hex')
  if (sha256 !== digest.sha256) throw new MusicError(`track ${track.id} is not what the server's digest says`)
  report({ type: 'VERIFIED', bytes: done, blocks: blocks.length, sha256 })
}
