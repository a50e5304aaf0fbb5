/**
 * A reflector: over any node that others can reach, it tells each that connects the addresses that its packets come
 * from, and again when they change.
 *
 * @module
 */
import type { P2PConnection, P2PPath } from '../core/connection.ts'
import { encodeReport, REFLECTOR_ALPN } from '../core/reflector.ts'
import type { P2PListener, P2PSystem } from '../core/system.ts'
import type { P2PNodeId } from '../core/node-id.ts'

/** Paths that come and go together are one report; and nobody is told more often than this. */
const SETTLE_MS = 100

/** What a caller who sends more than nothing is closed with. */
const NOTHING_EXPECTED = 1

/** A reflector that runs. */
export interface Reflector extends AsyncDisposable {
  /** Callers that are connected now. */
  readonly connections: number
  /** A local `ip:port` it listens on. */
  readonly localAddr: string
  /** Stops it and closes its connections; the node stays open. */
  close(): void
}

type System = P2PSystem<P2PNodeId, P2PConnection, P2PListener<P2PConnection>>

/**
 * Serves the reflector protocol (`docs/wire.md`) on `system`, which should be reachable at addresses of its own and not
 * behind a NAT. How many it serves at a time is the node's `limits.maxConnections`.
 *
 * @throws P2PError `already-listening`
 *
 * @example
 * ```ts
 * import { IrohP2P } from '@moosicbox/p2p/iroh'
 * import { serveReflector } from '@moosicbox/p2p/reflector'
 *
 * const options = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] } as const
 * await using p2p = await IrohP2P.create({ ...options, limits: { maxConnections: 10_000 } })
 * const reflector = await serveReflector(p2p)
 * console.log(reflector.connections) // 0
 * reflector.close()
 * ```
 */
export async function serveReflector(system: System): Promise<Reflector> {
  const listener = await system.listen('', { alpns: [REFLECTOR_ALPN] })
  const callers = new Set<P2PConnection>()
  const close = (): void => {
    listener.close()
    for (const caller of callers) caller.close(0, 'the reflector was closed')
  }
  void acceptAll(listener, (caller) => {
    callers.add(caller)
    void caller.closed.then(() => callers.delete(caller))
    void serveOne(caller, system)
  })
  return {
    get connections() {
      return callers.size
    },
    localAddr: listener.localAddr(),
    close,
    [Symbol.asyncDispose]: () => Promise.resolve(close()),
  }
}

async function acceptAll(
  listener: P2PListener<P2PConnection>,
  onCaller: (caller: P2PConnection) => void,
): Promise<void> {
  for await (const caller of listener) onCaller(caller)
}

async function serveOne(caller: P2PConnection, { runtime }: System): Promise<void> {
  const refuse = (): void => caller.close(NOTHING_EXPECTED, 'a reflector takes no streams')
  // Both fail when the connection is over, which is as it should be.
  caller.acceptStream().then(refuse, () => undefined)
  caller.acceptReceiveStream().then(refuse, () => undefined)
  let changed: (() => void) | undefined
  const watching = caller.onPathChange(() => changed?.())
  void caller.closed.then(() => changed?.())
  try {
    const stream = await caller.openSendStream()
    let told: string | undefined
    while (caller.isConnected()) {
      const change = new Promise<void>((resolve) => {
        changed = resolve
      })
      const seen = seenFrom(caller.paths())
      const text = seen.join(' ')
      if (seen.length > 0 && text !== told) {
        told = text
        await stream.write(encodeReport(seen))
      }
      await change
      await runtime.sleep(SETTLE_MS)
    }
  } catch {
    // The caller has gone.
  } finally {
    watching[Symbol.dispose]()
  }
}

/** Where packets come from, the address in use first; what came over a relay says nothing of that. */
function seenFrom(paths: readonly P2PPath[]): readonly string[] {
  const direct = paths.filter(({ kind }) => kind === 'direct')
  return [...direct.filter(({ selected }) => selected), ...direct.filter(({ selected }) => !selected)].map(
    ({ remote }) => remote,
  )
}
