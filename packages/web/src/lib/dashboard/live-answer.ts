import type { AssignmentAnswer } from '../built-in/assignment.ts'
import type { StatsAnswer } from '../built-in/stats.ts'
import type { JobFigures } from '../site/site-deps.ts'
import type { HistoryPoint } from './history.ts'
import type { Problem } from './problems.ts'

/** Everything that the page shows of one worker; changes every second. */
export interface WorkerAnswer {
  readonly stats: StatsAnswer
  readonly jobs: readonly JobFigures[]
  readonly assignment: AssignmentAnswer
  readonly problems: readonly Problem[]
  /** Of the five figures, the newest. */
  readonly point: HistoryPoint | undefined
}

/** What `/live/` tells: the worker that was asked, or all of the app. */
export interface LiveAnswer {
  /** By worker id; where a worker does not answer by its address, or by its name in the group if it serves no site. */
  readonly workers: Readonly<Record<string, LiveWorker>>
}

export type LiveWorker =
  | ({ readonly answers: true; readonly self: boolean } & WorkerAnswer)
  | { readonly answers: false; readonly self: false; readonly address: string | undefined; readonly error: string }

/** What `/history/` tells: the last five minutes, one point a second, by worker id. */
export interface HistoryAnswer {
  readonly workers: Readonly<Record<string, readonly HistoryPoint[]>>
}
