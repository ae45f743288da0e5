import { createApp, json } from '@millrace/app'

export interface View {
  readonly page: string
  /** When it was viewed, in milliseconds since the epoch. */
  readonly at: number
}

export interface Visit {
  readonly start: number
  readonly end: number
  readonly views: number
}

export const app = createApp({ id: 'template-windows' })

/** One record for each view: the key is the visitor. `timestamp` makes `at` the event time, however late it is read. */
export const views = app.topic('views', { key: 'string', value: json<View>(), timestamp: (view) => view.at })

/** Visits that are over. */
export const visits = app.topic('visits', { key: 'string', value: json<Visit>() })

/** Views that came when their visit was over. */
export const lateViews = app.topic('late-views', { key: 'string', value: json<View>() })

/** A visit goes on as long as no half hour passes without a view. */
export const visiting = app
  .table('views_by_visitor', { key: 'string', value: 'number', default: () => 0, help: 'visitor -> views' })
  .session('30m', { name: 'visiting', grace: '10s', late: lateViews, merge: (earlier, later) => earlier + later })

app.agent('follow-visits', views, async (stream) => {
  for await (const { key: visitor } of stream.events()) visiting.update(visitor, (count) => count + 1)
})

app.agent('publish-visits', visiting.closed, async (closed) => {
  for await (const { key, window, value } of closed)
    await visits.send({ key, value: { start: window.start, end: window.end, views: value } })
})

app.page(
  '/visitor/:visitor/',
  app.tableRoute(visiting, { param: 'visitor' }, (c, visitor) => c.json(visiting.get(visitor).windows())),
)
