/** What one of several processes tells its supervisor. */
export type ProcessReport =
  /** Its worker has joined and recovered. */
  | { readonly kind: 'ready' }
  /** How many tasks its worker has. */
  | { readonly kind: 'tasks'; readonly tasks: number }
  /** It ends because it was stopped, though perhaps not by the supervisor. */
  | { readonly kind: 'stopped' }
  /** Asks the other processes. */
  | { readonly kind: 'ask'; readonly id: number; readonly question: string }
  /** Answers a question; without `text` it has no answer. */
  | { readonly kind: 'answer'; readonly id: number; readonly to: number; readonly text?: string }

/** What the supervisor tells a process. */
export type SupervisorOrder =
  | { readonly kind: 'stop' }
  /** Tell the number of tasks. */
  | { readonly kind: 'tellTasks' }
  /** To a process that asks: how many will answer. */
  | { readonly kind: 'asking'; readonly id: number; readonly processes: number }
  | { readonly kind: 'question'; readonly id: number; readonly from: number; readonly question: string }
  | { readonly kind: 'answered'; readonly id: number; readonly from: number; readonly text?: string }

/** Set for the processes that the worker command runs: the number of the process, and how many there are: `2/4`. */
export const PROCESS_VARIABLE = 'MILLRACE_PROCESS'
