#!/usr/bin/env node
// Usage: pack-native.mjs TARGET | pack-native.mjs --depend
// Makes the npm package of one platform (build/native/npm/<platform>) of the addon that native/build.mjs has built for
// that target of Rust; or, with --depend, names all platforms' packages in package.json, which is done for a release
// only, as they exist once that is published.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MANIFEST = join(ROOT, 'package.json')

const PLATFORMS = {
  'x86_64-unknown-linux-gnu': { name: 'linux-x64-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  'x86_64-unknown-linux-musl': { name: 'linux-x64-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  'aarch64-unknown-linux-gnu': { name: 'linux-arm64-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'aarch64-unknown-linux-musl': { name: 'linux-arm64-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  'x86_64-apple-darwin': { name: 'darwin-x64', os: 'darwin', cpu: 'x64' },
  'aarch64-apple-darwin': { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64' },
  'x86_64-pc-windows-msvc': { name: 'win32-x64-msvc', os: 'win32', cpu: 'x64' },
  'aarch64-pc-windows-msvc': { name: 'win32-arm64-msvc', os: 'win32', cpu: 'arm64' },
}

const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8'))
const target = process.argv[2]
if (target === '--depend') {
  for (const { name } of Object.values(PLATFORMS)) {
    manifest.optionalDependencies[`${manifest.name}-${name}`] = manifest.version
  }
  writeFileSync(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`)
  process.exit(0)
}
const platform = PLATFORMS[target]
if (!platform) {
  console.error(`usage: pack-native.mjs TARGET, one of ${Object.keys(PLATFORMS).join(', ')}; or --depend`)
  process.exit(2)
}
const { name, os, cpu, libc } = platform
const directory = join(ROOT, 'build/native/npm', name)
mkdirSync(directory, { recursive: true })
cpSync(join(ROOT, 'build/native/p2p.node'), join(directory, 'p2p.node'))
for (const file of ['LICENSE-MIT', 'LICENSE-APACHE']) cpSync(join(ROOT, file), join(directory, file))
const own = {
  name: `${manifest.name}-${name}`,
  version: manifest.version,
  description: `The native door of ${manifest.name} to iroh, for ${name}`,
  license: manifest.license,
  main: 'p2p.node',
  files: ['p2p.node', 'LICENSE-MIT', 'LICENSE-APACHE'],
  os: [os],
  cpu: [cpu],
  ...(libc && { libc: [libc] }),
  engines: manifest.engines,
}
writeFileSync(join(directory, 'package.json'), `${JSON.stringify(own, null, 2)}\n`)
console.log(directory)
