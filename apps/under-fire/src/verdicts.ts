import type { Verdict } from './verdict.ts'

/** What holds in every run: at least once. Counts may be too high, never too low, and no row goes back. */
export const NOTHING_LOST: Partial<Verdict> = { lost: [], short: [], backward: [] }

/** What holds exactly once, whatever happened. */
export const EXACT: Partial<Verdict> = { ...NOTHING_LOST, doubles: 0, overcounted: 0 }

/** What holds when every worker stopped cleanly. */
export const CLEAN: Partial<Verdict> = EXACT

/** One line of figures for whoever reads the run. */
export function tellFigures(what: string, { sent, lost, doubles, overcounted, longestGapMs, byWorker }: Verdict): void {
  const shares = Object.entries(byWorker).map(([worker, count]) => `${worker} ${count}`)
  console.log(
    `${what}: ${sent} records, ${lost.length} lost, ${doubles} handled again, ${overcounted} counted again, longest gap ${longestGapMs} ms; ${shares.join(', ')}`,
  )
}
