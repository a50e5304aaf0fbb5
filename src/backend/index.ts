/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/backend`: for authors of backends. A backend brings a carrier, which moves bytes over connections as QUIC
 * has them; the engine makes nodes of it, with messages, kinds of streams, limits and graceful ends. Whether it keeps
 * the contract, the suite of `@moosicbox/p2p/testing` tells. `examples/memory-backend` is one.
 *
 * Unstable: it follows the engine's needs from one minor version to the next.
 *
 * @module
 */
export type {
  CarrierCapabilities,
  CarrierClose,
  CarrierConnection,
  CarrierEndpoint,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
  CarrierTarget,
} from '../core/carrier.ts'
export { resolveLimits } from '../core/config.ts'
export { EngineConnection } from '../core/engine/connection.ts'
export { EngineListener } from '../core/engine/listener.ts'
export { EngineNode } from '../core/engine/node.ts'
export type { NodeOptions } from '../core/engine/node.ts'
export type { Session } from '../core/engine/session.ts'
