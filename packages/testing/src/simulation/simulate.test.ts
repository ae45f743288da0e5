import { describe, expect, test } from 'vitest'
import { ledgerCase } from './ledger-app.fixture.ts'
import { simulate } from './simulate.ts'

const SEEDS = Number(process.env['SEEDS'] ?? 5)
const FROM = Number(process.env['FROM'] ?? 1)
describe.each(['at-least-once', 'exactly-once'] as const)('%s', (guarantee) => {
  test(`${SEEDS} seeds`, async () => {
    const { make, input, check } = ledgerCase(guarantee)
    const began = performance.now()
    let steps = 0
    const failures: string[] = []
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      try {
        const report = await simulate(make, { seed, input, check, ...(process.env['FAULTS'] === 'none' ? { faults: 'none' as const } : {}) })
        steps += report.steps
        if (SEEDS < 6) console.log(seed, report.steps, JSON.stringify(report.faults), report.trace.at(-1))
      } catch (error) {
        const lines = (error as Error).message.split('\n')
        failures.push(lines.slice(0, 2).join(' | '))
        if (process.env['SHOW']) console.log((error as any).report.trace.slice(-Number(process.env['SHOW'])).join('\n'), (error as any).cause)
      }
    }
    console.log(guarantee, steps, 'steps', Math.round(performance.now() - began), 'ms', failures.length, 'failed\n' + failures.join('\n'))
    expect(failures).toEqual([])
  }, 600_000)
})
