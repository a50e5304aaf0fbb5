import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@moosicbox\/p2p$/, replacement: source('index.ts') },
      { find: /^@moosicbox\/p2p\/([\w/]+)$/, replacement: source('$1/index.ts') },
      { find: '#backend', replacement: source('simulator/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    env: { SIMULATOR_ARTIFACTS: 'build/simtest' },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: { provider: 'v8', include: ['src/**'] },
  },
})
