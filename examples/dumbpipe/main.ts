/**
 * The program: `node scripts/example.mjs dumbpipe listen`, `… connect TICKET`.
 *
 * @module
 */
import { Readable } from 'node:stream'
import { P2PError, SecretKey } from '@moosicbox/p2p'
import { IrohP2P } from '@moosicbox/p2p/iroh'
import { connectAndPipe, listenAndPipe } from './ends.ts'
import { ReaderGone } from './forward.ts'
import { HELP, parsePipeCommand, UsageError } from './options.ts'
import type { PipeCommand } from './options.ts'

/** The exit code of a program that was interrupted, as shells know it. */
const INTERRUPTED = 130
/** As long as a timer can be: how fast the other end's reader reads is its own affair. */
const FOR_EVER_MS = 2_147_483_647

const say = (line: string): void => void process.stderr.write(`${line}\n`)

async function run(
  { command, ticket, key, bind, relay, alpn, recvOnly }: PipeCommand,
  signal: AbortSignal,
): Promise<void> {
  await using p2p = await IrohP2P.create({
    secretKey: key === undefined ? undefined : await SecretKey.loadOrCreate(key),
    relay,
    bind,
    limits: { endTimeoutMs: FOR_EVER_MS },
  })
  const ends = { input: recvOnly ? Readable.from([]) : process.stdin, output: process.stdout }
  if (command === 'connect' && ticket) return await connectAndPipe(p2p, ticket, alpn, ends, signal)
  return await listenAndPipe(p2p, alpn, ends, signal, () => {
    say('Listening. To connect, use one of:')
    say(`node scripts/example.mjs dumbpipe connect ${p2p.address().toTicket()}`)
    say(`dumbpipe connect ${p2p.address().toTicket()}`)
  })
}

async function main(): Promise<number> {
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // The first one breaks the pipe, and the other end is told; the second one ends this program.
    process.on(name, () => (interrupt.signal.aborted ? process.exit(INTERRUPTED) : interrupt.abort()))
  }
  try {
    const command = parsePipeCommand(process.argv.slice(2))
    if (!command) process.stdout.write(HELP)
    else await run(command, interrupt.signal)
    return 0
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED
    if (error instanceof ReaderGone) return 0
    say(`error: ${error instanceof Error ? error.message : String(error)}`)
    const isUsage = error instanceof UsageError || P2PError.is(error, 'invalid-configuration')
    if (!isUsage && !P2PError.is(error, 'invalid-node-id')) return 1
    say('node scripts/example.mjs dumbpipe --help shows what can be asked for')
    return 2
  }
}

process.stdout.on('error', () => {})
const code = await main()
// An input that nobody ends must not keep the program; what was written goes out first.
if (code === 0 && process.stdout.writable) process.stdout.write('', () => process.exit(0))
else process.exit(code)
