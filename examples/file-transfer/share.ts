/**
 * Goes online with a shelf of files, for others to take.
 *
 * @module
 */
import { P2PRouter } from '@moosicbox/p2p'
import type { DefaultP2P } from '@moosicbox/p2p'
import type { Actor } from '../stage/actor.ts'
import { ShareService } from './share-service.ts'
import { Shelf } from './shelf.ts'

/** How soon registering is tried again where nobody takes the name. */
const RETRY_MS = 1_000

/** A node that shares. */
export interface Sharing {
  readonly p2p: DefaultP2P
  readonly shelf: Shelf
  /** Resolves when nobody has asked for anything for so long. */
  readonly untilIdle: (idleMs: number) => Promise<void>
}

/** Goes online; others find it under the actor's name. */
export async function share(actor: Actor): Promise<Sharing> {
  const { runtime, name } = actor
  const p2p = await actor.create()
  const shelf = new Shelf(actor.store)
  let askedMs = runtime.now()
  const router = new P2PRouter().use((_request, next) => {
    askedMs = runtime.now()
    return next()
  })
  await p2p.serve(router.use(new ShareService(shelf)), { authorize: 'everyone' })
  while (!(await isRegistered(p2p, name))) await runtime.sleep(RETRY_MS)
  const untilIdle = async (idleMs: number): Promise<void> => {
    for (let leftMs = idleMs; leftMs > 0; leftMs = askedMs + idleMs - runtime.now()) await runtime.sleep(leftMs)
  }
  return { p2p, shelf, untilIdle }
}

/** The name service may be out. */
async function isRegistered(p2p: DefaultP2P, name: string): Promise<boolean> {
  return p2p.register(name).then(
    () => true,
    () => false,
  )
}
