import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const totals = fileURLToPath(new URL('./scripts/vitest-totals.ts', import.meta.url))

/** The packages as they are published, outside the workspace: packed once for the run. */
export default defineConfig({
  test: {
    reporters: ['default', totals],
    include: ['scripts/packed/**/*.packed.test.ts'],
    globalSetup: ['scripts/kafka/vitest-setup.ts', 'scripts/packed/vitest-setup.ts'],
    retry: process.env['CI'] === 'true' ? 1 : 0,
    hookTimeout: 300_000,
  },
})
