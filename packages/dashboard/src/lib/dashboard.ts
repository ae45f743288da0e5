import { PageError, type BuiltInPages, type PageContext, type SiteAddition, type SiteTools } from '@millrace/web'
import { prefersHtml } from './accepts.ts'
import { AppView } from './app-view.ts'
import { Assets } from './assets.ts'
import { deadLetterPages } from './dead-letter-pages.ts'
import { livePages } from './live-pages.ts'
import { Peers } from './peers.ts'
import { topicPages } from './topic-pages.ts'
import { Watches } from './worker-watch.ts'

/**
 * The page at `/`, and the JSON that it lives on: the last five minutes, what changes, dead letters, records of topics.
 * For `addition` of `createSite`; `createApp` adds it by itself.
 *
 * @example
 * const site = createSite({ …, addition: dashboard })
 */
export function dashboard(tools: SiteTools): SiteAddition {
  const watches = new Watches(tools)
  const peers = new Peers(tools.site)
  const view = new AppView(tools.site, watches, peers)
  return {
    pages: {
      ...documentPages(tools, new Assets()),
      ...livePages(tools, watches, view),
      ...deadLetterPages(tools),
      ...topicPages(tools),
    },
    stats: (worker, stats) => watches.find(worker)?.withRates(stats) ?? stats,
    watch: (worker) => void watches.over(worker),
    unwatch: (worker) => watches.end(worker),
    close: () => peers.close(),
  }
}

/** The document and its files. An app that has put its own page at `/` finds this one at `/dashboard/`. */
function documentPages({ index }: SiteTools, assets: Assets): BuiltInPages {
  const file = async (c: PageContext, name: string): Promise<Response> => {
    const answer = await assets.answer(c.request, name)
    if (answer === undefined) throw new PageError(404, `The page has no file "${name}".`)
    return answer
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
      help: 'The page at `/`, whatever the app has put there.',
      page: (c) => (prefersHtml(c.request) ? file(c, 'index.html') : index(c)),
    },
    '/dashboard/:file': {
      help: 'Files of the dashboard.',
      page: (c) => file(c, c.params['file'] ?? ''),
    },
  }
}
