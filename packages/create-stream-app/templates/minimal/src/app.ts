import { createApp } from '@millrace/app'

export const app = createApp({ id: 'template-minimal' })

/** One record for each visit: the key is the visited page. */
export const visits = app.topic('visits', { key: 'string', value: 'string' })

export const counts = app.table('visit_counts', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'page -> visits',
})

app.agent('count-visits', visits, async (stream) => {
  for await (const [page] of stream.items()) counts.update(page, (count) => count + 1)
})

app.page(
  '/visits/:page/',
  app.tableRoute(counts, { param: 'page' }, (c, page) => c.json({ [page]: counts.get(page) })),
)
