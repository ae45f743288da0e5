import { type App, json } from '@millrace/app'
import { z } from 'zod'

export const View = z.object({
  page: z.string(),
  /** When it was viewed, in milliseconds since the epoch: event time, however late the record arrives. */
  at: z.number().int().nonnegative(),
})

/** A visit that is over. */
export const Visit = z.object({ start: z.number(), end: z.number(), views: z.number() })
/** What a page came to in one minute, for good. */
export const MinuteTotal = z.object({ start: z.number(), views: z.number() })

const GRACE = '10s'

/** The views as they come in; the key is the visitor. */
export function declareViews(app: App, prefix = '') {
  return app.topic(`${prefix}views`, {
    key: 'string',
    value: json(View),
    partitions: 4,
    timestamp: (view) => view.at,
  })
}

/** Views by page and by visitor, in windows. `prefix`: of the topics, which several apps on one broker keep apart. */
export function declarePageViews(app: App, prefix = '') {
  const views = declareViews(app, prefix)
  const late = app.topic(`${prefix}late-views`, { key: 'string', value: json(View), partitions: 1 })
  const minuteTotals = app.topic(`${prefix}minute-totals`, { key: 'string', value: json(MinuteTotal), partitions: 4 })
  const visits = app.topic(`${prefix}visits`, { key: 'string', value: json(Visit), partitions: 4 })

  const counts = app.table('views', { key: 'string', value: 'number', default: () => 0, partitions: 4 })
  const minutes = counts.tumbling('1m', { name: 'minutes', grace: GRACE, retention: '1d', late })
  const hours = counts.hopping('1h', '5m', { name: 'hours', grace: GRACE, retention: '2h' })

  // Visitors look at many pages: each view goes on to the partition of its page, and event time with it.
  app.agent('count-pages', views, async (views) => {
    for await (const { key: page } of views.groupBy((view) => view.page, { name: `${prefix}by-page` }).events()) {
      minutes.update(page, (n) => n + 1)
      hours.update(page, (n) => n + 1)
    }
  })
  app.agent('publish-minutes', minutes.closed, async (closed) => {
    for await (const { key, window, value } of closed)
      await minuteTotals.send({ key, value: { start: window.start, views: value } })
  })

  // A visit goes on as long as no half hour passes without a view.
  const visiting = app
    .table('visiting', { key: 'string', value: 'number', default: () => 0, partitions: 4 })
    .session('30m', { name: 'visiting-now', grace: GRACE, merge: (earlier, later) => earlier + later })
  app.agent('follow-visits', views, async (views) => {
    for await (const { key: visitor } of views.events()) visiting.update(visitor, (n) => n + 1)
  })
  app.agent('publish-visits', visiting.closed, async (closed) => {
    for await (const { key, window, value } of closed)
      await visits.send({ key, value: { start: window.start, end: window.end, views: value } })
  })

  return { views, late, minuteTotals, visits, minutes, hours, visiting }
}

export type PageViews = ReturnType<typeof declarePageViews>
