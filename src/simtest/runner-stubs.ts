/**
 * What stands in for a test runner in a worker that loads a test file for the sake of one scenario in it: groups are
 * entered, so that what is inside of them is found, and no test is run.
 *
 * @module
 */

type AnyFunction = (...args: readonly unknown[]) => unknown

/** Hooks that the file has registered, by name: what they prepare would be missing. */
const used = new Set<string>()
/** Groups whose bodies are not over. */
const entered: Promise<unknown>[] = []

/** Which hooks that prepare tests have been registered. */
export function hooksUsed(): string[] {
  return [...used]
}

/** Waits until the bodies of all groups are over. */
export async function groupsEntered(): Promise<void> {
  for (const group of entered) await group
}

function lastFunction(args: readonly unknown[]): AnyFunction | undefined {
  return args.findLast((arg) => typeof arg === 'function') as AnyFunction | undefined
}

/**
 * `act`, with everything on it that test functions have on them: `test.skip`, `describe.each(table)(…)`, and so on, which
 * all do the same.
 */
function chainable(act: (args: readonly unknown[]) => void): AnyFunction {
  const stub: AnyFunction = new Proxy((): void => {}, {
    apply: (_target, _self, args: readonly unknown[]) => {
      act(args)
      return stub
    },
    // Whoever awaits it must not take it for a promise.
    get: (_target, key) => (key === 'then' ? undefined : stub),
  })
  return stub
}

/** In place of `test` and `it`. */
export const ignored: AnyFunction = chainable(() => {})

/** In place of `describe` and `suite`. */
export const group: AnyFunction = chainable((args) => {
  const body = lastFunction(args)
  if (body) entered.push(Promise.resolve(body()))
})

/** In place of a hook that prepares tests. */
export function hook(name: string): AnyFunction {
  return chainable(() => used.add(name))
}
