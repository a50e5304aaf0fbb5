/**
 * The suite: every promise of the contract, for any backend and any test runner.
 *
 * @module
 */
import type { ContractBackend, ContractConditions, ContractRunner, ContractWorld } from './backend.ts'
import { cancellationCases } from './cancellation-cases.ts'
import { connectingCases } from './connecting-cases.ts'
import { conditionCases, criticalCases } from './critical-cases.ts'
import { datagramCases } from './datagram-cases.ts'
import { identityCases } from './identity-cases.ts'
import { lifetimeCases } from './lifetime-cases.ts'
import { endingCases } from './ending-cases.ts'
import { messageCases } from './message-cases.ts'
import { nodeCases } from './node-cases.ts'
import { ContractPair } from './pair.ts'
import type { ContractCase, ContractCases } from './pair.ts'
import { protocolCases } from './protocol-cases.ts'
import { streamAbortCases } from './stream-abort-cases.ts'
import { streamCases } from './stream-cases.ts'

const GROUPS: Readonly<Record<string, ContractCases>> = {
  identity: identityCases,
  connecting: connectingCases,
  messages: messageCases,
  streams: streamCases,
  datagrams: datagramCases,
  'aborted streams': streamAbortCases,
  'other protocols': protocolCases,
  lifetimes: lifetimeCases,
  'the graceful end': endingCases,
  cancellation: cancellationCases,
  'the node': nodeCases,
  'the four critical scenarios': criticalCases,
  conditions: conditionCases,
}

type Conditions = ContractConditions | undefined

function lookUp(name: string): ContractCase {
  for (const cases of Object.values(GROUPS)) {
    const found = cases[name]
    if (found) return typeof found === 'function' ? { run: found } : found
  }
  throw new TypeError(`the contract suite has no case ${JSON.stringify(name)}`)
}

/** The conditions under which a backend runs a case: none in particular for most, and no list where it cannot. */
function conditionsFor({ scale, seed = 1, abilities }: ContractBackend, name: string): readonly Conditions[] {
  const { conditions } = lookUp(name)
  if (!conditions) return [undefined]
  return abilities ? conditions(abilities, { runs: scale.runs, seed }) : []
}

/** The names of all cases, by group. */
export function contractCases(): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Object.entries(GROUPS).map(([group, cases]) => [group, Object.keys(cases)]))
}

/**
 * Runs one case once.
 *
 * @throws TypeError when there is no case of this name, or the backend has not what it needs; and what the case throws
 */
export async function runContractCase(backend: ContractBackend, name: string): Promise<void> {
  const { run, limits = {}, listen = {} } = lookUp(name)
  const { scale, seed = 1 } = backend
  const all = conditionsFor(backend, name)
  if (all.length === 0) {
    throw new TypeError(`${backend.name} has no abilities to run ${JSON.stringify(name)} with`)
  }
  for (const conditions of all) {
    const body = async (world: ContractWorld): Promise<void> => {
      const pair = await ContractPair.create({ world, scale, seed, limits, listen, conditions })
      await run(pair)
      await pair.dispose()
    }
    try {
      await backend.run(body, conditions)
    } catch (error) {
      if (!conditions) throw error
      throw new Error(`under ${JSON.stringify(conditions)}`, { cause: error })
    }
  }
}

/**
 * Declares a test for each promise of the contract.
 *
 * @example
 * ```ts fragment
 * import { describe, test } from 'node:test'
 * import { contractSuite } from '@moosicbox/p2p/testing'
 * import { myBackend } from './my-backend.ts'
 *
 * contractSuite({ describe, test }, myBackend)
 * ```
 * @throws TypeError when `skips` names a case that does not exist
 */
export function contractSuite(runner: ContractRunner, backend: ContractBackend): void {
  const skips = backend.skips ?? {}
  for (const name of Object.keys(skips)) lookUp(name)
  runner.describe(`the contract, on ${backend.name}`, () => {
    for (const [group, cases] of Object.entries(GROUPS)) {
      const names = Object.keys(cases).filter((name) => conditionsFor(backend, name).length > 0)
      if (names.length === 0) continue
      runner.describe(group, () => {
        for (const name of names) {
          const body = (): Promise<void> => runContractCase(backend, name)
          const reason = skips[name]
          if (reason === undefined) runner.test(name, body)
          else runner.test.skip(`${name} (skipped: ${reason})`, body)
        }
      })
    }
  })
}
