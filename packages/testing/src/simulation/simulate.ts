import { isMillraceError, MillraceError, toError } from '@millrace/core'
import { SeededRandom } from './seeded-random.ts'
import { Simulation } from './simulation.ts'
import type { SimulatedApp, SimulationOptions, SimulationReport } from './simulation-options.ts'
import { withSeededMath } from './with-seeded-math.ts'

/** How many lines of a failed run's trace the message contains. */
const LAST_LINES = 25

/** A failed run. The message names the seed and the call that repeats it. */
export class SimulationError extends MillraceError {
  /** The run up to the failure. */
  readonly report: SimulationReport

  constructor(report: SimulationReport, cause: Error) {
    const last = report.trace.slice(-LAST_LINES).join('\n  ')
    const what = isMillraceError(cause, 'SIMULATION_FAILED') ? cause.detail : cause.message
    super(
      'SIMULATION_FAILED',
      `Seed ${report.seed}: ${what}\nRepeat it with: ${report.repeat}\nThe last steps were:\n  ${last}\n`,
      { cause },
    )
    this.report = report
  }
}

/**
 * Runs an app with several workers in this process, on an in-memory log and a manual clock, and lets a seed decide what
 * happens when: requests wait, answers get lost, workers crash, stop, freeze and are removed from the group at any
 * await. When the faults are over, everything must settle with nothing lost. One run at a time.
 *
 * @throws `SimulationError` naming the seed, what went wrong, and the call that repeats it
 * @example
 * await simulate(makeApp, { seed: 7, input: numberedRecords(orders, { value }), check: ({ sent }) => expect(sent(totals))… })
 */
export async function simulate(app: SimulatedApp, options: SimulationOptions): Promise<SimulationReport> {
  const random = new SeededRandom(options.seed)
  // A separate generator: a change in how many random numbers the product uses should not change the decisions of the
  // simulation.
  return withSeededMath(new SeededRandom(options.seed ^ 0x5bd1e995), async () => {
    const simulation = new Simulation(app, options, random)
    const report = (): SimulationReport => ({
      seed: options.seed,
      trace: simulation.trace.lines,
      steps: simulation.trace.steps,
      faults: Object.fromEntries([...simulation.happened].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      records: simulation.records,
      repeat: repeatOf(options),
    })
    try {
      await simulation.run()
      return report()
    } catch (thrown) {
      throw new SimulationError(report(), toError(thrown))
    }
  })
}

/** The call as text; functions are left as their names. */
function repeatOf({ seed, workers, releases, faults, partitions, maxSteps }: SimulationOptions): string {
  const parts = Object.entries({ seed, workers, releases, faults, partitions, maxSteps }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${textOf(value)}`],
  )
  return `simulate(app, { ${parts.join(', ')}, input, check })`
}

function textOf(value: NonNullable<SimulationOptions['faults']> | number): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'number') return String(value)
  return `{ ${Object.entries(value)
    .map(([name, one]) => `${name}: ${String(one)}`)
    .join(', ')} }`
}
