/** Replay files of tests that fail on purpose: each worker of vitest has a folder of its own. */
process.env['SIMULATOR_ARTIFACTS'] ??= `build/simtest/${process.env['VITEST_POOL_ID'] ?? 'one'}`
