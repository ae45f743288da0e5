import { isMillraceError, type AgentDeadLetters, type Clock, type DeadLetterPlace } from '@millrace/core'
import type { BuiltInDeps, BuiltInPages } from '../built-in/built-in-deps.ts'
import { PageError } from '../errors/page-error.ts'
import type { PageAnswer, PageContext, PageHandler } from '../pages/page-context.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { JobOutcome } from '../site/site-deps.ts'
import { adminFor, crossSite } from './admin.ts'
import { SharedLooks } from './shared-looks.ts'

/** A run that takes longer goes on by itself, and `/jobs/` tells of it. */
const RUN_ANSWER_MS = 1_000
/** Of each agent, in the list. */
const NEWEST_LETTERS = 50

/** Dead letters, and what changes the application: nothing of it works unless `web.admin` is on. */
export function deadLetterPages({ site }: BuiltInDeps): BuiltInPages {
  const acts = (c: PageContext): boolean => adminFor(c, { settings: site.settings, broker: site.describe().broker }).on
  // Reads topics to their ends, with a limit of its own: once for all who ask meanwhile.
  const lists = new SharedLooks<readonly AgentDeadLetters[]>(() => site.clock)
  return {
    '/dead-letters/': {
      help: 'What agents gave up: counts, and the last 50 of each agent. Reads the topics to their ends.',
      page: async (c) => c.json(await lists.see('all', () => site.deadLetters().list({ newest: NEWEST_LETTERS }))),
    },
    '/dead-letters/:agent/:partition/:offset/': {
      help: 'One letter with its record and error; the stack only for those who may act.',
      page: async (c) => {
        const place = { partition: wholeNumber(c.params['partition']), offset: wholeNumber(c.params['offset']) }
        const letter = await known(() => site.deadLetters().show(c.params['agent'] ?? '', place, { signal: c.signal }))
        if (letter === undefined) throw new PageError(404, 'There is no such dead letter.')
        const headers = letter.headers.map(([name, value]) => [name, value === null ? null : value.toString('utf8')])
        // What is inside the application is only for those who may change it.
        const stack = acts(c) ? letter.stack : ''
        return c.json({ ...letter, headers, stack })
      },
    },
  }
}

/** Pages that take POST only. */
export function actionPages(deps: BuiltInDeps): BuiltInPages {
  const { site, worker } = deps
  const job = (c: PageContext): string => c.params['name'] ?? ''
  return {
    '/jobs/:name/run/': {
      help: 'Runs a job now; 202 when the run takes longer than a second. A job of the leader runs there, whichever worker is asked: 503 with `Retry-After` when nobody leads or the leader cannot be reached.',
      page: action(deps, (c) =>
        known(() =>
          deps.leader.serve({
            request: withoutBody(c.request),
            signal: c.signal,
            what: `Job "${job(c)}"`,
            work: (at) => runFor(site.clock, () => at.trigger(job(c))),
            answer: (outcome) =>
              outcome === undefined
                ? c.json({ result: 'running' }, 202)
                : c.json({ result: outcome.result, error: outcome.error?.message }),
          }),
        ),
      ),
    },
    '/jobs/:name/pause/': {
      help: 'Slots are skipped on every worker of the app, over restarts too.',
      page: action(deps, async (c) => {
        await known(() => worker().pause(job(c)))
        return c.json({ result: 'paused' })
      }),
    },
    '/jobs/:name/resume/': {
      help: 'Slots are skipped no longer.',
      page: action(deps, async (c) => {
        await known(() => worker().resume(job(c)))
        return c.json({ result: 'resumed' })
      }),
    },
    '/dead-letters/:agent/replay/': {
      help: 'Sends `{ "partition": 0, "offset": 12 }` or `{ "all": true }` back to where it came from.',
      page: action(deps, async (c) => {
        const which = readPlace(await c.readJson())
        const outcome = await known(() =>
          site.deadLetters().replay(c.params['agent'] ?? '', which, { signal: c.signal }),
        )
        return c.json(outcome)
      }),
    },
  }
}

/** What the request says is in its path: the same can be sent to another worker, and to a second one. */
function withoutBody({ url, method, headers: given }: Request): Request {
  const headers = new Headers(given)
  for (const name of ['content-length', 'content-type', 'transfer-encoding']) headers.delete(name)
  return new Request(url, { method, headers })
}

/** What came of a run; `undefined` when it takes longer than an answer should. */
async function runFor(clock: Clock, run: () => Promise<JobOutcome>): Promise<JobOutcome | undefined> {
  const running = run()
  const waited = new AbortController()
  const late = clock.sleep(RUN_ANSWER_MS, waited.signal).then(nothing, nothing)
  const outcome = await Promise.race([running, late]).finally(() => waited.abort())
  // What comes of it later is told by /jobs/ and the log.
  if (outcome === undefined) running.catch(() => undefined)
  return outcome
}

function nothing(): undefined {}

/** A page that changes something: takes POST, from this site, of those who may act. */
export function action({ site }: BuiltInDeps, work: PageHandler): ViewClass {
  return class Action extends View {
    override async post(c: PageContext): Promise<Response> {
      const foreign = crossSite(c)
      if (foreign !== undefined) throw new PageError(403, foreign)
      const admin = adminFor(c, { settings: site.settings, broker: site.describe().broker })
      if (!admin.on) throw new PageError(403, admin.reason)
      return await (work(c) satisfies PageAnswer)
    }
  }
}

/** Errors that the person can do something about have their status. */
async function known<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isMillraceError(error, 'JOB_MISSING', 'AGENT_MISSING', 'DEAD_LETTER_MISSING'))
      throw new PageError(404, error.detail, { cause: error })
    if (isMillraceError(error, 'PRODUCER_FENCED')) throw new PageError(409, error.detail, { cause: error })
    throw error
  }
}

function readPlace(body: unknown): DeadLetterPlace | 'all' {
  if (typeof body === 'object' && body !== null) {
    if ('all' in body && body.all === true) return 'all'
    if ('partition' in body && 'offset' in body)
      return { partition: wholeNumber(body.partition), offset: wholeNumber(body.offset) }
  }
  throw new PageError(400, 'Say which: { "partition": 0, "offset": 12 }, or { "all": true }.')
}

function wholeNumber(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw new PageError(400, 'Partition and offset are whole numbers.')
}
