/** A planted bug among 200 faults is made as small as it can be within a minute: no fault that is left can go. */
import { expect, test } from 'vitest'
import { checkScenario, resolveOptions, runScenario, scenario } from '@moosicbox/p2p/simtest'
import type { Examined } from '@moosicbox/p2p/simtest'
import type { Fault } from '@moosicbox/p2p/simulator'
import { patience } from '../../src/simtest/patience.ts'
import { replicaAck } from './replica-ack.ts'
import { unsyncedWrite } from './unsynced-write.ts'

const FAULTS = 200
const MINUTE_MS = 60_000
/** Without any one of them it does not fail: that is asked of what is left, not that nothing smaller exists. */
const MOST_LEFT = 6

test.each([
  { least: 1, planted: unsyncedWrite(false), message: /was acknowledged and is lost/ },
  { least: 2, planted: replicaAck(false), message: /was acknowledged, and then/ },
])(
  `${FAULTS} faults come down to a few, of which none can go: $planted.name`,
  { timeout: 15 * MINUTE_MS },
  async (one) => {
    const { least, planted, message } = one
    const { name, body } = planted
    const faults = {
      weights: { crash: 1, restart: 2, pause: 2, partition: 2, 'link-flap': 2 },
      everyMs: MINUTE_MS / 240,
      maxForMs: 2000,
      swarm: false,
    } as const
    // A minute of a machine that has nothing else to do.
    const options = { faults, seeds: 50, shrinkMs: Math.round(MINUTE_MS * patience()) }
    const resolved = resolveOptions(options, {})
    const what = scenario(name, options, body)
    const { examined } = await checkScenario(what, { resolved })
    const [found] = examined
    const before = Number(/from (\d+) faults to/.exec(found?.text ?? '')?.[1])
    expect(before).toBeGreaterThanOrEqual(FAULTS)
    expect(found?.text).toMatch(message)
    expect(found?.shrunk?.isMinimal).toBe(true)
    const { seed, outcome } = found as Examined
    const { plan } = outcome
    expect(plan.faults.length).toBeGreaterThanOrEqual(least)
    expect(plan.faults.length).toBeLessThanOrEqual(MOST_LEFT)
    const key = async (left: readonly Fault[]): Promise<string | undefined> =>
      (await runScenario(what, resolved, seed, { plan: { ...plan, faults: left } })).failure?.key
    expect(await key(plan.faults)).toBe(outcome.failure?.key)
    for (const gone of plan.faults) {
      const left = plan.faults.filter((fault) => fault !== gone)
      expect([gone.kind, await key(left)]).not.toEqual([gone.kind, outcome.failure?.key])
    }
  },
)
