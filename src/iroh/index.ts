/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/iroh`: nodes on iroh, and the backend of `node --conditions=iroh`.
 *
 * @module
 */
export type {
  DoorSettings,
  IrohAccess,
  IrohAdmission,
  IrohBinding,
  IrohCarrierConnection,
  IrohEndpoint,
} from './binding.ts'
export { parseIrohEnvironment } from './config.ts'
export type { IrohOptions, ReflectorSetting, RelaySetting } from './config.ts'
export { IrohConnection, IrohP2P, IrohP2P as BackendP2P } from './iroh-p2p.ts'
export type { IrohCreateOptions, IrohListener } from './iroh-p2p.ts'
export type { ReflectorState } from './reflexive-addresses.ts'
export type { BindingSetting } from './select.ts'
