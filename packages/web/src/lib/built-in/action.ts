import { errorText } from '@millrace/core'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteTools } from './site-tools.ts'

/** What a request that changes the application must carry: no form and no image of another site can. */
const ACTION_HEADER = 'millrace-action'

/**
 * A page that changes something: takes POST from pages of this site and from programs, of those who may act. Each is one
 * line of the log: who, what, and what came of it.
 */
export function action({ site, access }: Pick<SiteTools, 'site' | 'access'>, work: PageHandler): ViewClass {
  return class Action extends View {
    override async post(c: PageContext): Promise<Response> {
      const { log } = site.surroundings
      const caller = access.admit(c).as
      const fields = { action: c.url.pathname, by: caller, peer: c.peer }
      try {
        const right = access.mayAct(c)
        if (!right.on) throw new PageError(403, right.reason)
        // A browser shows its session, and that it runs on this machine, to every site that asks it to; a token it does not.
        if (caller !== 'token' && access.isOfAnotherSite(c))
          throw new PageError(403, 'The request comes from another site, or under a name that web.hosts does not have.')
        if (!c.request.headers.has(ACTION_HEADER))
          throw new PageError(403, `An action needs the header ${ACTION_HEADER}, with any value.`)
        const response = await work(c)
        log.info({ ...fields, status: response.status }, 'An action was carried out.')
        return response
      } catch (thrown) {
        log.warn({ ...fields, error: errorText(thrown) }, 'An action was refused or has failed.')
        throw thrown
      }
    }
  }
}
