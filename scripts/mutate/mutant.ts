import type { Stryker } from '@stryker-mutator/core'

type MutantResult = Awaited<ReturnType<Stryker['runMutationTest']>>[number]

/** A mutant and what the tests said of it. */
export interface Mutant {
  /** From the root of the workspace. */
  readonly file: string
  /** Counted from 1. */
  readonly lineNumber: number
  /** The line in which it begins, without the space around. */
  readonly line: string
  /** `original → replacement`, each on one line and abbreviated: with the file and the line, how people name a mutant. */
  readonly change: string
  readonly outcome: 'killed' | 'timed out' | 'survived' | 'not reached' | 'ignored' | 'broken'
  /** Tests that reach it. */
  readonly tests: number
}

const OUTCOMES: Readonly<Record<MutantResult['status'], Mutant['outcome']>> = {
  Killed: 'killed',
  Timeout: 'timed out',
  Survived: 'survived',
  NoCoverage: 'not reached',
  Ignored: 'ignored',
  CompileError: 'broken',
  RuntimeError: 'broken',
  Pending: 'broken',
}

const LONGEST = 100

/** What of Stryker's result is looked at. */
export type Result = Pick<MutantResult, 'location' | 'replacement' | 'status' | 'coveredBy'>

/** Lines and columns of Stryker's results are counted from 1; the end is the first column behind it. */
export function mutantOf(file: string, text: string, { location, replacement, status, coveredBy }: Result): Mutant {
  const lines = text.split('\n')
  const { start, end } = location
  const covered = lines.slice(start.line - 1, end.line)
  const last = covered.length - 1
  covered[last] = covered[last]?.slice(0, end.column - 1) ?? ''
  covered[0] = covered[0]?.slice(start.column - 1) ?? ''
  return {
    file,
    lineNumber: start.line,
    line: lines[start.line - 1]?.trim() ?? '',
    change: `${abbreviated(covered.join('\n'))} → ${abbreviated(replacement)}`,
    outcome: OUTCOMES[status],
    tests: coveredBy?.length ?? 0,
  }
}

function abbreviated(code: string): string {
  const line = code.replaceAll(/\s+/g, ' ').trim()
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}…`
}
