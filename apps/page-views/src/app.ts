import { createApp } from '@millrace/app'
import { chartPage } from './chart.ts'
import { declarePageViews } from './page-views.ts'

export const app = createApp({ id: 'page-views' })

export const { views, minutes, hours, visiting } = declarePageViews(app)

// Each is answered by the worker that has the key.
app.page(
  '/chart/:page/',
  app.tableRoute(minutes, { param: 'page' }, (c, page) =>
    c.html(chartPage(`Views of ${page}`, minutes.get(page).windows())),
  ),
)
app.page(
  '/trend/:page/',
  app.tableRoute(hours, { param: 'page' }, (c, page) =>
    c.json({ lastHour: hours.get(page).current(), anHourAgo: hours.get(page).delta('1h') }),
  ),
)
app.page(
  '/visitor/:visitor/',
  app.tableRoute(visiting, { param: 'visitor' }, (c, visitor) => c.json(visiting.get(visitor).windows())),
)

await app.main(import.meta)
