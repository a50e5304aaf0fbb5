/**
 * What the server of the story is called.
 *
 * @module
 */

/** The name under which the player finds the server. */
export const HOME = 'home'
