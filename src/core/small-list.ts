/**
 * Lists that mostly hold one entry, of which there are many.
 *
 * @module
 */

/** `list` with `item` behind it, as a list that has no room for more: pushing, or spreading an empty one, makes room for many. */
export function appended<T>(list: readonly T[], item: T): readonly T[] {
  return list.length === 0 ? [item] : [...list, item]
}
