import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: [`${import.meta.dirname}/*.check.ts`],
    setupFiles: process.env.SETUP_FILES?.split(',') ?? [],
    pool: process.env.POOL === 'threads' ? 'threads' : 'forks',
  },
})
