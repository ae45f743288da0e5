import {
  type BuiltInPages,
  type PageContext,
  PageError,
  SharedLookups,
  type SiteAddition,
  type SiteTools,
  type SiteWorker,
  unavailable,
} from '@millrace/web'
import { AppView, type HistoryAnswer, type LiveAnswer, perWorker } from './app-view.ts'
import { Assets } from './assets.ts'
import { deadLetterPages } from './dead-letter-pages.ts'
import { eventStream, sharedState, type SharedState, StateMessages } from './event-stream.ts'
import { Peers } from './peers.ts'
import { topicPages } from './topic-pages.ts'
import { Watches } from './worker-watch.ts'

/**
 * The page at `/` and the JSON behind it: the last five minutes, live changes, dead letters, records of topics. Passed
 * to `createSite`; `createApp` adds it by default.
 *
 * @example
 * const site = createSite(app, dashboard)
 */
export function dashboard(tools: SiteTools): SiteAddition {
  const watches = new Watches(tools)
  const peers = new Peers(tools)
  const view = new AppView(tools, watches, peers)
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
  }
}

/** The document and its files. If the app has its own page at `/`, this one is at `/dashboard/`. */
function documentPages({ index }: SiteTools, assets: Assets): BuiltInPages {
  const file = async (c: PageContext, name: string): Promise<Response> => {
    const answer = await assets.answer(c.request, name)
    if (answer === undefined) throw new PageError(404, `The page has no file "${name}".`)
    return answer
  }
  return {
    '/': {
      help: 'The dashboard for clients that ask for `text/html`; for others, the app, worker, status and all pages as JSON. The app may put its own page here.',
      page: async (c) => {
        if (!prefersHtml(c.request)) return index(c)
        const answer = await file(c, 'index.html')
        answer.headers.append('vary', 'accept')
        return answer
      },
    },
    '/dashboard/': {
      help: 'The dashboard, also if the app has its own page at `/`.',
      page: (c) => (prefersHtml(c.request) ? file(c, 'index.html') : index(c)),
    },
    '/dashboard/:file': {
      help: 'Files of the dashboard.',
      page: (c) => file(c, c.params['file'] ?? ''),
    },
  }
}

/** Pages open on one worker at the same time. */
const MAX_LISTENERS = 100

/** Whose statistics are asked for: those of one process, of all that serve this site, or of the whole app. */
type Whose = 'worker' | 'site' | 'app'

/** Current statistics and those of the last five minutes. */
function livePages({ site, workers }: SiteTools, watches: Watches, view: AppView): BuiltInPages {
  const messages = new StateMessages()
  const states = new SharedLookups<SharedState>(perWorker(site))
  // Each worker is read once a second, however many pages are open.
  const liveOf = async (asked: SiteWorker, whose: Whose): Promise<LiveAnswer> =>
    whose === 'app' ? view.liveOfApp(asked) : whose === 'site' ? view.liveOfSite(asked) : view.live(asked)
  const historyOf = async (asked: SiteWorker, whose: Whose): Promise<HistoryAnswer> =>
    whose === 'app' ? view.historyOfApp(asked) : whose === 'site' ? view.historyOfSite(asked) : view.history(asked)
  const stateOf = (asked: SiteWorker, whose: Whose): Promise<SharedState> =>
    states.get(`${asked.context.id} ${whose}`, async () => sharedState(await liveOf(asked, whose)))
  return {
    '/history/': {
      help: 'The last five minutes of the five headline numbers, one point a second, of each process of the site (`processes`); with `?of=app` of every worker.',
      page: async (c) => {
        return c.json(await historyOf(workers.asked(), whoseOf(c)), {
          headers: { 'cache-control': 'no-store' },
        })
      },
    },
    '/live/': {
      help: 'The live state of the worker, or of each process of the site (`processes`): `stats`, `jobs`, `assignment`, `problems` in words; with `?of=app`, of every worker, asked at its address; with `?of=worker`, of the process that answers. With `Accept: text/event-stream` one event `state`, then each second `change`: a JSON merge patch of what changed.',
      page: async (c) => {
        const asked = workers.asked()
        const whose = whoseOf(c)
        if (!accepts(c.request, 'text/event-stream'))
          return c.json(await liveOf(asked, whose), { headers: { 'cache-control': 'no-store' } })
        const watch = watches.over(asked)
        if (watch.listeners >= MAX_LISTENERS)
          throw unavailable(`${MAX_LISTENERS} pages are open on this worker already.`)
        return eventStream({
          state: () => stateOf(asked, whose),
          messages,
          listen: (fn) => watch.listen(fn),
          over: () => watch.closed,
          signal: c.signal,
        })
      },
    },
  }
}

function whoseOf({ query }: PageContext): Whose {
  const of = query.get('of')
  return of === 'app' || of === 'worker' ? of : 'site'
}

/** Whether the client accepts this media type by name: a wildcard does not count. */
export function accepts(request: Request, type: string): boolean {
  return qualityOf(request.headers.get('accept') ?? '', type) > 0
}

/** Whether the request is a browser's for a page, rather than a program's for JSON. */
export function prefersHtml(request: Request): boolean {
  const accept = request.headers.get('accept') ?? ''
  const html = qualityOf(accept, 'text/html')
  return html > 0 && html >= qualityOf(accept, 'application/json')
}

function qualityOf(accept: string, type: string): number {
  for (const part of accept.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase())
    if (name !== type) continue
    const quality = parameters.find((each) => each.startsWith('q='))
    return quality === undefined ? 1 : Number(quality.slice(2)) || 0
  }
  return 0
}
