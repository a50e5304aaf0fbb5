/** Scenarios for tests of the testing kit, and the little that they have in common. */
import { checkScenario, resolveOptions, scenario } from '../../src/simtest/index.ts'
import type { CheckResult, Scenario, ScenarioBody, ScenarioOptions } from '../../src/simtest/index.ts'
import type { Fault } from '../../src/simulator/index.ts'

/** Runs a scenario as a test of its own would, without the environment. */
export function check(options: ScenarioOptions, body: ScenarioBody, name = 'a scenario'): Promise<CheckResult> {
  return checkOf(scenario(name, options, body))
}

export function checkOf(what: Scenario): Promise<CheckResult> {
  return checkScenario(what, { resolved: resolveOptions(what.options, {}) })
}

/** Many faults on many hosts, none of which matters, and some that do. */
export function noise(count: number, matter: readonly Fault[]): Fault[] {
  const faults: Fault[] = Array.from({ length: count - matter.length }, (_, i) => ({
    kind: 'pause',
    atMs: 1 + i * 37,
    forMs: 5 + (i % 40),
    host: `host ${i % 4}`,
  }))
  for (const [i, fault] of matter.entries())
    faults.splice(Math.floor(((i + 1) * faults.length) / (matter.length + 1)), 0, fault)
  return faults
}
