import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const totals = fileURLToPath(new URL('./scripts/vitest-totals.ts', import.meta.url))

export default defineConfig({
  test: {
    reporters: ['default', totals],
    include: [
      'packages/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'bench/verifier/src/**/*.test.ts',
      'scripts/**/*.test.ts',
    ],
    globalSetup: ['scripts/kafka/vitest-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
