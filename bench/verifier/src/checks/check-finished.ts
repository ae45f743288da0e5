import { troubleOf } from '../lib/trouble.ts'
import type { Mark } from '../lib/verifier-app.ts'
import type { CheckContext } from './check-outputs.ts'

/** What an attempt that failed has sent must never be seen. */
export function checkFinished(
  { run, problems }: Pick<CheckContext, 'run' | 'problems'>,
  agent: string,
  { id, attempt, by }: Mark & { readonly id: number | string },
  where: string,
): void {
  if (troubleOf(run.seed, agent, id, attempt).fails)
    problems.add(`effects of failed attempts of ${agent}`, `${id}, attempt ${attempt} of worker ${by}, at ${where}`)
}
