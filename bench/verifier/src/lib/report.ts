import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '@millrace/core'
import type { VerifyOptions } from './verify-options.ts'
import type { VerifyResult } from './verify.ts'

/** The run in a few lines, the verdict last. */
export function reportText(options: VerifyOptions, result: VerifyResult): string {
  const { problems, figures, ok, seconds, finishingSeconds, workerStarts, repeat, directory } = result
  const { seed, records, kills, stops, freezes, guarantee, broker, store, defect } = options
  const rows = Object.entries(figures).map(
    ([name, { expected, seen, lost, doubled }]) =>
      `  ${name.padEnd(18)}${[expected, seen, lost, doubled].map((n) => String(n).padStart(10)).join('')}`,
  )
  const verdict = `${ok ? 'OK' : 'FAILED'}  ${guarantee} on ${broker}, store ${store}, seed ${seed}${defect === undefined ? '' : `, broken: ${defect}`}: ${records} records, ${kills} kills, ${stops} stops, ${freezes} freezes; lost ${total(result, 'lost')}, doubled ${total(result, 'doubled')}`
  return [
    `  ${''.padEnd(18)}${['expected', 'seen', 'lost', 'doubled'].map((name) => name.padStart(10)).join('')}`,
    ...rows,
    `  ${workerStarts} worker processes, ${seconds} s, the last ${finishingSeconds} s of it to finish`,
    ...problems.flatMap(({ check, count, examples }) => [
      `  ! ${check}: ${count}`,
      ...examples.slice(0, 5).map((example) => `      ${example}`),
    ]),
    ...(ok ? [] : [`  logs: ${directory}`, `  again: ${repeat}`]),
    verdict,
  ].join('\n')
}

/** Writes options, figures and verdict; gives the file. */
export function keepResult(options: VerifyOptions, result: VerifyResult, file?: string): string {
  const { directory: _, ...kept } = result
  const broker = options.broker.replace(/:.*/, '')
  const defect = options.defect === undefined ? '' : `-${options.defect}`
  const name = `${options.guarantee}-${broker}-${options.store}-seed-${options.seed}${defect}.json`
  const path = file ?? join(import.meta.dirname, '../../results', name)
  mkdirSync(dirname(path), { recursive: true })
  const date = new Date(systemClock().now()).toISOString()
  writeFileSync(path, `${JSON.stringify({ date, node: process.version, options, ...kept }, null, 2)}\n`)
  return path
}

function total({ figures }: VerifyResult, of: 'lost' | 'doubled'): number {
  return Object.values(figures).reduce((sum, each) => sum + each[of], 0)
}
