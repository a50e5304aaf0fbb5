/**
 * Checks of options as a whole, before any of them is looked at: what is misspelt would else be ignored.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../core/config.ts'

/** The names of all fields of `Options`; the compiler sees to it that none is missing. */
export function fieldsOf<Options extends object>(fields: Readonly<Record<keyof Options, true>>): readonly string[] {
  return Object.freeze(Object.keys(fields))
}

/**
 * Checks that `options` is an object with none but `known` fields, and none that is null.
 *
 * @param what - whose options they are, as messages begin
 * @throws P2PError `invalid-configuration`
 */
export function checkFields(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidConfiguration(`options of ${what}`, options, 'must be an object')
  }
  checkOptions(what, options, known)
  for (const [field, value] of Object.entries(options)) {
    if (value === null) throw invalidConfiguration(`${what}: ${field}`, value, 'leave it out for its default')
  }
}
