#!/usr/bin/env node
// Usage: other-nodes.mjs COMMAND [ARG…]
// Runs a command with OTHER_NODES naming newer releases of Node, which are fetched from npm into a temporary folder: the
// tests of determinism then compare their histories too. Where npm has none for this machine the command just runs.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const RELEASES = ['22', '24']

const [command, ...args] = process.argv.slice(2)
if (command === undefined) {
  console.error('usage: other-nodes.mjs COMMAND [ARG…]')
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'other-nodes-'))
try {
  const names = RELEASES.map((release) => `n${release}@npm:node-${process.platform}-${process.arch}@${release}`)
  const npm = ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...names]
  spawnSync('npm', npm, { stdio: ['ignore', 'ignore', 'inherit'], cwd: folder })
  const paths = RELEASES.map((release) => join(folder, 'node_modules', `n${release}`, 'bin/node')).filter((path) =>
    existsSync(path),
  )
  console.error(`other Nodes: ${paths.length === 0 ? 'none' : RELEASES.join(', ')}`)
  const env = { ...process.env, OTHER_NODES: paths.join(',') }
  const { status } = spawnSync(command, args, { stdio: 'inherit', env })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true })
}
