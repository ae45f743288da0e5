import type { BuiltInDeps, BuiltInPages } from '../built-in/built-in-deps.ts'
import { unavailable } from '../errors/error-answer.ts'
import type { SiteWorker } from '../site/site-deps.ts'
import { accepts } from './accepts.ts'
import { eventStream } from './event-stream.ts'
import { SharedLooks } from './shared-looks.ts'
import { StateMessages, tellable, type TellableState } from './state-messages.ts'

/** Pages that are open on one worker at the same time. */
const MAX_LISTENERS = 100

/** What the page at `/` lives on: now, and the last five minutes; of this worker, or with `?of=app` of all. */
export function livePages({ site, worker, watches, view }: BuiltInDeps): BuiltInPages {
  const messages = new StateMessages()
  const states = new SharedLooks<TellableState>(() => site.clock)
  // However many pages are open: each worker is looked at once a second.
  const stateOf = (asked: SiteWorker, ofApp: boolean): Promise<TellableState> =>
    states.see(`${asked.context.id} ${ofApp ? 'app' : 'worker'}`, async () =>
      tellable(ofApp ? await view.liveOfApp(asked) : view.live(asked)),
    )
  return {
    '/history/': {
      help: 'The last five minutes of five figures, one point a second; with `?of=app` of every worker.',
      page: async (c) => {
        const asked = worker()
        return c.json(c.query.get('of') === 'app' ? await view.historyOfApp(asked) : view.history(asked), {
          headers: { 'cache-control': 'no-store' },
        })
      },
    },
    '/live/': {
      help: 'What changes of this worker: `stats`, `jobs`, `assignment`, `problems` in words; with `?of=app` of every worker, asked at its address. With `Accept: text/event-stream` one event `state`, then each second `change`: a JSON merge patch of what changed.',
      page: async (c) => {
        const asked = worker()
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
