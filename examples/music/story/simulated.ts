/**
 * The story in the simulator: a music server behind a home's NAT, a player on a mobile network, in virtual time.
 *
 * @module
 */
import { DefaultP2P, P2PError } from '@moosicbox/p2p'
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
import { measureBareLink } from './bare-link.ts'
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
  const { virtualMs, seed: played } = result
  throw new MusicError(`the story was not over after ${formatMs(virtualMs)} of virtual time (seed ${played})`)
}

/** What 24 bit at 192 kHz take, compressed without loss: the best that is sold. */
const HI_RES_MBITS = 9.2

/** Simulates the story and shows it while it happens, or until `signal` fires. */
export async function tellSimulated(story: SimulatedStory, screen: Screen, signal: AbortSignal): Promise<void> {
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(P2PError.aborted(signal, 'the story')), { once: true })
  })
  await Promise.race([tell(story, screen), interrupted])
}

async function tell(story: SimulatedStory, screen: Screen): Promise<void> {
  const startMs = performance.now()
  screen.line('MoosicBox, backend simulator: a music server at home (fibre, a NAT), a player on a mobile network (4g)')
  // Hosts only take note of what happens: the screen belongs to this world, and so does the timer that fills it.
  const news: Report[] = []
  const showNews = (): void => news.splice(0).forEach((report) => show(screen, report))
  const timer = setInterval(showNews, SCREEN_INTERVAL_MS)
  try {
    const { seed, hash, virtualMs, events } = await simulateStory(story, (report) => news.push(report)).catch(
      (error: unknown) => {
        // A library that cannot be read has nothing to do with host, time or seed.
        const isOfFiles = P2PError.is(error, 'program-failed') && P2PError.is(error.cause, 'io')
        throw isOfFiles ? error.cause : error
      },
    )
    showNews()
    const pace = `${formatMs(virtualMs)} of virtual time in ${formatMs(performance.now() - startMs)}`
    await compare(seed, screen)
    screen.fact('Summary', `${pace}, ${events.toLocaleString('en')} events`)
    screen.fact('Seed', `${seed} (the same again: npm start -- --seed ${seed})`)
    screen.fact('Trace hash', hash)
  } finally {
    clearInterval(timer)
    showNews()
  }
}

/** Why the story is given its lines by name. */
async function compare(seed: bigint, screen: Screen): Promise<void> {
  const { latencyMs, packetLoss, bitsPerSecond } = await measureBareLink(seed)
  const line = `a bare link, ${latencyMs} ms one way with ${packetLoss * 100} % loss,`
  const carries = `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
  screen.fact('Aside', `${line} would carry ${carries}; 24 bit at 192 kHz needs ${HI_RES_MBITS}`)
}
