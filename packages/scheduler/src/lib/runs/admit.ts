import type { Overlap } from '../jobs/job.ts'

/** Maximum number of waiting and current runs. */
export const MAX_RUNS = 1000

/** What to do with a new run: begin it, queue it, skip it, or abort the current run for it. */
export type RunAdmission = 'run' | 'queue' | 'skip' | 'replace'

/** Decides by the job's overlap policy; `active` and `queued` count its runs. */
export function admit(
  overlap: Overlap,
  { active, queued }: { readonly active: number; readonly queued: number },
): RunAdmission {
  if (active === 0 && queued === 0) return 'run'
  switch (overlap) {
    case 'allow':
      return active < MAX_RUNS ? 'run' : 'skip'
    case 'skip':
      return 'skip'
    case 'queue-one':
      return queued === 0 ? 'queue' : 'skip'
    case 'queue-all':
      return queued < MAX_RUNS ? 'queue' : 'skip'
    case 'cancel-previous':
      return 'replace'
  }
}
