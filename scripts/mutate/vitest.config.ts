import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { bundledPackages, PACKAGES_VARIABLE } from '../programs/packages.ts'
import { bundledPackagesPlugin, PACKED_TESTS, SLOW_TESTS } from '../vitest-files.ts'
import { TESTS_VARIABLE } from './tests-of.ts'

// Quick tests as `pnpm mutate` runs them: once for each mutant, in one thread, from a copy of the workspace. Packages are
// bundled from that copy, so that the tests of other packages meet the mutants too.

const packages = await bundledPackages()
const tests: readonly string[] = JSON.parse(process.env[TESTS_VARIABLE] ?? '[]')

/** Small files first: most mutants are noticed by the first tests, and the rest need not run then. */
class SmallFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => statSync(a.moduleId).size - statSync(b.moduleId).size)
  }
}

export default defineConfig({
  root: fileURLToPath(new URL('../../', import.meta.url)),
  plugins: [bundledPackagesPlugin(packages)],
  test: {
    env: { [PACKAGES_VARIABLE]: JSON.stringify(Object.fromEntries(packages)) },
    isolate: false,
    runner: fileURLToPath(new URL('./warm-tests.ts', import.meta.url)),
    sequence: { sequencer: SmallFirst },
    setupFiles: [fileURLToPath(new URL('../vitest-shared.ts', import.meta.url))],
    // A mutant that makes a test wait for ever is found out by the test, which is cheaper than a new process.
    testTimeout: 15_000,
    hookTimeout: 15_000,
    include: tests.map((path) => (path.endsWith('.test.ts') ? path : `${path}/**/*.test.ts`)),
    exclude: [...configDefaults.exclude, `**/${SLOW_TESTS}`, PACKED_TESTS],
  },
})
