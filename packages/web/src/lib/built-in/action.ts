import { errorText } from '@millrace/core'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteTools } from './site-tools.ts'

/**
 * A page that changes something. Accepts POST from this site's pages and from programs, if the caller may act. Each
 * action writes one log line: the caller, the action and its outcome.
 */
export function action({ site, access }: Pick<SiteTools, 'site' | 'access'>, work: PageHandler): ViewClass {
  return class Action extends View {
    override async post(c: PageContext): Promise<Response> {
      const { log } = site.surroundings
      const from = c.forwardedBy === undefined ? {} : { from: c.forwardedBy.from }
      const fields = { action: c.url.pathname, by: access.admit(c).as, peer: c.peer, ...from }
      try {
        const right = access.mayActBy(c)
        if (!right.on) throw new PageError(403, right.reason)
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
