/**
 * The real runtime: this machine's clock, timers, randomness, files and secret keys.
 *
 * @module
 */
export { RealRuntime, realRuntime } from './real-runtime.ts'
export { SecretKey } from './secret-key.ts'
