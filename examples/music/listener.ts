/**
 * What the player of the story does, whichever network it is on.
 *
 * @module
 */
import type { DefaultP2P } from '@moosicbox/p2p'
import { MusicError } from './errors.ts'
import type { Album, Track } from './media/index.ts'
import { listen } from './listening.ts'
import type { ListenOptions } from './listening.ts'
import { lookUp, Player } from './player.ts'
import type { Reporter } from './report.ts'

/** The story takes a track up to this size, when there is one. */
const MAX_TRACK_BYTES = 8_000_000
/** It chooses among this many. */
const MAX_TRACKS = 1000

/** Options of {@link listenToHome}. */
export interface ListenerOptions extends ListenOptions {
  /** The name of the server. */
  readonly name: string
  readonly report: Reporter
  readonly signal?: AbortSignal | undefined
}

/** Finds the server by its name, looks around, and listens to a track of which every byte is checked. */
export async function listenToHome(p2p: DefaultP2P, options: ListenerOptions): Promise<void> {
  const { name, report, signal } = options
  const { runtime } = p2p
  const home = await lookUp(p2p, name, report, signal)
  const player = await Player.connect(p2p, home, { report, signal })
  const { albums, tracks } = await lookAround(player, report)
  const track = choose(tracks)
  const album = albums.find(({ id, hasCover }) => hasCover && id === track.albumId)
  if (album) {
    const askedMs = runtime.now()
    const { contentType, bytes } = await player.client.cover(album.id)
    const afterMs = runtime.now() - askedMs
    report({ type: 'COVER', album: album.title, contentType, bytes: bytes.length, afterMs })
  }
  await listen(player, track, options)
  await player.close()
}

/** The first page of everything. */
async function lookAround(
  { client }: Player,
  report: Reporter,
): Promise<{ readonly albums: readonly Album[]; readonly tracks: readonly Track[] }> {
  const [artists, albums] = await Promise.all([client.artists(), client.albums()])
  const trackIds = albums.items.flatMap((album) => album.trackIds)
  const tracks = await client.tracks(trackIds.slice(0, MAX_TRACKS))
  report({
    type: 'CATALOGUE',
    artists: artists.total,
    albums: albums.items,
    albumCount: albums.total,
    trackCount: trackIds.length,
  })
  return { albums: albums.items, tracks }
}

/** The largest track that the story has time for, as it is the hardest to carry. */
function choose(tracks: readonly Track[]): Track {
  const bySize = [...tracks].sort((a, b) => b.bytes - a.bytes)
  const track = bySize.find(({ bytes }) => bytes <= MAX_TRACK_BYTES) ?? bySize.at(-1)
  if (!track) throw new MusicError('the server has no music')
  return track
}
