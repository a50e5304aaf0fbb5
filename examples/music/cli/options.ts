/**
 * The command line: what can be asked for, and what is wrong with what was.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import { parseSeed } from '@moosicbox/p2p'
import { parseDiscoveryMode } from '@moosicbox/p2p/discovery'
import { explain, UsageError } from '../errors.ts'

/** Printed for `--help`. */
export const HELP = `A music server and its player, peer to peer.

npm start [-- OPTIONS]                 the story: a player finds a server and streams a track from it
  --backend simulator|iroh             a simulated internet, or two processes over real QUIC [simulator]
  --seed N                             decides everything random of the simulation [random; or SIMULATOR_SEED]
  --library DIR                        the music to serve [a small library that comes along]

npm start -- serve [OPTIONS]           a music server, until Ctrl-C
  --library DIR                        the music to serve [a small library that comes along]
  --key FILE                           its identity, made when there is none yet [a new one each time]
  --name NAME                          the name to be found by, where --names or --discovery know names
  --names FILE                         puts the name and the address into FILE; it stays there
  --port N                             the UDP port to listen on [any]
  --allow NODE_ID                      lets only this player in; may be given several times [everyone]

npm start -- play SERVER [OPTIONS]     a player; SERVER is a ticket, a node id, or a name
  --list                               shows what there is, and ends; plays nothing
  --track ID                           the track to play [the first one]
  --album ID                           plays a whole album; --output is a folder then
  --output FILE                        stores what is played
  --stdout                             writes the audio to standard output, for any audio player to take
  --key FILE                           the player's identity [a new one each time]
  --names FILE                         where names are looked up

npm start -- help                      this text; --version: the version

For serve and play:
  --backend iroh                       the only one that reaches other processes [iroh]
  --loopback                           no relays, and no packet leaves this machine but those of --discovery
  --discovery mdns,dht,dns,static      where to look others up and to be found; mdns knows names, the others ids; how,
                                       environment variables say: docs/deployment.md [P2P_DISCOVERY_MODE, or nowhere]

npm prints lines of its own; for a pipe, call the program itself:
  node scripts/start.mjs play TICKET --stdout | mpv -
`

/** The networks to choose from. */
export type Backend = 'simulator' | 'iroh'

/** The story. */
export interface StoryCommand {
  readonly command: 'story'
  readonly backend: Backend
  readonly seed: bigint | undefined
  readonly library: string | undefined
}

/** The server. */
export interface ServeCommand {
  readonly command: 'serve'
  readonly backend: Backend
  readonly library: string | undefined
  readonly key: string | undefined
  readonly name: string | undefined
  readonly names: string | undefined
  /** Which sources of addresses; undefined for what the environment says. */
  readonly discovery: string | undefined
  readonly port: number
  readonly allow: readonly string[]
  readonly loopback: boolean
}

/** The player. */
export interface PlayCommand {
  readonly command: 'play'
  readonly backend: Backend
  readonly server: string
  readonly list: boolean
  readonly track: number | undefined
  readonly album: number | undefined
  readonly output: string | undefined
  readonly stdout: boolean
  readonly key: string | undefined
  readonly names: string | undefined
  /** Which sources of addresses; undefined for what the environment says. */
  readonly discovery: string | undefined
  readonly loopback: boolean
}

/** What was asked for. */
export type Command = StoryCommand | ServeCommand | PlayCommand | { readonly command: 'help' | 'version' }

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const COMMON = { backend: text, help: { ...flag, short: 'h' } } as const
const OPTIONS = {
  story: { ...COMMON, seed: text, library: text },
  serve: {
    ...COMMON,
    library: text,
    key: text,
    name: text,
    names: text,
    discovery: text,
    port: text,
    allow: { ...text, multiple: true },
    loopback: flag,
  },
  play: {
    ...COMMON,
    list: flag,
    track: text,
    album: text,
    output: text,
    stdout: flag,
    key: text,
    names: text,
    discovery: text,
    loopback: flag,
  },
} as const

/**
 * Reads the arguments behind the program's name.
 *
 * @throws UsageError naming the argument
 */
export function parseCommand(args: readonly string[]): Command {
  const [first, ...rest] = args
  if (first === 'help') return { command: 'help' }
  if (first === '--version') return { command: 'version' }
  if (first === 'serve') return parseServe(rest)
  if (first === 'play') return parsePlay(rest)
  return parseStory(first === 'story' ? rest : args)
}

function parseStory(args: readonly string[]): Command {
  const { values, positionals } = parse(args, OPTIONS.story)
  if (values.help) return { command: 'help' }
  refuseWords(positionals, 'the commands are serve and play; without one the story is played')
  const { backend, seed, library } = values
  return { command: 'story', backend: backendOf(backend, 'simulator'), seed: seedOf(seed), library }
}

function parseServe(args: readonly string[]): Command {
  const { values, positionals } = parse(args, OPTIONS.serve)
  if (values.help) return { command: 'help' }
  refuseWords(positionals, 'serve takes options only')
  const { library, key, name, names, discovery, loopback = false, allow = [] } = values
  if (name === undefined && names !== undefined) throw new UsageError('--names needs a --name to put into the file')
  const isKnown = names !== undefined || hasSources(discovery)
  if (name !== undefined && !isKnown) {
    throw new UsageError('--name needs a place where names are known: --names FILE, or --discovery mdns')
  }
  const port = numberOf(values.port, '--port', 65_535) ?? 0
  const backend = backendOf(values.backend, 'iroh')
  return { command: 'serve', backend, library, key, name, names, discovery, port, allow, loopback }
}

function parsePlay(args: readonly string[]): Command {
  const { values, positionals } = parse(args, OPTIONS.play)
  if (values.help) return { command: 'help' }
  const [server, ...others] = positionals
  if (server === undefined) throw new UsageError('play needs to know the server: its ticket, node id or name')
  refuseWords(others, 'play takes one server')
  const { output, key, names, discovery, list = false, stdout = false, loopback = false } = values
  const track = numberOf(values.track, '--track', Number.MAX_SAFE_INTEGER)
  const album = numberOf(values.album, '--album', Number.MAX_SAFE_INTEGER)
  if (track !== undefined && album !== undefined) throw new UsageError('--track and --album exclude each other')
  const plays = { '--track': track, '--album': album, '--output': output, '--stdout': stdout || undefined }
  for (const [name, value] of Object.entries(plays)) {
    if (list && value !== undefined) throw new UsageError(`--list and ${name} exclude each other: a list plays nothing`)
  }
  if (output !== undefined && stdout) throw new UsageError('--output and --stdout exclude each other')
  if (album !== undefined && stdout)
    throw new UsageError('--stdout takes one track: several in a row are no audio file')
  const backend = backendOf(values.backend, 'iroh')
  if (discovery !== undefined) hasSources(discovery)
  return { command: 'play', backend, server, list, track, album, output, stdout, key, names, discovery, loopback }
}

/**
 * Whether there are sources of addresses besides a file of names.
 *
 * @throws UsageError for one that there is not
 */
export function hasSources(discovery: string | undefined): boolean {
  try {
    if (discovery !== undefined) return parseDiscoveryMode(discovery, '--discovery').length > 0
    return parseDiscoveryMode(process.env['P2P_DISCOVERY_MODE'] ?? '').length > 0
  } catch (error) {
    throw new UsageError(explain(error))
  }
}

function parse<Options extends NonNullable<ParseArgsConfig['options']>>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: joinNegative(args), options, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's hint about `--` helps nobody here: nothing this program takes begins with a dash.
    throw new UsageError((error instanceof Error ? error.message : String(error)).replace(/\. To specify .*$/s, ''))
  }
}

/** `--seed -1` as `--seed=-1`, so that what is wrong with the number is told, not with the dash. */
function joinNegative(args: readonly string[]): string[] {
  const joined: string[] = []
  for (const arg of args) {
    const last = joined.at(-1)
    if (/^-\d/.test(arg) && last !== undefined && /^--[^=]+$/.test(last)) joined[joined.length - 1] = `${last}=${arg}`
    else joined.push(arg)
  }
  return joined
}

function refuseWords(words: readonly string[], hint: string): void {
  if (words[0] !== undefined) throw new UsageError(`unexpected argument '${words[0]}': ${hint}`)
}

function backendOf(value: string | undefined, fallback: Backend): Backend {
  if (value === undefined) return fallback
  if (value === 'simulator' || value === 'iroh') return value
  throw new UsageError(`--backend '${value}': it is simulator or iroh`)
}

function seedOf(value: string | undefined): bigint | undefined {
  if (value === undefined) return undefined
  try {
    return parseSeed(value, '--seed')
  } catch (error) {
    throw new UsageError(explain(error))
  }
}

function numberOf(value: string | undefined, name: string, max: number): number | undefined {
  if (value === undefined) return undefined
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (number <= max) return number
  throw new UsageError(`${name} '${value}': it is a whole number${max === 65_535 ? ' up to 65535' : ''}`)
}
