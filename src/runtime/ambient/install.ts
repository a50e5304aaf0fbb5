/**
 * Installing and removing the globals of simulated hosts. Outside of hosts' code everything stays real.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import { patchClocks } from './clocks.ts'
import { patchConsole } from './console.ts'
import { loadedApplicationFiles } from './loaded.ts'
import { Patches } from './patches.ts'
import { patchRandomness } from './randomness.ts'
import { patchRealWork } from './real-work.ts'
import { ambientScope } from './scope.ts'
import { patchTimers } from './timers.ts'

/** More than anyone reads. */
const MAX_FILES_TOLD = 5

/** Options of {@link installAmbient}. */
export interface InstallOptions {
  /**
   * Whether to go on although the application has loaded modules already, which may have captured the real globals.
   * @default false
   */
  readonly evenIfLate?: boolean | undefined
}

/**
 * Makes clocks, timers and randomness of this thread those of the host whose code is running, whoever asks: third-party
 * code runs unmodified and deterministically. Everything stays real outside of hosts' code. Does nothing when it was
 * done already.
 *
 * @returns takes everything back
 * @throws P2PError `invalid-configuration` when modules of the application were loaded before
 */
export function installAmbient(options: InstallOptions = {}): Disposable {
  const scope = ambientScope()
  if (!scope.isInstalled) {
    if (options.evenIfLate !== true) checkEarly()
    const patches = new Patches()
    patchClocks(patches)
    patchTimers(patches)
    patchRandomness(patches)
    patchRealWork(patches)
    patchConsole(patches)
    patches.publish()
    scope.isInstalled = true
    scope.uninstall = (): void => {
      patches.restore()
      scope.isInstalled = false
      scope.uninstall = undefined
    }
  }
  return { [Symbol.dispose]: (): void => scope.uninstall?.() }
}

/**
 * Guards timers and real work against hosts that have no globals of their own, from now on: what takes a function out of
 * a module of Node before this goes on using the real one. Taking the guards away and putting
 * them back would take milliseconds a run, so they stay; outside of hosts' code they cost a look at a variable.
 */
export function installGuards(): void {
  const scope = ambientScope()
  if (scope.isInstalled || scope.isGuarded) return
  scope.isGuarded = true
  const patches = new Patches()
  patchTimers(patches)
  patchRealWork(patches)
  patches.publish()
}

function late(why: string): P2PError {
  const message =
    `the globals of hosts are installed too late, as ${why}: start with \`node --import @moosicbox/p2p/ambient\` before ` +
    'any other --import, or name @moosicbox/p2p/ambient first among the setupFiles of vitest'
  return P2PError.of('invalid-configuration', message, { setting: 'ambient', value: 'late' })
}

/** Whoever was loaded before may have captured the real globals, and would go on using them unseen. */
function checkEarly(): void {
  const files = loadedApplicationFiles()
  if (files.length === 0) return
  const told = files.slice(0, MAX_FILES_TOLD).join(', ')
  const more = files.length > MAX_FILES_TOLD ? ` and ${files.length - MAX_FILES_TOLD} more` : ''
  throw late(`these were loaded before and may have captured the real ones: ${told}${more}`)
}
