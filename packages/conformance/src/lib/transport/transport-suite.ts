import { describe, it } from 'vitest'
import { CaseContext } from './case-context.ts'
import { transportCases, type TransportCaseName } from './transport-cases.ts'
import type { TransportEnvironment } from './transport-environment.ts'

/** The options of `transportSuite`. */
export interface TransportSuiteOptions extends TransportEnvironment {
  /** Name of the driver, for test names. */
  readonly name: string
  /** Cases that this driver cannot run, each with the reason. */
  readonly skip?: Partial<Record<TransportCaseName, string>>
}

const CASE_TIMEOUT_MS = 40_000

/**
 * Registers the tests for the contract of `Transport`. Call it at the top of a driver's test file.
 *
 * @example
 * transportSuite({
 *   name: 'memory',
 *   create: () => createMemoryTransport(log, { clock: systemClock(), log: logger }),
 *   skip: { 'compacted records leave gaps that reading moves over': 'this broker cannot be told to compact now' },
 * })
 */
export function transportSuite(options: TransportSuiteOptions): void {
  describe(`transport contract: ${options.name}`, () => {
    for (const name of Object.keys(transportCases).filter(isCaseName)) {
      const reason = options.skip?.[name]
      if (reason !== undefined) {
        it.skip(`${name} (skipped: ${reason})`)
        continue
      }
      it(name, { timeout: CASE_TIMEOUT_MS }, async () => {
        const context = new CaseContext(options)
        try {
          await transportCases[name](context)
        } finally {
          await context.close()
        }
      })
    }
  })
}

function isCaseName(name: string): name is TransportCaseName {
  return name in transportCases
}
