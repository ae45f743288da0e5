import { isMillraceError, type AgentDeadLetters, type DeadLetterPlace } from '@millrace/core'
import { action, PageError, type BuiltInPages, type SiteTools } from '@millrace/web'
import { SharedLookups } from './shared-lookups.ts'

/** Of each agent, in the list. */
const NEWEST_LETTERS = 50

/** Dead letters, one of them, and their replay. */
export function deadLetterPages(tools: SiteTools): BuiltInPages {
  const { site, access } = tools
  // Reads topics to their ends, with a time limit of its own.
  const lists = new SharedLookups<readonly AgentDeadLetters[]>(site.surroundings)
  return {
    '/dead-letters/': {
      help: 'What agents gave up: counts, and the last 50 of each agent. Reads the topics to their ends.',
      page: async (c) => c.json(await lists.get('all', () => site.deadLetters.list({ newest: NEWEST_LETTERS }))),
    },
    '/dead-letters/:agent/:partition/:offset/': {
      help: 'One letter with its record and error; the stack only for those who may act.',
      page: async (c) => {
        const place = { partition: wholeNumber(c.params['partition']), offset: wholeNumber(c.params['offset']) }
        const letter = await withStatus(() =>
          site.deadLetters.show(c.params['agent'] ?? '', place, { signal: c.signal }),
        )
        if (letter === undefined) throw new PageError(404, 'There is no such dead letter.')
        const headers = letter.headers.map(([name, value]) => [name, value === null ? null : value.toString('utf8')])
        // A stack shows what is inside the application: only for those who may change it.
        const stack = access.mayAct(c).on ? letter.stack : ''
        return c.json({ ...letter, headers, stack })
      },
    },
    '/dead-letters/:agent/replay/': {
      help: 'Sends `{ "partition": 0, "offset": 12 }` or `{ "all": true }` back to where it came from.',
      page: action(tools, async (c) => {
        const which = readPlace(await c.readJson())
        const agent = c.params['agent'] ?? ''
        return c.json(await withStatus(() => site.deadLetters.replay(agent, which, { signal: c.signal })))
      }),
    },
  }
}

/** Errors that the person can do something about get a status of their own. */
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
