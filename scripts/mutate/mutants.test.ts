import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { readEquivalents, sortSurvivors, type Equivalent } from './equivalents.ts'
import { mutantOf, type Mutant, type Result } from './mutant.ts'
import { changedLines, planOf, resultsFile } from './plan.ts'
import { reportOf, scoreOf } from './report.ts'

const TEXT = `if (a > 1) {
  run(
    b,
  )
}
`

function resultAt(start: [number, number], end: [number, number], rest: Partial<Result> = {}): Result {
  const location = { start: { line: start[0], column: start[1] }, end: { line: end[0], column: end[1] } }
  return { location, replacement: 'true', status: 'Survived', coveredBy: ['1', '2'], ...rest }
}

function mutant(change: string, outcome: Mutant['outcome'] = 'survived'): Mutant {
  return { file: 'a.ts', lineNumber: 3, line: 'if (a > 1) {', change, outcome, tests: 2 }
}

function entry(change: string, rest: Partial<Equivalent> = {}): Equivalent {
  return { file: 'a.ts', line: 'if (a > 1) {', change, reason: 'It is the same.', ...rest }
}

test('a mutant is named by the line in which it begins and by its change, each on one line', () => {
  expect(mutantOf('a.ts', TEXT, resultAt([1, 5], [1, 10]))).toEqual({
    file: 'a.ts',
    lineNumber: 1,
    line: 'if (a > 1) {',
    change: 'a > 1 → true',
    outcome: 'survived',
    tests: 2,
  })
  const block = mutantOf('a.ts', TEXT, resultAt([1, 12], [5, 2], { replacement: '{}', status: 'NoCoverage' }))
  expect(block).toMatchObject({ change: '{ run( b, ) } → {}', outcome: 'not reached' })
})

test('survivors that are named are equivalent, the others are not', () => {
  const mutants = [mutant('a > 1 → true'), mutant('a > 1 → a >= 1', 'not reached'), mutant('a > 1 → false', 'killed')]
  const sorted = sortSurvivors(mutants, [entry('a > 1 → a >= 1')], new Set(['a.ts']))
  expect(sorted).toEqual({ survivors: [mutants[0]], equivalents: [mutants[1]], wrong: [] })
  expect(scoreOf(mutants, sorted)).toBe(50)
})

test('an entry that names no mutant, or one that a test notices, is wrong', () => {
  const mutants = [mutant('a > 1 → false', 'killed'), mutant('a > 1 → true', 'timed out')]
  const named = [entry('a > 1 → false'), entry('a > 2 → false'), entry('a > 1 → true', { file: 'b.ts' })]
  expect(sortSurvivors(mutants, named, new Set(['a.ts'])).wrong).toEqual([
    'a.ts: the mutant  a > 1 → false  in "if (a > 1) {" is noticed by a test',
    'a.ts: there is no mutant  a > 2 → false  in "if (a > 1) {"',
  ])
})

test('where a file is mutated in part, an entry without a mutant is not wrong', () => {
  expect(sortSurvivors([mutant('a > 1 → true')], [entry('b → c')], new Set()).wrong).toEqual([])
})

test('the report has what survived, with its place, and the score', () => {
  const mutants = [mutant('a > 1 → true'), mutant('a > 1 → false', 'killed')]
  expect(reportOf(mutants, sortSurvivors(mutants, [], new Set()))).toBe(
    [
      'a.ts:3 (2 tests)',
      '    if (a > 1) {',
      '    a > 1 → true',
      '',
      '  score  killed  timed out  survived  equivalent',
      '   50.0       1          0         1           0  a.ts',
    ].join('\n'),
  )
})

test('changed lines are found in a diff without context', () => {
  const diff = `--- a/x.ts\n+++ b/x.ts\n@@ -3 +3,2 @@ x\n-a\n+b\n+c\n@@ -9,2 +10,0 @@\n-d\n@@ -20 +19 @@\n-e\n+f\n`
  expect(changedLines(diff)).toEqual(['x.ts:3-4', 'x.ts:19-19'])
})

test('results are kept in a file of their own for each choice of files, however many these are', () => {
  const files = Array.from({ length: 40 }, (_, i) => `packages/worker/src/lib/task/file-${i}.ts`)
  expect(basename(resultsFile(files)).length).toBeLessThan(255)
  expect(resultsFile(files)).toBe(resultsFile([...files]))
  expect(resultsFile(files)).not.toBe(resultsFile(files.slice(1)))
})

test('a plan has the sources of a folder without tests and fixtures, and the tests of the package', async () => {
  const plan = await planOf(['scripts/mutate/report.ts'], { with: ['docs'] })
  expect(plan).toEqual({ mutate: ['scripts/mutate/report.ts'], tests: ['scripts/mutate', 'docs'], isWhole: true })
  expect((await planOf(['scripts/mutate/report.ts'], { with: ['docs'], only: ['scripts/docs'] })).tests).toEqual([
    'scripts/docs',
    'docs',
  ])
  const { mutate } = await planOf(['packages/scheduler/src/lib'], { with: [] })
  expect(mutate).toContain('packages/scheduler/src/lib/jobs/job.ts')
  expect(mutate.filter((path) => /test|fixture/.test(path))).toEqual([])
  await expect(planOf(['packages/nowhere'], { with: [] })).rejects.toThrow('packages/nowhere')
  await expect(planOf(['scripts/mutate'], { with: [], lines: '1-2' })).rejects.toThrow('--lines')
})

// Whoever changes such a line says here whether its mutants are still equivalent.
test('the lines that named equivalents are in are there', async () => {
  const entries = await readEquivalents()
  const gone = await Promise.all(
    entries.map(async ({ file, line }) => {
      const text = await readFile(join(import.meta.dirname, '../..', file), 'utf8').catch(() => '')
      return text.split('\n').some((one) => one.trim() === line) ? [] : [`${file}: ${line}`]
    }),
  )
  expect(gone.flat()).toEqual([])
  expect(entries.filter(({ reason }) => reason.length < 10)).toEqual([])
})
