/**
 * The download, held to its promises in thousands of histories:
 * `npx p2p-sim sweep build/examples/file-transfer/scenario.js --seeds 1000`.
 *
 * @module
 */
import { scenario } from '@moosicbox/p2p/simtest'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { simulatedActor } from '../stage/simulated.ts'
import { download } from './download.ts'
import { BLOCK_BYTES, fileId, manifestOf, sha256 } from './manifest.ts'
import { share } from './share.ts'

const NAMES = ['ada', 'bert', 'cleo', 'dora'] as const
/** For so long things go wrong. */
const TROUBLE_MS = 40_000

/** Bytes that are nowhere the same. */
function film(): Uint8Array {
  const bytes = new Uint8Array(12 * BLOCK_BYTES + 777)
  let state = 42
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const everybodyGetsTheFile: Scenario = scenario(
  'everybody gets the file, and the right one',
  { seeds: 10, faults: 'hostile', faultsForMs: TROUBLE_MS, config: { defaultPacketLoss: 0.01 } },
  async (sim) => {
    const bytes = film()
    const manifest = manifestOf('film', bytes)
    const id = fileId(manifest)
    const whole = new Set<string>()
    const resumed = new Set<string>()
    const home = sim.lan({
      name: 'home',
      nat: sim.pick(['full-cone', 'home', 'symmetric'] as const, 'NAT'),
      link: 'dsl',
    })
    const phone = sim.lan({ name: 'provider', nat: 'cgnat', link: '3g' })
    const lans = [undefined, home, home, phone]
    for (const [i, name] of NAMES.entries()) {
      sim.host(name, { lan: lans[i], ...(i === 0 && { link: 'dsl' }) }, async (host) => {
        const { p2p, shelf } = await share(simulatedActor(host))
        // The first of them has it, and whoever switches it on after a crash sees to it that it still has.
        if (i === 0) {
          await shelf.add('film', bytes)
          return
        }
        await host.runtime.sleep(host.runtime.random() * 10_000)
        const sources = NAMES.filter((other) => other !== name)
        let blocks = 0
        const file = await download(p2p, shelf, id, { sources, onBlock: () => blocks++ })
        if (blocks < manifest.blocks.length) resumed.add(name)
        if (sha256(await file.bytes()) !== sha256(bytes)) throw new Error(`${name} took another file for this one`)
        whole.add(name)
      })
    }
    sim.sometimes('somebody goes on from what is on the disk', () => resumed.size > 0)
    await sim.run({ forMs: TROUBLE_MS })
    await sim.converge('everybody has the file', () => whole.size === NAMES.length - 1, { withinMs: 300_000 })
  },
)
export default everybodyGetsTheFile
