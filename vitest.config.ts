import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const totals = fileURLToPath(new URL('./scripts/vitest-totals.ts', import.meta.url))

export default defineConfig({
  test: {
    reporters: ['default', totals],
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/create-stream-app/templates/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'bench/verifier/src/**/*.test.ts',
      'scripts/**/*.test.ts',
      'docs/*.test.ts',
    ],
    globalSetup: ['scripts/kafka/vitest-setup.ts'],
    // Tests of killed processes and brokers depend on real time: on a busy CI machine one may be run again, and the
    // output names it. Elsewhere a failure is a failure at once.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    // Half of the time goes into waiting for sessions and processes to end: two files at a time, also on two cores.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
