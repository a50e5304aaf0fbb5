/**
 * Every example in the documentation is compiled and run: `@example` blocks of public items, and the `ts` and `js`
 * blocks of README.md and docs/. What a line says it prints (`console.log(x) // text`) is compared with what it prints.
 * A block marked `ts fragment` only illustrates and is neither.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const OUT = join(ROOT, 'build/doc-examples')

interface Example {
  readonly name: string
  readonly code: string
}

function files(folder: string, extension: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(extension))
    .sort()
    .map((file) => join(folder, file))
}

function fenced(text: string): string[] {
  return [...text.matchAll(/^```(?:ts|js)\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? '')
}

function collect(): Example[] {
  const documents = ['README.md', ...files('docs', '.md')].flatMap((file) =>
    fenced(readFileSync(join(ROOT, file), 'utf8')).map((code, i) => ({ name: `${file} #${i + 1}`, code })),
  )
  const comments = files('src', '.ts').flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\/\*\*[\s\S]*?\*\//g)]
      .map((match) => match[0].replaceAll(/^\s*\* ?/gm, ''))
      .filter((comment) => comment.includes('@example'))
      .flatMap((comment) => fenced(comment))
      .map((code, i) => ({ name: `${file} #${i + 1}`, code })),
  )
  return [...documents, ...comments]
}

/** What the example says that it prints. */
function expected(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map((match) => (match[1] ?? '').trim())
}

const examples = collect()
const moduleOf = (i: number): string => `example-${String(i).padStart(3, '0')}`

describe('documentation', () => {
  beforeAll(() => {
    rmSync(OUT, { recursive: true, force: true })
    mkdirSync(OUT, { recursive: true })
    for (const [i, { name, code }] of examples.entries()) {
      writeFileSync(join(OUT, `${moduleOf(i)}.ts`), `// ${name}\nexport {}\n${code}`)
    }
    const config = {
      extends: '../../tsconfig.base.json',
      compilerOptions: { noUnusedLocals: false },
      include: ['*.ts'],
    }
    writeFileSync(join(OUT, 'tsconfig.json'), JSON.stringify(config))
    try {
      execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', OUT], { encoding: 'utf8' })
    } catch (error) {
      throw new Error(`the examples do not compile:\n${(error as { stdout: string }).stdout}`, { cause: error })
    }
  })

  test('there are examples', () => {
    expect(examples.length).toBeGreaterThan(4)
  })

  for (const [i, { name, code }] of examples.entries()) {
    test(`${relative('.', name)} runs and prints what it says`, async () => {
      const preload = code.includes('ambient: true') ? ['--import', '@moosicbox/p2p/ambient'] : []
      const { stdout } = await promisify(execFile)(process.execPath, [...preload, join(OUT, `${moduleOf(i)}.js`)], {
        cwd: OUT,
        timeout: 20_000,
      })
      const lines = stdout.split('\n').filter((line) => line !== '')
      const said = expected(code)
      expect(lines.slice(0, said.length)).toEqual(said)
    })
  }
})
