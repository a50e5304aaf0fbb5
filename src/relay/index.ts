/**
 * A relay of one's own for iroh endpoints: `@moosicbox/p2p/relay`.
 *
 * @module
 */
export type { RelayMetrics } from './metrics.ts'
export { serveMetrics } from './metrics-server.ts'
export type { RelayMetricsOptions, RelayMetricsServer } from './metrics-server.ts'
export { DEFAULT_RELAY_LIMITS } from './options.ts'
export type {
  RelayAccess,
  RelayAccessCallback,
  RelayAccessRequest,
  RelayAdmission,
  RelayIds,
  RelayLimits,
  RelayOptions,
  RelayRateLimit,
  RelayReflector,
} from './options.ts'
export { RelayServer } from './server.ts'
export type { RelayCloseOptions } from './server.ts'
