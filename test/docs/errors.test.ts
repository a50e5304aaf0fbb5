/**
 * Every error of the library has its cause and its cure in the documentation.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8')

test('every code is in the table of docs/native.md, and no other', () => {
  const fields = /interface P2PErrorFields \{(.*?)\n\}/s.exec(read('src/core/errors.ts'))?.[1] ?? ''
  const codes = [...fields.matchAll(/^ {2}'?([a-z-]+)'?: /gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(20)
  const table = /## Errors\n(.*?)\n## /s.exec(read('docs/native.md'))?.[1] ?? ''
  const told = [...table.matchAll(/^\| `([a-z-]+)`/gm)].map(([, code]) => code)
  expect(new Set(told)).toEqual(new Set(codes))
})
