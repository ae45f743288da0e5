import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { bundledPackages, PACKAGES_VARIABLE } from './scripts/programs/packages.ts'
import { bundledPackagesPlugin, PACKED_TESTS, SLOW_TESTS, TEST_PLACES } from './scripts/vitest-files.ts'

const totals = fileURLToPath(new URL('./scripts/vitest-totals.ts', import.meta.url))
const shared = fileURLToPath(new URL('./scripts/vitest-shared.ts', import.meta.url))

/** Not while watching: a test is to see what has changed. */
const packages = process.argv.includes('run') ? await bundledPackages() : new Map<string, string>()

export default defineConfig({
  plugins: [bundledPackagesPlugin(packages)],
  test: {
    env: packages.size === 0 ? {} : { [PACKAGES_VARIABLE]: JSON.stringify(Object.fromEntries(packages)) },
    reporters: ['default', totals],
    // Tests of killed processes and brokers depend on real time: on a busy CI machine one may be run again, and the
    // output names it. Elsewhere a failure is a failure at once.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    // The slow ones wait most of their time, for sessions and processes to end: several at a time, also on two cores.
    maxWorkers: Math.max(5, availableParallelism()),
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Run in the order of their names, as one queue: the quick files fill the gaps at the end.
    projects: [
      {
        extends: true,
        test: {
          name: 'packed',
          include: [`scripts/packed/${PACKED_TESTS}`],
          globalSetup: ['scripts/kafka/vitest-setup.ts', 'scripts/packed/vitest-setup.ts'],
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: TEST_PLACES.map((place) => `${place}/**/${SLOW_TESTS}`),
          globalSetup: ['scripts/kafka/vitest-setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'quick',
          // A process loads a module once for all its files, and is warm: half of the work.
          isolate: false,
          setupFiles: [shared],
          include: TEST_PLACES.map((place) => `${place}/**/*.test.ts`),
          exclude: [...configDefaults.exclude, `**/${SLOW_TESTS}`, PACKED_TESTS],
        },
      },
    ],
  },
})
