// Packs the package, installs it into an empty project, type-checks and runs the README's smallest example there on
// both backends, a simTest under node:test and vitest, a sweep, and the reader of traces. What a user gets is what is tested, not the work tree.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const project = mkdtempSync(join(tmpdir(), 'p2p-package-'))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx'

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
  // What builds the native door.
  'native/build.mjs',
  'native/build-lock.mjs',
  'native/locked-crate.mjs',
  'native/build.rs',
  'native/Cargo.toml',
  'native/Cargo.lock',
  'native/src/lib.rs',
]

/** Every door but `/testing`, which needs fast-check. */
const SUBPATHS = [
  '',
  '/simulator',
  '/iroh',
  '/discovery',
  '/reflector',
  '/relay',
  '/trace',
  '/backend',
  '/simtest',
  '/ambient',
]

const SCENARIO = `
import { scenario } from '@moosicbox/p2p/simtest'
export const sleepers = scenario('two sleepers wake', { seeds: 5, faults: 'calm' }, async (sim) => {
  let awake = 0
  for (const name of ['a', 'b']) {
    sim.host(name, async ({ runtime }) => {
      await runtime.sleep(1000)
      awake++
    })
  }
  await sim.until('both wake', () => awake === 2)
  if (process.env.BROKEN) throw new Error('broken on purpose')
})
`
const TEST = `
import { simTest } from '@moosicbox/p2p/simtest'
import { sleepers } from './sleepers.mjs'
await simTest(sleepers)
`

function run(command, args, cwd = project) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'inherit'] })
}

function check(condition, message) {
  if (!condition) throw new Error(message)
}

/** Runs what has to fail, and gives what it has printed. */
function runBroken(args) {
  const env = { ...process.env, BROKEN: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: project,
    encoding: 'utf8',
    timeout: 120_000,
    env,
  })
  check(status === 1, `${args.join(' ')} ended with ${status}: ${stdout}${stderr}`)
  return stdout + stderr
}

/** The testing kit, as a user has it. */
function checkTestingKit() {
  writeFileSync(join(project, 'sleepers.mjs'), SCENARIO)
  writeFileSync(join(project, 'sleepers.test.mjs'), TEST)
  // Their runner is the one that is here already.
  symlinkSync(join(root, 'node_modules', 'vitest'), join(project, 'node_modules', 'vitest'), 'junction')
  const vitest = join(project, 'node_modules', 'vitest', 'vitest.mjs')
  for (const args of [
    ['--test', 'sleepers.test.mjs'],
    [vitest, 'run', '--root', project],
  ]) {
    const output = run(process.execPath, args)
    check(/pass 1\b|1 passed/.test(output), `${args.join(' ')} printed: ${output}`)
    check(runBroken(args).includes('broken on purpose'), `${args.join(' ')} does not say what failed`)
  }
  const traces = readdirSync(join(project, '.simtest')).filter((name) => name.endsWith('.p2ptrace'))
  check(traces.length > 0, 'a failing simTest leaves no trace')
  const told = run(npx, ['--no-install', 'p2p-trace', join('.simtest', traces[0])])
  check(told.includes('program'), `p2p-trace printed: ${told.slice(0, 500)}`)
  run(npx, ['--no-install', 'p2p-sim', 'sweep', 'sleepers.mjs', '--seeds', '20', '--json', 'swept.json'])
  check(run(npx, ['--no-install', 'p2p-sim', 'merge', 'swept.json']).length > 0, 'p2p-sim merge printed nothing')
  console.log('testing kit: node:test, vitest, p2p-sim and p2p-trace run from the package')
}

/** The command that messages and docs name: it finds what it is made of. Building takes minutes, and is not done here. */
function checkNativeBuild() {
  const said = runBroken([join('node_modules', '@moosicbox', 'p2p', 'native', 'build.mjs'), 'nothing'])
  check(said.includes('known are build'), `the build of the native door printed: ${said}`)
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
  checkTestingKit()
  checkNativeBuild()
  console.log(`package: ${files.length} files, ${Math.round(packed.unpackedSize / 1024)} KiB unpacked`)
} finally {
  rmSync(project, { recursive: true, force: true })
}
