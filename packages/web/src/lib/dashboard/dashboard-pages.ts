import { DOCS_ADDRESS } from '@millrace/core'
import type { BuiltInDeps, BuiltInPages } from '../built-in/built-in-deps.ts'
import { PageError } from '../errors/page-error.ts'
import type { PageContext } from '../pages/page-context.ts'
import { prefersHtml } from './accepts.ts'
import { adminFor } from './admin.ts'
import type { Assets } from './assets.ts'

/** The page at `/` and its files. An app that has put its own page there finds this one at `/dashboard/`. */
export function dashboardPages(deps: BuiltInDeps, assets: Assets): BuiltInPages {
  const { site } = deps
  const file = async (c: PageContext, name: string): Promise<Response> => {
    const answer = await assets.answer(c.request, name)
    if (answer === undefined) throw new PageError(404, `The page has no file "${name}".`)
    return answer
  }
  const index = (c: PageContext): Response => {
    const worker = deps.workerIfAny()
    const app = site.describe()
    return c.json(
      {
        app: app.id,
        version: app.version,
        worker: worker?.context.id,
        status: worker?.stats().status,
        docs: DOCS_ADDRESS,
        admin: adminFor(c, { settings: site.settings, broker: app.broker }),
        pages: deps.pages(),
      },
      { headers: { vary: 'accept' } },
    )
  }
  return {
    '/': {
      help: 'The dashboard to those who ask for `text/html`; to others app, worker, status and all pages, as JSON. The app may put its own page here.',
      page: async (c) => {
        if (!prefersHtml(c.request)) return index(c)
        const answer = await file(c, 'index.html')
        answer.headers.append('vary', 'accept')
        return answer
      },
    },
    '/dashboard/': {
      help: 'The same, whatever the app has put at `/`.',
      page: (c) => (prefersHtml(c.request) ? file(c, 'index.html') : index(c)),
    },
    '/dashboard/:file': {
      help: 'Files of the dashboard.',
      page: (c) => file(c, c.params['file'] ?? ''),
    },
  }
}
