/**
 * `node:test` as a worker sees it that looks for one scenario in a test file; see `runner-stubs.ts`.
 *
 * @module
 */
import { group, hook, ignored } from './runner-stubs.ts'

const real = process.getBuiltinModule('node:test') as unknown as Readonly<Record<string, unknown>>

export const test: unknown = ignored
export const it: unknown = ignored
export const describe: unknown = group
export const suite: unknown = group
export const before: unknown = hook('before')
export const beforeEach: unknown = hook('beforeEach')
export const after: unknown = ignored
export const afterEach: unknown = ignored
export const mock: unknown = real['mock']
export const run: unknown = real['run']
export const snapshot: unknown = real['snapshot']
export const assert: unknown = real['assert']

const all: unknown = Object.assign((): void => {}, {
  test,
  it,
  describe,
  suite,
  before,
  beforeEach,
  after,
  afterEach,
  mock,
  run,
  snapshot,
  assert,
  skip: ignored,
  todo: ignored,
  only: ignored,
})
export default all
