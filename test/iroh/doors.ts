/**
 * The doors that can be tested here.
 *
 * @module
 */
import { P2PError } from '../../src/core/errors.ts'
import type { IrohBinding } from '../../src/iroh/binding.ts'
import { loadAddon } from '../../src/iroh/native/addon.ts'
import { nativeBinding } from '../../src/iroh/native/binding.ts'
import { officialBinding } from '../../src/iroh/official/binding.ts'

/** A door under test. */
export interface Door {
  readonly name: 'native' | 'official'
  readonly binding: () => IrohBinding
}

/** Whether the native door is here; else one line says what to do. */
export const NATIVE_DOOR: { readonly here: boolean; readonly why: string } = look()

function look(): { readonly here: boolean; readonly why: string } {
  try {
    loadAddon()
    return { here: true, why: '' }
  } catch (error) {
    if (!P2PError.is(error, 'unsupported')) throw error
    return { here: false, why: `the native door: ${error.message}` }
  }
}

const OFFICIAL: Door = { name: 'official', binding: () => officialBinding() }
const NATIVE: Door = { name: 'native', binding: () => nativeBinding() }

/** The doors that are here. */
export const DOORS: readonly Door[] = NATIVE_DOOR.here ? [OFFICIAL, NATIVE] : [OFFICIAL]
