/** An application whose module has state of all kinds, none of it exported. */

let counter = 0
let lastName = ''
const cache = new Map<string, number>()
const settings = { greeting: { text: 'hello' } }
const table = Object.freeze({ a: 1 })
const buffer = new Uint8Array(8)

class Ledger {
  readonly #entries: string[] = []
  #last = ''

  add(entry: string): void {
    this.#entries.push(entry)
  }

  note(entry: string): void {
    this.#last = entry
  }

  get last(): string {
    return this.#last
  }
}
const ledger = new Ledger()
const notes = new Ledger()

export const count = (): number => ++counter
export const cacheName = (name: string): void => void cache.set(name, table.a)
export const greetWith = (text: string): void => void (settings.greeting.text = text)
export const record = (name: string): void => ledger.add(name)
export const note = (name: string): void => notes.note(name)
export const fill = (name: string): void => void buffer.fill(name.length)
/** One host alone writes it. */
export const rememberLast = (name: string): void => void (lastName = `${name}${lastName}`)
/** Reads alone. */
export const look = (): string => `${table.a} ${cache.size} ${notes.last}`
