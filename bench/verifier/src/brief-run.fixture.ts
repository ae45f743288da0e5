import { expect } from 'vitest'
import { reportText } from './lib/report.ts'
import type { Guarantee } from './lib/verifier-run.ts'
import { readOptions } from './lib/verify-options.ts'
import { verify } from './lib/verify.ts'

/** A run of the verifier as a test, with options as on its command line. What it tells is shown when it fails. */
export async function briefRun(guarantee: Guarantee, broker: string, chaos: string): Promise<void> {
  const { options } = readOptions(['--guarantee', guarantee, '--broker', broker, ...chaos.split(' ')])
  const told: string[] = []
  const result = await verify(options, (line) => told.push(line))
  const report = reportText(options, result)
  if (!result.ok) console.log([...told, report].join('\n'))
  expect(result.problems, report).toEqual([])
}
