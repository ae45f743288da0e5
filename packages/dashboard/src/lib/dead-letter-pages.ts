import { isMillraceError, shownHeaders } from '@millrace/core'
import type { AgentDeadLetters, DeadLetter, DeadLetterLocation } from '@millrace/core/operations'
import { action, PageError, SharedLookups, type BuiltInPages, type SiteTools } from '@millrace/web'

/** Letters listed for each agent. */
const NEWEST_LETTERS = 50
/** Letters read from each agent's topic for the list. */
const MOST_LETTERS = 10_000
/** Longest time to read a list or a letter, and how many reads run at a time. */
const READ_LIMIT_MS = 20_000
const AT_A_TIME = 4

/** Pages that list dead letters, show one, and replay them. */
export function deadLetterPages(tools: SiteTools): BuiltInPages {
  const { site, access } = tools
  const { clock } = site.surroundings
  const reading = { clock, atATime: AT_A_TIME, limitMs: READ_LIMIT_MS }
  const lists = new SharedLookups<readonly AgentDeadLetters[]>({ ...reading, freshMs: 500 })
  const shown = new SharedLookups<DeadLetter | undefined>(reading)
  return {
    '/dead-letters/': {
      help: 'Dead letters: counts, and the last 50 of each agent. Reads the newest 10,000 of each agent, once for concurrent requests.',
      page: async (c) => {
        const limits = { newest: NEWEST_LETTERS, most: MOST_LETTERS }
        return c.json(await lists.get('all', (signal) => site.deadLetters.list({ ...limits, signal }), c.signal))
      },
    },
    '/dead-letters/:agent/:partition/:offset/': {
      help: 'One letter with its record and error; the stack only for callers who may act.',
      page: async (c) => {
        const place = { partition: wholeNumber(c.params['partition']), offset: wholeNumber(c.params['offset']) }
        const agent = c.params['agent'] ?? ''
        const letter = await withStatus(() =>
          shown.get(
            `${place.partition} ${place.offset} ${agent}`,
            (signal) => site.deadLetters.show(agent, place, { signal }),
            c.signal,
          ),
        )
        if (letter === undefined) throw new PageError(404, 'There is no such dead letter.')
        // A stack shows the application's internals: only for callers who may change it.
        const stack = access.mayAct(c).on ? letter.stack : ''
        return c.json({ ...letter, headers: shownHeaders(letter.headers), stack })
      },
    },
    '/dead-letters/:agent/replay/': {
      help: 'Sends `{ "partition": 0, "offset": 12 }` or `{ "all": true }` back to its original topic.',
      page: action(tools, async (c) => {
        const which = readPlace(await c.readJson())
        const agent = c.params['agent'] ?? ''
        return c.json(await withStatus(() => site.deadLetters.replay(agent, which, { signal: c.signal })))
      }),
    },
  }
}

/** Errors that the caller can react to get their own status. */
async function withStatus<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isMillraceError(error, 'AGENT_MISSING', 'DEAD_LETTER_MISSING'))
      throw new PageError(404, error.detail, { cause: error })
    if (isMillraceError(error, 'PRODUCER_FENCED')) throw new PageError(409, error.detail, { cause: error })
    throw error
  }
}

function readPlace(body: unknown): DeadLetterLocation | 'all' {
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
