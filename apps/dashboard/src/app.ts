import { createApp, json } from '@millrace/app'
import { z } from 'zod'
import { slowStore } from './slow-store.ts'

const Visit = z.object({ page: z.string(), ms: z.number() })

const slowMs = Number(process.env['DASHBOARD_STORE_MS'] ?? 0)

export const app = createApp({
  id: 'dashboard',
  topicPartitions: 4,
  ...(slowMs > 0 ? { store: () => slowStore(slowMs) } : {}),
})

export const visits = app.topic('visits', { key: 'string', value: json(Visit) })
const slowVisits = app.topic('slow-visits', { key: 'string', value: json(Visit) })

export const counts = app.table('visits_by_page', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'page -> visits',
})

const minutes = counts.tumbling('1m', { name: 'minutes', grace: '10s' })

app.agent(
  'count-visits',
  visits,
  async (stream) => {
    for await (const { page } of stream) {
      // One that hangs, so that event time stands still.
      if (page === '/hangs') await new Promise(() => {})
      counts.update(page, (n) => n + 1)
      minutes.update(page, (n) => n + 1)
    }
  },
  { help: 'counts the visits of every page' },
)

app.agent(
  'find-slow',
  visits,
  async function* (stream) {
    for await (const visit of stream) {
      if (visit.page === '/broken') throw new Error('Nobody knows how long /broken took.')
      if (visit.ms > 900) yield visit
    }
  },
  { sinks: [slowVisits], onError: 'deadLetter', help: 'passes visits on that took long' },
)

app.timer('2s', async function rememberTheTime() {})

app.crontab('0 20 * * *', { timezone: 'America/Los_Angeles', onLeader: true }, async function everyEvening() {})

app.command(
  'visit',
  {
    describe: 'Sends visits of pages',
    positionals: { count: { type: 'number', default: 1000, describe: 'how many' } },
    options: { pages: { type: 'number', default: 50, describe: 'of so many pages' } },
  },
  async ({ count, pages }) => {
    for (let sent = 0; sent < count; sent += 1000) {
      const batch = Array.from({ length: Math.min(1000, count - sent) }, (_, index) => (sent + index) % pages)
      await Promise.all(
        batch.map((page) =>
          visits.send({ key: `/page-${page}`, value: { page: `/page-${page}`, ms: (page * 37) % 1000 } }),
        ),
      )
    }
  },
)

app.command('hang', { describe: 'Sends visits of four minutes, and one whose handling never ends' }, async () => {
  const now = Date.now()
  for (const [at, ago] of [600_000, 540_000, 360_000, 300_000].entries())
    for (let visit = 0; visit <= at; visit++)
      await visits.send({ key: '/page-1', value: { page: '/page-1', ms: 1 }, timestamp: now - ago })
  await visits.send({ key: '/page-1', value: { page: '/hangs', ms: 1 } })
})

app.command('break', { describe: 'Sends a visit that one of the agents gives up' }, async () => {
  await visits.send({ key: '/broken', value: { page: '/broken', ms: 1 } })
})

await app.main(import.meta)
