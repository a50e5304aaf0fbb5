import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import type { TestProjectInlineConfiguration } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

/** Everything that has sockets of this machine, its namespaces, or programs that talk: one file at a time. */
const NETWORK = [
  'test/contract/{iroh,iroh-native,real-internet}.test.ts',
  'test/discovery/{dht,dns,pkarr}.test.ts',
  'test/examples/{chat,deploy,file-transfer,music-cli}.test.ts',
  'test/{interop,iroh,natlab,package,relay}/**/*.test.ts',
  'test/router/backends.test.ts',
  'test/runtime/*.test.ts',
]
/** What changes nothing that outlives it, so that files share a process, and what they load. */
const PURE = [
  'test/contract/{example-memory,memory,simulator}.test.ts',
  'test/{core,discovery,engine,faults,fidelity,reflector,router}/**/*.test.ts',
  'test/simulator/{diagram,network,paths,tcp,transport}/**/*.test.ts',
]
/** As many as a machine with two cores has; each of them is busy throughout. */
const BUSY = 2

function project(name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { extends: true, test: { name, ...test } }
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@moosicbox\/p2p$/, replacement: source('index.ts') },
      { find: /^@moosicbox\/p2p\/([\w/]+)$/, replacement: source('$1/index.ts') },
      { find: '#backend', replacement: source('simulator/index.ts') },
    ],
  },
  test: {
    setupFiles: ['test/support/artifacts.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: { provider: 'v8', include: ['src/**'] },
    projects: [
      project('pure', { include: PURE, exclude: NETWORK, isolate: false, maxWorkers: BUSY }),
      project('alone', { include: ['test/**/*.test.ts'], exclude: [...PURE, ...NETWORK], maxWorkers: BUSY }),
      project('network', { include: NETWORK, fileParallelism: false, sequence: { groupOrder: 1 } }),
    ],
  },
})
