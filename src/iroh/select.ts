/**
 * Which door to iroh is used: the one that is asked for, else the native one where it is, else the official one, and
 * then one line says what is lost.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import { BUILD_NATIVE } from './binding.ts'
import type { DoorSettings, IrohBinding, IrohEndpoint } from './binding.ts'
import { nativeBinding } from './native/binding.ts'
import { officialBinding } from './official/binding.ts'

/** A door by its name, or one of your own. */
export type BindingSetting = 'native' | 'official' | IrohBinding

/** Said once a process when nobody has chosen and the native door is not there. */
const NO_NATIVE_DOOR =
  'iroh through @number0/iroh: more than ten times slower than the native door, which is not here ' +
  `(build it where Rust is, ${BUILD_NATIVE}, or install its package for this platform); ` +
  "binding: 'official' silences this"

/** Whether the process has been told; a warning a process is what `process.emitWarning` is for. */
let warned = false

/**
 * Opens an endpoint through the door of `setting`.
 *
 * @throws P2PError as `IrohBinding.open`; `unsupported` when the door that is asked for is not there
 */
export async function openBinding(
  setting: BindingSetting | undefined,
  settings: DoorSettings,
  doors: Readonly<Record<'native' | 'official', () => IrohBinding>> = {
    native: () => nativeBinding(),
    official: () => officialBinding(),
  },
): Promise<{ readonly name: string; readonly endpoint: IrohEndpoint }> {
  if (setting !== undefined) {
    const binding = typeof setting === 'string' ? doors[setting]() : setting
    return { name: binding.name, endpoint: await binding.open(settings) }
  }
  try {
    const native = doors.native()
    return { name: native.name, endpoint: await native.open(settings) }
  } catch (error) {
    if (!P2PError.is(error, 'unsupported')) throw error
    const official = doors.official()
    const endpoint = await official.open(settings)
    if (!warned) process.emitWarning(NO_NATIVE_DOOR, { code: 'P2P_OFFICIAL_BINDING' })
    warned = true
    return { name: official.name, endpoint }
  }
}
