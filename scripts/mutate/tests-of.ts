/** In the environment of the test runner: files and folders of tests, as JSON. */
export const TESTS_VARIABLE = 'MUTATE_TESTS'

/**
 * Quick tests of other packages that cover one's sources where its own do not. They run once before, and then for the
 * mutants that they reach: add none that takes seconds a test.
 */
const ALSO: Readonly<Record<string, readonly string[]>> = {}

/** The tests that are to notice mutants in a package. */
export function testsOf(directory: string): readonly string[] {
  return [directory, ...(ALSO[directory] ?? [])]
}
