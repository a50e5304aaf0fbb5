/**
 * The variables of modules that functions can get at, exported or not, and which of them change.
 *
 * Only V8's inspector knows them: every function tells its scopes, the outermost of which is its module's, and what is
 * found there leads to other functions. This side of it is slow, and for a single run.
 *
 * @module
 */
import { Session } from 'node:inspector'
import type { Runtime } from 'node:inspector'

/** A variable of a module. */
export interface ModuleVariable {
  readonly name: string
  /** The path or URL of the module. */
  readonly module: string
}

type AnyFunction = (...args: never[]) => unknown

/** A scope, or something else that is fetched from the inspector: its variables by name. */
type Values = Readonly<Record<string, unknown>>

interface Module {
  readonly url: string
  /** A function of it, by which its variables are read again and again. */
  readonly functionId: string
  values: ReadonlyMap<string, string>
}

const SINK = Symbol.for('@moosicbox/p2p/module-state')
const SINK_TEXT = `globalThis[Symbol.for(${JSON.stringify(SINK.description)})]`
/** Modules of the application that are looked at. */
const MAX_MODULES = 200
/** Values that are followed to find them. */
const MAX_FOLLOWED = 20_000
/** How deep in objects, and how many values of one variable, a change is seen. */
const MAX_DEPTH = 6
const MAX_VALUES = 2_000
/** How vite names what a module imports. */
const VITE_IMPORT = /^__vi_import_\d+__$/

/** This library itself, whose state belongs to the process. */
const LIBRARY = new URL('..', import.meta.url).href
/** Those who run tests, and what tests are written with. */
const TESTS = /\/node_modules\/(?:@vitest|vitest|vite|chai|tinyspy|fast-check)\//

function isOfApplication(url: string): boolean {
  const href = url.startsWith('/') ? `file://${url}` : url
  return href !== '' && !href.startsWith('node:') && !href.startsWith(LIBRARY) && !TESTS.test(href)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** What an object leads to. */
function* partsOf(value: object): Generator {
  if (value instanceof Map) for (const entry of value as Map<unknown, unknown>) yield* entry
  else if (value instanceof Set || Array.isArray(value)) yield* value as Iterable<unknown>
  else if (!ArrayBuffer.isView(value)) {
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(value))) yield descriptor.value
  }
}

/** The variables of all modules that some functions can get at; see the module's comment. */
export class ModuleState implements Disposable {
  readonly #session = new Session()
  readonly #sink: { value?: unknown } = {}
  /** URLs of scripts by their ids. */
  readonly #scripts = new Map<string, string>()
  readonly #modules = new Map<string, Module>()
  /** Functions, by whether they are the application's. */
  readonly #functions = new Map<unknown, boolean>()
  readonly #ids = new WeakMap<object, number>()
  #nextId = 1

  /** Begins with what `functions` can get at now. */
  constructor(functions: readonly AnyFunction[]) {
    Object.defineProperty(globalThis, SINK, { value: this.#sink, configurable: true })
    this.#session.connect()
    this.#session.on('Debugger.scriptParsed', ({ params }) => this.#scripts.set(params.scriptId, params.url))
    this.#post('Debugger.enable')
    this.#find(functions)
    this.#post('Debugger.disable')
    this.changes()
  }

  /** What has changed since the last call. */
  changes(): ModuleVariable[] {
    const changed: ModuleVariable[] = []
    for (const module of this.#modules.values()) {
      const values = new Map<string, string>()
      for (const [name, value] of Object.entries(this.#read(module.functionId))) {
        if (typeof value !== 'function' && !VITE_IMPORT.test(name)) values.set(name, this.#digest(value))
      }
      for (const [name, digest] of values) {
        const before = module.values.get(name)
        if (before !== undefined && before !== digest) changed.push({ name, module: module.url })
      }
      module.values = values
    }
    return changed
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
    Reflect.deleteProperty(globalThis, SINK)
  }

  #post(method: string, params: object = {}): never {
    let outcome: unknown
    let failure: Error | null = null
    this.#session.post(method, params, (error, result) => {
      failure = error
      outcome = result
    })
    if (failure) throw new Error(`${method}: ${(failure as Error).message}`)
    return outcome as never
  }

  #properties(objectId: string): Runtime.GetPropertiesReturnType {
    return this.#post('Runtime.getProperties', { objectId, ownProperties: true })
  }

  /** The object behind an id of the inspector's. */
  #fetch(objectId: string): unknown {
    this.#post('Runtime.callFunctionOn', { objectId, functionDeclaration: `function () { ${SINK_TEXT}.value = this }` })
    return this.#sink.value
  }

  #idOf(value: unknown): string {
    this.#sink.value = value
    const { result } = this.#post('Runtime.evaluate', {
      expression: `${SINK_TEXT}.value`,
    }) as Runtime.EvaluateReturnType
    return result.objectId as string
  }

  /** The variables of a scope now. */
  #variables(scopeId: string): Values {
    return (this.#fetch(scopeId) as { readonly object?: Values }).object ?? {}
  }

  /** A function's module, and its scopes from the inner ones to that of the module. */
  #scopesOf(functionId: string): { readonly url: string; readonly scopes: readonly string[] } {
    const { internalProperties = [] } = this.#properties(functionId)
    const internal = (name: string): Runtime.RemoteObject | undefined =>
      internalProperties.find((property) => property.name === name)?.value
    const location = internal('[[FunctionLocation]]')?.value as { readonly scriptId: string } | undefined
    const list = internal('[[Scopes]]')?.objectId
    const found = list === undefined ? [] : this.#properties(list).result
    const scopes: string[] = []
    for (const { value } of found) {
      if (value?.objectId === undefined) continue
      if (/^(Global|Script)/.test(value.description ?? '')) break
      scopes.push(value.objectId)
    }
    return { url: this.#scripts.get(location?.scriptId ?? '') ?? '', scopes }
  }

  /** The variables of a function's module now. */
  #read(functionId: string): Values {
    const last = this.#scopesOf(functionId).scopes.at(-1)
    return last === undefined ? {} : this.#variables(last)
  }

  #find(functions: readonly AnyFunction[]): void {
    const followed = new Set<unknown>()
    // The nearest first.
    const waiting: unknown[] = [...functions]
    for (let next = 0; next < waiting.length && followed.size < MAX_FOLLOWED; next++) {
      const value = waiting[next]
      const isFollowable = (typeof value === 'object' && value !== null) || typeof value === 'function'
      if (!isFollowable || followed.has(value)) continue
      followed.add(value)
      if (typeof value === 'function') waiting.push(...this.#followFunction(value as AnyFunction))
      else waiting.push(...this.#followObject(value))
    }
  }

  #followFunction(value: AnyFunction): unknown[] {
    const id = this.#idOf(value)
    const { url, scopes } = this.#scopesOf(id)
    const isOurs = isOfApplication(url)
    this.#functions.set(value, isOurs)
    if (!isOurs || scopes.length === 0) return []
    const next: unknown[] = []
    const isNew = !this.#modules.has(url)
    if (isNew && this.#modules.size < MAX_MODULES) this.#modules.set(url, { url, functionId: id, values: new Map() })
    // The module's own scope is the same for all of its functions.
    for (const scope of isNew ? scopes : scopes.slice(0, -1)) next.push(...Object.values(this.#variables(scope)))
    return next
  }

  #followObject(value: object): unknown[] {
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return []
    const isModule = Object.prototype.toString.call(value) === '[object Module]'
    if (isModule || isPlain(value)) return Object.keys(value).map((key) => read(value, key))
    if (value instanceof Map || value instanceof Set || Array.isArray(value)) return [...partsOf(value)]
    const { constructor } = value as { readonly constructor?: unknown }
    if (typeof constructor !== 'function') return []
    if (!this.#functions.has(constructor)) {
      this.#functions.set(constructor, isOfApplication(this.#scopesOf(this.#idOf(constructor)).url))
    }
    return this.#functions.get(constructor) === true ? [constructor, ...partsOf(value), ...this.#privateOf(value)] : []
  }

  #privateOf(value: object): unknown[] {
    const { privateProperties = [] } = this.#properties(this.#idOf(value)) as Runtime.GetPropertiesReturnType & {
      readonly privateProperties?: readonly { readonly value?: Runtime.RemoteObject }[]
    }
    return privateProperties.map(({ value: one }) =>
      one?.objectId === undefined ? one?.value : this.#fetch(one.objectId),
    )
  }

  /** What tells a value from another, as far as it belongs to the variable and not to somebody else. */
  #digest(value: unknown): string {
    const words: string[] = []
    const seen = new Set<object>()
    const add = (part: unknown, depth: number): void => {
      if (words.length >= MAX_VALUES) return
      if (typeof part === 'function' || (typeof part === 'object' && part !== null)) addObject(part, depth)
      else words.push(`${typeof part}:${String(part)}`)
    }
    const addObject = (part: object, depth: number): void => {
      words.push(`#${this.#numberOf(part)}`)
      if (typeof part === 'function' || seen.has(part) || depth >= MAX_DEPTH) return
      seen.add(part)
      if (part instanceof Date) words.push(String(part.getTime()))
      else if (ArrayBuffer.isView(part)) words.push(bytesOf(part))
      else if (isPlain(part)) words.push(...Object.keys(part))
      const isOpen = isPlain(part) || part instanceof Map || part instanceof Set || Array.isArray(part)
      const isOurs = !isOpen && this.#functions.get((part as { readonly constructor?: unknown }).constructor) === true
      if (isOpen || isOurs) for (const inner of partsOf(part)) add(inner, depth + 1)
      if (isOurs) for (const inner of this.#privateOf(part)) add(inner, depth + 1)
    }
    add(value, 0)
    return words.join(' ')
  }

  /** Every object has a number of its own. */
  #numberOf(value: object): number {
    const known = this.#ids.get(value)
    if (known !== undefined) return known
    this.#ids.set(value, this.#nextId)
    return this.#nextId++
  }
}

function read(from: object, key: string): unknown {
  try {
    return (from as Values)[key]
  } catch {
    // Not initialised yet.
    return undefined
  }
}

function bytesOf(view: ArrayBufferView): string {
  return Buffer.from(view.buffer, view.byteOffset, Math.min(view.byteLength, MAX_VALUES)).toString('latin1')
}
