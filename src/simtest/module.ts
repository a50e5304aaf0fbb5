/**
 * Scenarios in modules: what a sweep is pointed at.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { Scenario } from './scenario.ts'

function isScenario(value: unknown): value is Scenario {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'options' in value &&
    'body' in value &&
    typeof value.name === 'string' &&
    typeof value.body === 'function'
  )
}

/**
 * The scenarios that a module exports, by whatever name, alone or in lists.
 *
 * @param url of the module
 * @throws P2PError `invalid-configuration` when it cannot be loaded or exports none
 */
export async function loadScenarios(url: string): Promise<Scenario[]> {
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(url)) as Readonly<Record<string, unknown>>
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidConfiguration('module', url, `cannot be loaded: ${why}`)
  }
  const scenarios = new Map<string, Scenario>()
  for (const value of Object.values<unknown>(exported).flat()) {
    if (isScenario(value)) scenarios.set(value.name, value)
  }
  if (scenarios.size > 0) return [...scenarios.values()]
  throw invalidConfiguration('module', url, "exports no scenario: make one with scenario() of '@moosicbox/p2p/simtest'")
}

/** @throws P2PError `invalid-configuration` that lists what there is */
export function findScenario(scenarios: readonly Scenario[], name: string, url: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name)
  if (found) return found
  const names = scenarios.map((scenario) => JSON.stringify(scenario.name)).join(', ')
  throw invalidConfiguration('scenario', name, `${url} has no scenario of this name; it has ${names}`)
}
