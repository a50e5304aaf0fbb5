/**
 * Values for reports.
 *
 * @module
 */

/** A value in few words. */
export function inFewWords(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string')
    return value.name
  if (typeof value === 'function') return value.name || 'a function'
  if (typeof value === 'string') return value
  try {
    const text = JSON.stringify(value)
    return text === undefined ? String(value) : text.length > 60 ? `${text.slice(0, 60)}…` : text
  } catch {
    return String(value)
  }
}
