import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'

export type Figures = Readonly<Record<string, number>>

/** Adds a run's figures to `bench/results/{scenario}.json` and prints them. */
export function keepResult(scenario: string, parameters: Figures, figures: Figures): void {
  const directory = join(import.meta.dirname, '../../results')
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${scenario}.json`)
  const runs: unknown[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const rounded = Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]),
  )
  runs.push({
    date: new Date().toISOString(),
    node: process.version,
    commit: commit(),
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    ...parameters,
    ...rounded,
  })
  writeFileSync(file, `${JSON.stringify(runs, null, 2)}\n`)
  console.log(scenario, rounded)
}

function commit(): string {
  const run = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', cwd: import.meta.dirname }).trim()
  return (
    run('rev-parse', '--short', 'HEAD') +
    (run('status', '--porcelain', '--untracked-files=no', '--', ':/packages') === '' ? '' : '+changes')
  )
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
