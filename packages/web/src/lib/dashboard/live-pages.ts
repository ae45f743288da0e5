import type { BuiltInDeps, BuiltInPages } from '../built-in/built-in-deps.ts'
import { unavailable } from '../errors/error-answer.ts'
import { accepts } from './accepts.ts'
import { eventStream } from './event-stream.ts'

/** Pages that are open on one worker at the same time. */
const MAX_LISTENERS = 100

/** What the page at `/` lives on: now, and the last five minutes; of this worker, or with `?of=app` of all. */
export function livePages({ worker, watches, view }: BuiltInDeps): BuiltInPages {
  return {
    '/history/': async (c) => {
      const asked = worker()
      return c.json(c.query.get('of') === 'app' ? await view.historyOfApp(asked, c.signal) : view.history(asked), {
        headers: { 'cache-control': 'no-store' },
      })
    },
    '/live/': async (c) => {
      const asked = worker()
      const ofApp = c.query.get('of') === 'app'
      const state = (signal: AbortSignal): unknown => (ofApp ? view.liveOfApp(asked, signal) : view.live(asked))
      if (!accepts(c.request, 'text/event-stream'))
        return c.json(await state(c.signal), { headers: { 'cache-control': 'no-store' } })
      const watch = watches.over(asked)
      if (watch.listeners >= MAX_LISTENERS) throw unavailable(`${MAX_LISTENERS} pages are open on this worker already.`)
      return eventStream({
        state,
        listen: (fn) => watch.listen(fn),
        over: () => watch.closed,
        signal: c.signal,
      })
    },
  }
}
