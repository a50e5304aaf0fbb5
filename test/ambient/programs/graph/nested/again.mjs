// Imports the same module from another place: it must be the same instance.
export { count } from '../state.mjs'
