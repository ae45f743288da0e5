import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node'

const SLOWEST = 10

/**
 * Ends a test run with the plain line `N passed, N failed, N skipped`, for whoever reads the log without a person. A
 * file that does not load, and an error outside any test, counts as one failed test. Before it, after a run of more than
 * a few files, stand those that took longest: so it is seen when one becomes slow.
 */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[], reason: TestRunEndReason): void {
    const { passed, failed, skipped } = totalsOf(modules)
    const outside = unhandled.length > 0 ? unhandled.length : reason === 'failed' && failed === 0 ? 1 : 0
    if (modules.length > SLOWEST) console.log(`Slowest files:\n${slowestOf(modules).join('\n')}\n`)
    // On exit, so that the line is the last one whatever other reporters still print.
    process.once('exit', () => {
      process.stdout.write(`${passed} passed, ${failed + outside} failed, ${skipped} skipped\n`)
    })
  }
}

interface TimedModule {
  readonly relativeModuleId: string
  diagnostic(): { readonly collectDuration: number; readonly duration: number }
}

/** The files that took longest with loading, a broker of their own included: longest first, one line each. */
export function slowestOf(modules: readonly TimedModule[]): readonly string[] {
  return modules
    .map((module) => {
      const { collectDuration, duration } = module.diagnostic()
      return { file: module.relativeModuleId, seconds: (collectDuration + duration) / 1000 }
    })
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, SLOWEST)
    .map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`)
}

interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What a test module offers of what is counted here. */
interface CountedModule {
  state(): string
  readonly children: { allTests(): Iterable<{ result(): { readonly state: string } }> }
}

export function totalsOf(modules: readonly CountedModule[]): Totals {
  let [passed, failed, skipped] = [0, 0, 0]
  for (const module of modules) {
    const states = [...module.children.allTests()].map((test) => test.result().state)
    const failedHere = states.filter((state) => state === 'failed').length
    passed += states.filter((state) => state === 'passed').length
    // Also a failing hook leaves its tests skipped or pending and the module failed.
    failed += failedHere === 0 && module.state() === 'failed' ? 1 : failedHere
    skipped += states.filter((state) => state === 'skipped' || state === 'pending').length
  }
  return { passed, failed, skipped }
}
