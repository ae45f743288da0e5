import { type Clock, isMillraceError, redactText } from '@millrace/core'
import type { RunOutcome } from '@millrace/core/operations'
import { PageError } from '../pages/page-error.ts'
import type { PageContext } from '../pages/page-context.ts'
import { action } from './action.ts'
import { jsonPage, type BuiltInPages, type BuiltInTools } from './site-tools.ts'

/** A longer run continues in the background, and `/jobs/` shows its outcome. */
const RUN_ANSWER_MS = 1_000

/** Tasks, timers and cron jobs, and the actions on them. */
export function jobPages(tools: BuiltInTools): BuiltInPages {
  const { site, workers, leader } = tools
  const { redact = redactText } = site.surroundings
  const job = (c: PageContext): string => c.params['name'] ?? ''
  return {
    '/jobs/': {
      help: 'Tasks, timers and cron jobs.',
      page: jsonPage(() => workers.asked().jobs()),
    },
    '/jobs/:name/run/': {
      help: 'Runs a job now; 202 when the run takes longer than a second. A job of the leader runs there, whichever worker is asked: 503 with `Retry-After` when nobody leads or the leader cannot be reached.',
      page: action(tools, (c) =>
        orMissing(() =>
          leader.serve({
            c,
            request: withoutBody(c.request),
            what: `Job "${job(c)}"`,
            work: (at) => runFor(site.surroundings.clock, () => at.trigger(job(c))),
            answer: (outcome) =>
              outcome === undefined
                ? c.json({ result: 'running' }, 202)
                : c.json({ result: outcome.result, error: outcome.error && redact(outcome.error.message) }),
          }),
        ),
      ),
    },
    '/jobs/:name/pause/': {
      help: 'Skips the job’s slots on every worker of the app, also after restarts.',
      page: action(tools, async (c) => {
        await orMissing(() => workers.asked().pause(job(c)))
        return c.json({ result: 'paused' })
      }),
    },
    '/jobs/:name/resume/': {
      help: 'Runs the job’s slots again.',
      page: action(tools, async (c) => {
        await orMissing(() => workers.asked().resume(job(c)))
        return c.json({ result: 'resumed' })
      }),
    },
  }
}

/** The path holds everything, so the request can be sent to another worker, and resent. */
function withoutBody({ url, method, headers: given }: Request): Request {
  const headers = new Headers(given)
  for (const name of ['content-length', 'content-type', 'transfer-encoding']) headers.delete(name)
  return new Request(url, { method, headers })
}

/** The outcome of a run; `undefined` if it takes longer than a request should. */
async function runFor(clock: Clock, run: () => Promise<RunOutcome>): Promise<RunOutcome | undefined> {
  const running = run()
  const waited = new AbortController()
  const late = clock.sleep(RUN_ANSWER_MS, waited.signal).then(nothing, nothing)
  const outcome = await Promise.race([running, late]).finally(() => waited.abort())
  // The later outcome appears in /jobs/ and the log.
  if (outcome === undefined) running.catch(() => undefined)
  return outcome
}

function nothing(): undefined {}

async function orMissing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isMillraceError(error, 'JOB_MISSING')) throw error
    throw new PageError(404, error.detail, { cause: error })
  }
}
