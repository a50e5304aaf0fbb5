/**
 * `play`: a player in a terminal, for any audio program behind a pipe.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_LIMITS, P2PAddress, P2PError } from '@moosicbox/p2p'
import type { DefaultP2P, NodeId, P2PNodeId } from '@moosicbox/p2p'
import { StaticDiscovery } from '@moosicbox/p2p/discovery'
import { explain, MusicError, UsageError } from '../errors.ts'
import { fileName, shortId } from '../format.ts'
import type { Track } from '../media/index.ts'
import type { MusicClient } from '../music-client.ts'
import { lookUp, Player } from '../player.ts'
import type { Reporter } from '../report.ts'
import { describeAlbum, describeTrack, show } from '../report-screen.ts'
import type { Screen } from '../screen.ts'
import { stream } from '../streaming.ts'
import { createNode, refuseSimulator } from './node.ts'
import { hasSources } from './options.ts'
import type { PlayCommand } from './options.ts'
import { cannotWrite, checkOutput, FileSink, nowhere, standardOutput } from './sink.ts'
import type { Sink } from './sink.ts'

const NOT_STORED = 'checked, not stored: add --output FILE, or --stdout | mpv -'

/** Plays what was asked for; `signal` ends it early. */
export async function play(command: PlayCommand, screen: Screen, signal: AbortSignal): Promise<void> {
  const { names, album, list: lists, output, stdout } = command
  refuseSimulator(command.command, command.backend)
  const address = addressOf(command)
  if (output !== undefined) await checkOutput(output, album === undefined ? 'file' : 'folder')
  const first = names === undefined ? undefined : new StaticDiscovery({}, { file: names })
  await using p2p = await createNode({ ...command, screen, first })
  screen.line(`MoosicBox player, backend ${p2p.backend}`)
  const report: Reporter = (news) => show(screen, news)
  const server = address ?? (await find(p2p, command, report, signal))
  screen.fact('Connecting', `for ${DEFAULT_LIMITS.connectTimeoutMs / 1000} s at most`)
  const serverId = server instanceof P2PAddress ? server.id : server
  const player = await Player.connect(p2p, server, { report, signal }).catch((error: unknown) => {
    throw withOurIds(error, serverId)
  })
  try {
    if (lists) {
      await list(player.client, screen)
    } else {
      const isStored = stdout || output !== undefined
      if (!isStored) screen.fact('Output', NOT_STORED)
      for (const track of await choose(player.client, command)) await playTrack(player, track, command, screen)
      if (!isStored) screen.fact('Output', NOT_STORED)
    }
  } catch (error) {
    if (P2PError.is(error) && !signal.aborted && (await player.serverHasEnded())) {
      throw new MusicError('the server has ended', { cause: error })
    }
    throw withOurIds(error, serverId)
  }
  await player.close()
}

/** Tracks that `--list` asks for at a time. */
const LISTED_TRACKS = 100

/** The library's errors name nodes by hex digits; what this program prints begins as the node id does. */
function withOurIds(error: unknown, id: P2PNodeId): unknown {
  if (!P2PError.is(error) || !error.message.includes(id.fmtShort())) return error
  return new MusicError(error.message.replaceAll(id.fmtShort(), shortId(id)), { cause: error })
}

/** The server as a ticket or a node id; undefined for what must be a name. */
function addressOf({ server, names, discovery }: PlayCommand): P2PAddress | undefined {
  try {
    return P2PAddress.parse(server)
  } catch (error) {
    if (names !== undefined || hasSources(discovery)) return undefined
    const isTicket = P2PError.is(error, 'invalid-configuration')
    // A name is no id and no ticket either, so its length says nothing.
    const looksLikeId = /^(?:\w{52}|[\da-f]{64})$/i.test(server)
    const hint = isTicket || looksLikeId ? '' : '. To look up a name, say where: --names FILE, or --discovery mdns'
    throw new UsageError(`${explain(error)}${hint}`)
  }
}

/** The server behind a name. */
async function find(
  p2p: DefaultP2P,
  { server, names }: PlayCommand,
  report: Reporter,
  signal: AbortSignal,
): Promise<NodeId> {
  try {
    return await lookUp(p2p, server, report, signal)
  } catch (error) {
    if (!P2PError.is(error, 'node-not-found')) throw error
    const where = names === undefined ? '' : `: it is not in the file of names ${names}`
    throw new MusicError(`nobody knows the name "${server}"${where}`, { cause: error })
  }
}

async function list(client: MusicClient, screen: Screen): Promise<void> {
  for (let offset = 0; ;) {
    const page = await client.albums(offset)
    for (const album of page.items) {
      screen.fact(`album ${album.id}`, describeAlbum(album))
      // In pieces: an album may have thousands, and what is there is shown.
      for (let start = 0; start < album.trackIds.length; start += LISTED_TRACKS) {
        const tracks = await client.tracks(album.trackIds.slice(start, start + LISTED_TRACKS))
        for (const track of tracks) screen.fact(`  track ${track.id}`, describeTrack(track))
      }
    }
    offset += page.items.length
    if (offset >= page.total || page.items.length === 0) return
  }
}

async function choose(client: MusicClient, { track, album }: PlayCommand): Promise<readonly Track[]> {
  if (track !== undefined) {
    const found = await client.tracks([track])
    if (found.length === 0) throw new MusicError(`the server has no track ${track}: --list shows what it has`)
    return found
  }
  if (album !== undefined) return client.tracks((await client.album(album)).trackIds)
  const [first] = (await client.albums()).items
  if (!first) throw new MusicError('the server has no music')
  return client.tracks(first.trackIds.slice(0, 1))
}

async function playTrack(player: Player, track: Track, command: PlayCommand, screen: Screen): Promise<void> {
  const path = await outputOf(track, command)
  const sink: Sink = command.stdout ? standardOutput : path === undefined ? nowhere : await FileSink.open(path)
  try {
    await stream(player, track, (bytes, signal) => sink.write(bytes, signal))
    await sink.finish()
  } catch (error) {
    screen.endProgress()
    await sink.abandon()
    throw error
  }
  if (path !== undefined) screen.fact('Stored', path)
}

/** The file for a track: `--output` itself, or one in that folder when it is for an album. */
async function outputOf(track: Track, { output, album }: PlayCommand): Promise<string | undefined> {
  if (output === undefined || album === undefined) return output
  try {
    await mkdir(output, { recursive: true })
  } catch (error) {
    throw cannotWrite(output, error)
  }
  const disc = track.disc === undefined ? '' : `${track.disc}-`
  const number = `${disc}${String(track.number).padStart(2, '0')}`
  return join(output, `${fileName(`${number} ${track.title}`)}.${track.format.toLowerCase()}`)
}
