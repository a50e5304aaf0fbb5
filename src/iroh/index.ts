/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/iroh`: nodes on iroh, and the backend of `node --conditions=iroh`.
 *
 * @module
 */
export type {
  DoorSettings,
  HomeRelay,
  IrohAccess,
  IrohAdmission,
  IrohBinding,
  IrohCarrierConnection,
  IrohEndpoint,
} from './binding.ts'
export { parseIrohEnvironment } from './config.ts'
export type { IrohOptions, ReflectorSetting } from './config.ts'
export type { P2PRelay, RelaySetting } from '../core/system.ts'
export { IrohConnection, IrohP2P, IrohP2P as BackendP2P } from './iroh-p2p.ts'
export type { IrohCreateOptions, IrohListener } from './iroh-p2p.ts'
export type { RelayEvent, RelayState } from './node-relays.ts'
export type { ReflectorState } from './reflexive-addresses.ts'
export type { BindingSetting } from './select.ts'
