/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p`: applications that talk device to device. Which network carries them is decided when the program
 * starts: `node app.js` simulates one, `node --conditions=iroh app.js` uses iroh's QUIC.
 *
 * @module
 */
export { P2PAddress } from './core/address.ts'
export { buggify } from './core/buggify.ts'
export { DEFAULT_LIMITS, parseDuration, parseSeed, parseSimulatorConfig } from './core/config.ts'
export type { P2PLimits, SimulatorConfig } from './core/config.ts'
export type {
  CloseInfo,
  ConnectionStats,
  P2PConnection,
  P2PPath,
  P2PPathChange,
  StreamKind,
  StreamOptions,
} from './core/connection.ts'
export { P2PError } from './core/errors.ts'
export type { P2PErrorCode, P2PErrorFields, P2PErrorOf } from './core/errors.ts'
export { followRotations, KeyRotation } from './core/key-rotation.ts'
export { SigningKey, testNodeId, testSigningKey, verifySignature } from './core/keys.ts'
export { describeNetwork } from './core/network-report.ts'
export type { NatKind, NetworkReport, ReflectorReport, RelayReport } from './core/network-report.ts'
export { NodeId } from './core/node-id.ts'
export type { P2PNodeId } from './core/node-id.ts'
export type { Runtime, RuntimeFile, RuntimeFileEntry, RuntimeFileSystem, RuntimeTimer } from './core/runtime.ts'
export type { P2PReceiveStream, P2PSendStream, P2PStream, WaitOptions } from './core/stream.ts'
export { P2P_ALPN } from './core/system.ts'
export type {
  Authorize,
  ConnectOptions,
  CreateOptions,
  ListenOptions,
  P2PDiscovery,
  P2PListener,
  P2PRelay,
  P2PSystem,
  RegisterOptions,
  RelaySetting,
} from './core/system.ts'
export { DefaultP2P } from './default-p2p.ts'
export {
  DEFAULT_MAX_BUFFERED_BYTES,
  DEFAULT_POOL_LIMITS,
  DEFAULT_SERVER_LIMITS,
  NODE_ID_HEADER,
  P2P_HOST,
  P2PBody,
  P2PClientResponse,
  P2PHeaders,
  P2PRequest,
  P2PResponse,
  P2PRouter,
  REQUEST_CODE,
  RequestPool,
  fetch,
  health,
  request,
  serve,
} from './router/index.ts'
export type {
  ByteSource,
  FileOptions,
  P2PApp,
  P2PBodyOptions,
  P2PClientRequest,
  P2PFetchApp,
  P2PFetchEnvironment,
  P2PFetchInit,
  P2PHandler,
  P2PHealth,
  P2PHeadersInit,
  P2PMiddleware,
  P2PParams,
  P2PPeer,
  P2PQueryInit,
  P2PRequestBody,
  P2PRequestInit,
  P2PResponseBody,
  P2PResponseInit,
  P2PServer,
  P2PService,
  RequestPoolLimits,
  ServeOptions,
  ServerCloseOptions,
  ServerErrorContext,
  ServerLimits,
  ServerStats,
} from './router/index.ts'
export { RealRuntime, realRuntime, SecretKey } from './runtime/index.ts'
