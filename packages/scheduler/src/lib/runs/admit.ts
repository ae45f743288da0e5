import type { Overlap } from '../jobs/job.ts'

/** Runs that wait or are under way, at most. */
export const MAX_RUNS = 1000

/** What is done with a new run: begin it, keep it for later, leave it out, or abort what is under way for it. */
export type RunAdmission = 'run' | 'queue' | 'skip' | 'replace'

/** By the job's overlap policy; `active` and `queued` count its runs. */
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
