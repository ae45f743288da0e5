import { isMillraceError } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import type { PauseNote } from '../site-app.ts'
import { action } from './action.ts'
import type { BuiltInPages, BuiltInTools } from './site-tools.ts'

/** Pauses of agents; those of jobs are with the jobs. */
export function pausePages(tools: BuiltInTools): BuiltInPages {
  const { workers, access } = tools
  const agent = (c: PageContext): string => c.params['name'] ?? ''
  /** Who asks, if they do not say it, is who the site knows them to be. */
  const noteOf = (c: PageContext): PauseNote => ({
    by: c.query.get('by') ?? `${access.admit(c).as}${c.peer === undefined ? '' : ` at ${c.peer}`}`,
    why: c.query.get('why') ?? undefined,
  })
  return {
    '/agent/:name/pause/': {
      help: 'Hands out no more events to an agent, on every worker of the app, also after restarts; events in flight are finished. `?why=` and `?by=` are shown in `/stats`.',
      page: action(tools, async (c) => {
        await orMissing(() => workers.asked().pauseAgent(agent(c), noteOf(c)))
        return c.json({ result: 'paused' })
      }),
    },
    '/agent/:name/resume/': {
      help: 'Lets a paused agent go on where it has stopped.',
      page: action(tools, async (c) => {
        await orMissing(() => workers.asked().resumeAgent(agent(c)))
        return c.json({ result: 'resumed' })
      }),
    },
  }
}

async function orMissing(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isMillraceError(error, 'AGENT_MISSING')) throw error
    throw new PageError(404, error.detail, { cause: error })
  }
}
