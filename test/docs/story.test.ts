/** The picture in the README is what the program prints: one seed, one hash. It is redrawn by `npm run picture`. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
/** Real time is the one thing in it that differs from run to run. */
const withoutRealTime = (line: string): string => line.replace(/ in [\d.,]+ m?s, /, ' in … ms, ')

test('the picture of the story is up to date', async () => {
  const svg = readFileSync(join(ROOT, 'docs/images/story.svg'), 'utf8')
  const drawn = [...svg.matchAll(/xml:space="preserve">(.*)<\/text>/g)].map((match) =>
    (match[1] ?? '').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  )
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/start.mjs', '--seed', '7'], {
    cwd: ROOT,
    timeout: 30_000,
  })
  // The hash is promised for one major version of Node, and the picture was drawn on this one.
  const major = Number(process.versions.node.split('.')[0])
  const isStable = (line: string): boolean => major === 20 || !line.startsWith('Trace hash')
  const printed = stdout.trimEnd().split('\n')
  expect(drawn.map(withoutRealTime).filter(isStable)).toEqual(printed.map(withoutRealTime).filter(isStable))
})
