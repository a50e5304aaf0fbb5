// State of a module, some of which is made when it is loaded.
let calls = 0
export const since = Date.now()
export const drawn = Math.random()
export const count = () => ++calls
