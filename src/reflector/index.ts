/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/reflector`: tells nodes the addresses they are seen from.
 *
 * @module
 */
export { REFLECTOR_ALPN } from '../core/reflector.ts'
export { serveReflector } from './reflector.ts'
export type { Reflector } from './reflector.ts'
