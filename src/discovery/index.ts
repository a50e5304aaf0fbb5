/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Sources of addresses for names and ids.
 *
 * @module
 */
export { StaticDiscovery } from './static-discovery.ts'
export type { StaticDiscoveryOptions, StaticName } from './static-discovery.ts'
