import { errorText } from '@millrace/core'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteTools } from './site-tools.ts'

/**
 * A page that changes something: takes POST from pages of this site and from programs, of those who may act. Each is one
 * line of the log: who, what, and what came of it.
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
