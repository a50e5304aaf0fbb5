/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/testing`: the contract as a suite that any backend can be held to. Needs the package `fast-check`.
 *
 * @module
 */
export type {
  ContractAbilities,
  ContractBackend,
  ContractConditions,
  ContractNodeOptions,
  ContractRunner,
  ContractScale,
  ContractWorld,
} from './contract/backend.ts'
export { contractCases, contractSuite, runContractCase } from './contract/suite.ts'
