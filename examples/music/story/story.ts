/**
 * The story of the product: a music server at home, a player elsewhere. The same application on either network.
 *
 * @module
 */
import { UsageError } from '../errors.ts'
import type { StoryCommand } from '../cli/options.ts'
import type { Screen } from '../screen.ts'

/** Plays the story with the music in `folder`. */
export async function tellStory(
  { backend, seed }: StoryCommand,
  folder: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  // Only what this network needs is loaded.
  if (backend === 'simulator') {
    const { tellSimulated } = await import('./simulated.ts')
    await tellSimulated({ seed, folder }, screen, signal)
  } else {
    if (seed !== undefined)
      throw new UsageError('--seed is for the simulator: nothing decides what a real network does')
    const { tellOverIroh } = await import('./processes.ts')
    await tellOverIroh(folder, screen, signal)
  }
}
