/**
 * The process of one peer: a node on iroh, which does what its parent asks for, call by call.
 *
 * @module
 */
import { testSigningKey } from '@moosicbox/p2p'
import { IrohP2P } from '@moosicbox/p2p/iroh'
import type { Load } from './load.ts'
import { PeerProgram } from './peer-program.ts'
import type { Answer } from './process.ts'

/** What a peer is started with: the only argument, as JSON. */
export interface PeerSettings {
  readonly name: string
  readonly binding: 'native' | 'official'
  readonly relays: readonly string[]
  readonly relayRoots: readonly string[]
}

/** What the parent asks. */
export interface PeerCall {
  readonly id: number
  readonly method: 'start' | 'ticket' | 'watch' | 'load' | 'begin' | 'finish' | 'end'
  readonly args: readonly unknown[]
}

const { name, binding, relays, relayRoots } = JSON.parse(process.argv[2] ?? '{}') as PeerSettings
const create = (): Promise<IrohP2P> =>
  IrohP2P.create({
    secretKey: testSigningKey(name),
    binding,
    relay: relays,
    ...(relayRoots.length > 0 && { relayRoots }),
    relayTimeoutMs: 10_000,
  })
const program = new PeerProgram(create)

async function perform({ method, args }: PeerCall): Promise<unknown> {
  switch (method) {
    case 'start':
      return program.start()
    case 'ticket':
      return program.ticket()
    case 'watch':
      return program.watch(args[0] as string, args[1] as number)
    case 'load':
      return program.load(args[0] as string, args[1] as Load)
    case 'begin':
      return program.begin(args[0] as string, args[1] as boolean)
    case 'finish':
      return program.finish()
    case 'end':
      return program.end()
  }
}

process.on('message', (call: PeerCall) => {
  const answer = (answer: Answer): void => void process.send?.(answer)
  perform(call).then(
    (result) => answer({ id: call.id, result }),
    (error: unknown) => answer({ id: call.id, error: error instanceof Error ? (error.stack ?? '') : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
