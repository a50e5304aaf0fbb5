// Packs the package, installs it into an empty project, type-checks and runs the README's smallest example there on
// both backends. What a user gets is what is tested, not the work tree.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const project = mkdtempSync(join(tmpdir(), 'p2p-package-'))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** Files that a user has no use for must not be in the tarball; these must. */
const FORBIDDEN = /^(?:src|test|bench|examples|scripts|build|coverage)\/|\.tsbuildinfo$/
const REQUIRED = [
  'package.json',
  'README.md',
  'LICENSE-MIT',
  'LICENSE-APACHE',
  'CHANGELOG.md',
  'dist/index.js',
  'dist/index.d.ts',
]

/** Every door but `/testing`, which needs fast-check. */
const SUBPATHS = ['', '/simulator', '/iroh', '/discovery', '/trace', '/backend']

function run(command, args, cwd = project) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'inherit'] })
}

function check(condition, message) {
  if (!condition) throw new Error(message)
}

function smallestExample() {
  const block = /```js\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  check(block, 'README.md has no ```js block to run')
  return block[1]
}

try {
  // The build is up to date and `prepare` would print into npm's JSON.
  const [packed] = JSON.parse(run(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', project], root))
  const files = packed.files.map((file) => file.path)
  const extra = files.filter((file) => FORBIDDEN.test(file))
  check(extra.length === 0, `the tarball holds files no user needs: ${extra.join(', ')}`)
  for (const file of REQUIRED) check(files.includes(file), `the tarball lacks ${file}`)

  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  run(npm, ['install', '--no-audit', '--no-fund', `./${packed.filename}`])
  writeFileSync(join(project, 'hello.mjs'), smallestExample())
  writeFileSync(join(project, 'hello.mts'), smallestExample())
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  // The plainest project there is: no settings, no @types/node, and the types of the library are checked too.
  writeFileSync(join(project, 'doors.mts'), SUBPATHS.map((path) => `import '@moosicbox/p2p${path}'`).join(';'))
  const flags = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext']
  run(process.execPath, [tsc, ...flags, 'hello.mts', 'doors.mts'])
  for (const [condition, backend] of [
    ['default', 'simulator'],
    ['iroh', 'iroh'],
  ]) {
    const isolated = join(root, 'scripts', 'isolated.mjs')
    const output = run(process.execPath, [isolated, process.execPath, `--conditions=${condition}`, 'hello.mjs'])
    check(output.includes(backend) && output.includes('hello, world'), `the example printed on ${condition}: ${output}`)
    console.log(`${condition}: ${output.trim()}`)
  }
  console.log(`package: ${files.length} files, ${Math.round(packed.unpackedSize / 1024)} KiB unpacked`)
} finally {
  rmSync(project, { recursive: true, force: true })
}
