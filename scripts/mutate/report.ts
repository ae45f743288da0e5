import type { Sorted } from './equivalents.ts'
import type { Mutant } from './mutant.ts'

/** Killed ones and those that made the tests run out of time, of all that are not equivalent, in percent. */
export function scoreOf(mutants: readonly Mutant[], { survivors }: Pick<Sorted, 'survivors'>): number {
  const noticed = mutants.filter(isNoticed).length
  return noticed + survivors.length === 0 ? 100 : (noticed / (noticed + survivors.length)) * 100
}

function isNoticed({ outcome }: Mutant): boolean {
  return outcome === 'killed' || outcome === 'timed out'
}

/** Survivors by file and line, then a line for each file and one for all. */
export function reportOf(mutants: readonly Mutant[], sorted: Sorted): string {
  return [
    ...sorted.survivors.toSorted(byPlace).map(describe),
    ...(sorted.wrong.length === 0 ? [] : ['In scripts/mutate/equivalents:', ...sorted.wrong, '']),
    ...rowsOf(mutants, sorted),
  ].join('\n')
}

function byPlace(a: Mutant, b: Mutant): number {
  return a.file.localeCompare(b.file) || a.lineNumber - b.lineNumber
}

function describe({ file, lineNumber, line, change, tests }: Mutant): string {
  const reached = tests === 0 ? 'no test reaches it' : `${tests} test${tests === 1 ? '' : 's'}`
  return `${file}:${lineNumber} (${reached})\n    ${line}\n    ${change}\n`
}

function rowsOf(mutants: readonly Mutant[], sorted: Sorted): readonly string[] {
  const files = [...new Set(mutants.map(({ file }) => file))].toSorted()
  const rows = files.map((file) => rowOf(file, mutants.filter(isOf(file)), only(sorted, isOf(file))))
  return [HEAD, ...rows, ...(files.length > 1 ? [rowOf('all', mutants, sorted)] : [])]
}

const HEAD = '  score  killed  timed out  survived  equivalent'

function rowOf(name: string, mutants: readonly Mutant[], sorted: Sorted): string {
  const count = (outcome: Mutant['outcome']): number => mutants.filter((mutant) => mutant.outcome === outcome).length
  const broken = count('broken') === 0 ? '' : `  (${count('broken')} could not be run)`
  const cells = [
    [scoreOf(mutants, sorted).toFixed(1), 7],
    [count('killed'), 8],
    [count('timed out'), 11],
    [sorted.survivors.length, 10],
    [sorted.equivalents.length, 12],
  ] as const
  return `${cells.map(([cell, width]) => String(cell).padStart(width)).join('')}  ${name}${broken}`
}

function isOf(wanted: string): (mutant: Mutant) => boolean {
  return ({ file }) => file === wanted
}

function only({ survivors, equivalents }: Sorted, isWanted: (mutant: Mutant) => boolean): Sorted {
  return { survivors: survivors.filter(isWanted), equivalents: equivalents.filter(isWanted), wrong: [] }
}
