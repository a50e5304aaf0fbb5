/**
 * Ambient determinism: importing this module, before any of the application, makes `Date`, timers, `Math.random`,
 * `crypto` and their like belong to the simulated host whose code uses them, so that third-party code runs unmodified
 * and deterministically in a simulation.
 *
 * ```sh
 * node --import @moosicbox/p2p/ambient app.js
 * ```
 *
 * or, for vitest, `setupFiles: ['@moosicbox/p2p/ambient']`.
 *
 * @module
 */
import { installAmbient } from '../runtime/ambient/install.ts'

installAmbient()

export { installAmbient }
export type { InstallOptions } from '../runtime/ambient/install.ts'
