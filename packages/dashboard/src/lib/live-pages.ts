import { unavailable, type BuiltInPages, type SiteTools, type SiteWorker } from '@millrace/web'
import { accepts } from './accepts.ts'
import type { AppView } from './app-view.ts'
import { eventStream, sharedState, StateMessages, type SharedState } from './event-stream.ts'
import { SharedLookups } from './shared-lookups.ts'
import type { Watches } from './worker-watch.ts'

/** Pages that are open on one worker at the same time. */
const MAX_LISTENERS = 100

/** Statistics now, and of the last five minutes; of this worker, or with `?of=app` of all. */
export function livePages({ site, workers }: SiteTools, watches: Watches, view: AppView): BuiltInPages {
  const messages = new StateMessages()
  const states = new SharedLookups<SharedState>(site)
  // However many pages are open, each worker is read once a second.
  const stateOf = (asked: SiteWorker, ofApp: boolean): Promise<SharedState> =>
    states.get(`${asked.context.id} ${ofApp ? 'app' : 'worker'}`, async () =>
      sharedState(ofApp ? await view.liveOfApp(asked) : view.live(asked)),
    )
  return {
    '/history/': {
      help: 'The last five minutes of five figures, one point a second; with `?of=app` of every worker.',
      page: async (c) => {
        const asked = workers.asked()
        return c.json(c.query.get('of') === 'app' ? await view.historyOfApp(asked) : view.history(asked), {
          headers: { 'cache-control': 'no-store' },
        })
      },
    },
    '/live/': {
      help: 'What changes of this worker: `stats`, `jobs`, `assignment`, `problems` in words; with `?of=app` of every worker, asked at its address. With `Accept: text/event-stream` one event `state`, then each second `change`: a JSON merge patch of what changed.',
      page: async (c) => {
        const asked = workers.asked()
        const ofApp = c.query.get('of') === 'app'
        if (!accepts(c.request, 'text/event-stream'))
          return c.json(ofApp ? await view.liveOfApp(asked) : view.live(asked), {
            headers: { 'cache-control': 'no-store' },
          })
        const watch = watches.over(asked)
        if (watch.listeners >= MAX_LISTENERS)
          throw unavailable(`${MAX_LISTENERS} pages are open on this worker already.`)
        return eventStream({
          state: () => stateOf(asked, ofApp),
          messages,
          listen: (fn) => watch.listen(fn),
          over: () => watch.closed,
          signal: c.signal,
        })
      },
    },
  }
}
