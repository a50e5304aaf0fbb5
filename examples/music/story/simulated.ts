/**
 * The story in the simulator: a music server behind a home's NAT, a player on a mobile network, in virtual time.
 *
 * @module
 */
import { DefaultP2P } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import type { SimulationResult } from '@moosicbox/p2p/simulator'
import { MusicError } from '../errors.ts'
import { formatMs } from '../format.ts'
import { listenToHome } from '../listener.ts'
import type { OnBlock } from '../listening.ts'
import { MusicLibrary } from '../media/index.ts'
import type { Report } from '../report.ts'
import { show } from '../report-screen.ts'
import type { Screen } from '../screen.ts'
import { serveMusic } from '../server.ts'
import { HOME } from './names.ts'

/** The player is switched on when the server has been up for a while. */
const PLAYER_STARTS_MS = 2000
/** No story takes longer than this, in virtual time. */
const LIMIT_MS = 600_000
/** How often the screen is brought up to date, in real time. */
const SCREEN_INTERVAL_MS = 20

/** What the story depends on: with the same music and seed it happens the same way. */
export interface SimulatedStory {
  readonly seed: bigint | undefined
  /** The folder of the music. */
  readonly folder: string
}

/**
 * Simulates the story.
 *
 * @param onBlock is given every block of the track that is played
 */
export async function simulateStory(
  { seed, folder }: SimulatedStory,
  report: (report: Report) => void,
  onBlock?: OnBlock,
): Promise<SimulationResult> {
  await using sim = new Simulation({ seed })
  const home = sim.lan({ nat: 'home', link: 'fibre' })
  const mobile = sim.lan({ nat: 'cgnat', link: '4g' })
  sim.host('server', { lan: home }, async () => {
    const p2p = await DefaultP2P.create()
    const library = await MusicLibrary.scan(folder, { runtime: p2p.runtime })
    await serveMusic(p2p, library)
    await p2p.register(HOME)
  })
  sim.host('player', { lan: mobile }, async (host) => {
    await host.runtime.sleep(PLAYER_STARTS_MS)
    await using p2p = await DefaultP2P.create()
    await listenToHome(p2p, { name: HOME, report, onBlock, beforeSeekMs: 5000, afterSeekMs: LIMIT_MS })
  })
  const result = await sim.run({ forMs: LIMIT_MS })
  if (result.ended === 'programs') return result
  throw new MusicError(`the story was not over after ${LIMIT_MS / 1000} s of virtual time (seed ${result.seed})`)
}

/** Simulates the story and shows it while it happens. */
export async function tellSimulated(story: SimulatedStory, screen: Screen): Promise<void> {
  const startMs = performance.now()
  screen.line('MoosicBox: a music server at home behind its NAT (fibre), a player on a mobile network (4g)')
  screen.fact('Backend', 'simulator: virtual time on a virtual internet')
  // Hosts only take note of what happens: the screen belongs to this world, and so does the timer that fills it.
  const news: Report[] = []
  const showNews = (): void => news.splice(0).forEach((report) => show(screen, report))
  const timer = setInterval(showNews, SCREEN_INTERVAL_MS)
  try {
    const { seed, hash, virtualMs, events } = await simulateStory(story, (report) => news.push(report))
    showNews()
    const pace = `${formatMs(virtualMs)} of virtual time in ${formatMs(performance.now() - startMs)}`
    screen.fact('Summary', `${pace}, ${events.toLocaleString('en')} events`)
    screen.fact('Seed', `${seed} (the same again: npm start -- --seed ${seed})`)
    screen.fact('Trace hash', hash)
  } finally {
    clearInterval(timer)
    showNews()
  }
}
