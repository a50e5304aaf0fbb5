/**
 * The command line.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { P2PAddress } from '@moosicbox/p2p'
import { ALPN } from './protocol.ts'

/** Printed for `--help`. */
export const HELP = `A pipe between two machines, which dumbpipe (https://www.dumbpipe.dev) can be either end of.

node scripts/example.mjs dumbpipe listen [OPTIONS]           waits for the other end; its ticket is printed
node scripts/example.mjs dumbpipe connect TICKET [OPTIONS]   is the other end

  --key FILE              the identity, made when there is none yet [a new one each time]
  --bind IP:PORT          the address to use; may be given once for IPv4 and once for IPv6 [all, any port]
  --relay default|disabled|URL   the relay to be reachable through [default]
  --loopback              no relay and no address but this machine's own
  --custom-alpn utf8:NAME another protocol: nobody says hello, and what is said is up to you
  --recv-only             sends nothing, and does not read the standard input

What comes in on the standard input goes out on the other end's standard output, and the other way round. Words are on
the standard error.
`

/** What was asked for. */
export interface PipeCommand {
  readonly command: 'listen' | 'connect'
  /** Whom to connect to. */
  readonly ticket: P2PAddress | undefined
  readonly key: string | undefined
  readonly bind: readonly string[] | undefined
  readonly relay: 'default' | 'disabled' | readonly string[]
  readonly alpn: string
  readonly recvOnly: boolean
}

/** What is wrong with the command line, in one line. */
export class UsageError extends Error {}

/** Reads the arguments; undefined when help was asked for. */
export function parsePipeCommand(args: readonly string[]): PipeCommand | undefined {
  const { values, positionals } = parse(args)
  if (values.help === true) return undefined
  const [command, text, ...others] = positionals
  if (command !== 'listen' && command !== 'connect') throw new UsageError('the first word is listen or connect')
  if (command === 'connect' && text === undefined) throw new UsageError('connect needs the ticket of the other end')
  const [unexpected] = command === 'listen' ? positionals.slice(1) : others
  if (unexpected !== undefined) throw new UsageError(`unexpected argument '${unexpected}'`)
  const { loopback = false, relay = loopback ? 'disabled' : 'default' } = values
  if (loopback && relay !== 'disabled') throw new UsageError('--loopback and --relay exclude each other')
  return {
    command,
    ticket: text === undefined ? undefined : P2PAddress.parse(text),
    key: values.key,
    bind: values.bind ?? (loopback ? ['127.0.0.1:0', '[::1]:0'] : undefined),
    relay: relay === 'default' || relay === 'disabled' ? relay : [relay],
    alpn: values['custom-alpn'] === undefined ? ALPN : customAlpn(values['custom-alpn']),
    recvOnly: values['recv-only'] ?? false,
  }
}

function customAlpn(text: string): string {
  const name = /^utf8:(.+)$/s.exec(text)?.[1]
  if (name === undefined) throw new UsageError(`--custom-alpn '${text}': it is utf8: and the name of a protocol`)
  return name
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        key: { type: 'string' },
        bind: { type: 'string', multiple: true },
        relay: { type: 'string' },
        loopback: { type: 'boolean' },
        'custom-alpn': { type: 'string' },
        'recv-only': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
