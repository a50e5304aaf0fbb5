/**
 * Both backends against one contract, at compile time: the checks are the types, and `npm run typecheck` is what fails.
 * The test only keeps the file honest by using what it declares.
 */
import { expect, test } from 'vitest'
import type { BackendP2P } from '../../src/core/backend.ts'
import type { NodeId } from '../../src/core/node-id.ts'
import type { P2PConnection, P2PListener, P2PSystem } from '../../src/index.ts'
import { BackendP2P as Iroh, IrohP2P } from '../../src/iroh/index.ts'
import { BackendP2P as Simulator, SimulatorP2P } from '../../src/simulator/index.ts'

type Contract = P2PSystem<NodeId, P2PConnection<NodeId>, P2PListener<P2PConnection<NodeId>>>

/** Fails to compile unless `Node` is a `Contract` and has what `#backend` promises. */
type Keeps<Node extends Contract & Pick<BackendP2P, keyof BackendP2P>> = Node

type Checked = [Keeps<SimulatorP2P>, Keeps<IrohP2P>]

/** What the other backend lacks must not be needed to use one. */
type Common = keyof SimulatorP2P & keyof IrohP2P
type MissingInCommon = Exclude<keyof Contract, Common>
const nothingMissing: MissingInCommon extends never ? true : false = true

test('both backends are what #backend promises', () => {
  const classes: readonly (new (init: never) => Checked[number])[] = [SimulatorP2P, IrohP2P]
  expect(classes).toEqual([Simulator, Iroh])
  expect(nothingMissing).toBe(true)
})
