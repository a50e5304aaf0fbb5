/** The command that messages name is one that a project has which has installed the package. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BUILD_NATIVE } from '../../src/iroh/binding.ts'
import { loadAddon } from '../../src/iroh/native/addon.ts'

const ROOT = join(import.meta.dirname, '../..')

test('where the native door is missing, the message names a program that the package contains', () => {
  const { name, files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly name: string
    readonly files: readonly string[]
  }
  const program = /^node node_modules\/([^\s,]+)/.exec(BUILD_NATIVE)?.[1]
  expect(program).toBe(`${name}/native/build.mjs`)
  expect(files).toContain('native/build.mjs')
  const missing = (): never => {
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' })
  }
  expect(() => loadAddon(missing, undefined)).toThrow(BUILD_NATIVE)
})
