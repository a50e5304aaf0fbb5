/**
 * Properties of global objects, replaced and put back exactly as they were.
 *
 * @module
 */
import { syncBuiltinESMExports } from 'node:module'

interface Replaced {
  readonly target: object
  readonly key: PropertyKey
  readonly before: PropertyDescriptor | undefined
}

// oxlint-disable-next-line typescript/no-explicit-any -- functions of every shape are wrapped here
export type AnyFunction = (this: any, ...args: any[]) => any

/** A row of replacements. */
export class Patches {
  readonly #replaced: Replaced[] = []

  /** Replaces the property `key`, which keeps its enumerability, if it is there and can be replaced. */
  set(target: object, key: PropertyKey, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(target, key)
    if (before && !before.configurable) {
      if (!before.writable) return
      this.#replaced.push({ target, key, before })
      ;(target as Record<PropertyKey, unknown>)[key] = value
      return
    }
    this.#replaced.push({ target, key, before })
    Object.defineProperty(target, key, {
      value,
      writable: true,
      configurable: true,
      enumerable: before?.enumerable ?? false,
    })
  }

  /** Replaces a getter, if there is one, by what `make` makes of it. */
  wrapGetter(target: object, key: PropertyKey, make: (real: AnyFunction) => AnyFunction): void {
    const before = Object.getOwnPropertyDescriptor(target, key)
    if (!before?.get || !before.configurable) return
    this.#replaced.push({ target, key, before })
    Object.defineProperty(target, key, { ...before, get: make(Reflect.get(before, 'get') as AnyFunction) })
  }

  /**
   * Replaces the function `key`, if there is one, by what `make` makes of it. The new one has the name, the length and
   * all properties of the old.
   */
  wrap(target: object, key: PropertyKey, make: (real: AnyFunction) => AnyFunction): void {
    const real: unknown = Object.getOwnPropertyDescriptor(target, key)?.value
    if (typeof real !== 'function') return
    this.set(target, key, likeOriginal(make(real as AnyFunction), real))
  }

  /** Lets `import { name } from 'node:…'` see what was replaced in Node's modules. */
  publish(): void {
    syncBuiltinESMExports()
  }

  /** Puts everything back. */
  restore(): void {
    for (let last = this.#replaced.pop(); last; last = this.#replaced.pop()) {
      const { target, key, before } = last
      if (!before) Reflect.deleteProperty(target, key)
      else if (before.configurable) Object.defineProperty(target, key, before)
      else (target as Record<PropertyKey, unknown>)[key] = before.value
    }
    syncBuiltinESMExports()
  }
}

/** Gives `wrapper` the look of `real`. */
function likeOriginal(wrapper: AnyFunction, real: object): AnyFunction {
  for (const key of Reflect.ownKeys(real)) {
    if (key === 'prototype' || (Object.hasOwn(wrapper, key) && !['name', 'length'].includes(String(key)))) continue
    const descriptor = Object.getOwnPropertyDescriptor(real, key)
    if (descriptor) Object.defineProperty(wrapper, key, { ...descriptor, configurable: true })
  }
  return wrapper
}
