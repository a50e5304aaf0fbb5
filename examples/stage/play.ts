/**
 * Plays a story: all its parts on this machine over iroh, or each on a simulated host of its own.
 *
 * @module
 */
import { Simulation } from '@moosicbox/p2p/simulator'
import type { HostOptions } from '@moosicbox/p2p/simulator'
import type { Part } from './actor.ts'
import { runCommand, speaker } from './command.ts'
import { playReal } from './real.ts'
import { simulatedActor } from './simulated.ts'

/** A story, and where its actors are on the simulated internet. */
export interface Story<Name extends string> {
  readonly help: string
  /** In the order in which they come on. */
  readonly cast: readonly Name[]
  readonly parts: Readonly<Record<Name, Part>>
  readonly places: (sim: Simulation) => Readonly<Record<Name, HostOptions>>
}

/** The program of an example. */
export async function playStory<Name extends string>({ help, cast, parts, places }: Story<Name>): Promise<void> {
  await runCommand(help, async ({ backend, seed, trace }) => {
    if (backend === 'iroh') {
      const startMs = performance.now()
      await playReal(
        parts,
        speaker(() => performance.now() - startMs),
      )
      return
    }
    await using sim = new Simulation({ seed, ...(trace !== undefined && { trace }) })
    const plugs = places(sim)
    const say = speaker(() => sim.now)
    for (const name of cast) sim.host(name, plugs[name], (host) => parts[name](simulatedActor(host, say)))
    const { virtualMs, seed: played, hash } = await sim.run({ forMs: 600_000 })
    process.stdout.write(`${(virtualMs / 1000).toFixed(1)} virtual seconds, seed ${played}, hash ${hash}\n`)
  })
}
