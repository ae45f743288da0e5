/** How long what goes by event time lasts in a run, in milliseconds. Records are a millisecond apart, but for disorder. */
export interface TimedSpans {
  /** How far a record's time may be behind that of an earlier one. */
  readonly disorderMs: number
  readonly windowMs: number
  /** Less than the disorder, so that some events are late. */
  readonly windowGraceMs: number
  readonly sessionGapMs: number
  readonly teamWindowMs: number
  readonly withinMs: number
  /** Timers are set for at most so long. */
  readonly longestTimerMs: number
  /** Later than everything that a record of the run could still meet, from its start. */
  readonly endMs: number
}

/** The same number of windows for each run, however many records it has. */
export function timedSpans(records: number): TimedSpans {
  const unit = Math.max(4, Math.round(records / 100))
  return {
    disorderMs: unit,
    windowMs: 3 * unit,
    windowGraceMs: Math.floor(unit / 8),
    sessionGapMs: 6 * unit,
    teamWindowMs: 5 * unit,
    withinMs: 3 * unit,
    longestTimerMs: 10 * unit,
    endMs: records + 100 * unit,
  }
}
