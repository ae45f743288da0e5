import type { App } from '@millrace/app'
import { expect } from 'vitest'
import { MinuteTotal, type PageViews, Visit } from './page-views.ts'

const MINUTE = 60_000
const DAY = 1440 * MINUTE
const START = Date.UTC(2026, 0, 1)
const VISITORS = 8
const PAGES = ['/', '/shop', '/about']
/** How long after its view a visitor's timer is due by the clock. */
const AWAY_MS = 1500

/** Timers and rows that end, beside the windows: some by the clock, some by event time. */
export function declareAway(app: App, { views }: Pick<PageViews, 'views'>) {
  const greetings: Greeting[] = []
  const timers = { key: 'string', value: 'string', partitions: 4 } as const
  const away = app.keyTimers('away', { ...timers, clock: 'wall' })
  const gone = app.keyTimers('gone', { ...timers, clock: 'event' })
  const rows = { key: 'string', value: 'string', partitions: 4 } as const
  const onPage = app.table('on-page', { ...rows, ttl: AWAY_MS })
  const lastDay = app.table('last-day', { ...rows, ttl: '1d', clock: 'event' })
  const lastYear = app.table('last-year', { ...rows, ttl: '365d', clock: 'event' })
  app.agent('follow', views, async (views) => {
    for await (const { key, value, timestamp } of views.events()) {
      away.set(key, 'away', app.clock.now() + AWAY_MS, value.page)
      gone.set(key, 'gone', timestamp + DAY, value.page)
      for (const table of [onPage, lastDay, lastYear]) table.set(key, value.page)
    }
  })
  for (const timers of [away, gone])
    app.agent(`greet-${timers.name}`, timers, async (fired) => {
      for await (const { value, partition } of fired.events())
        greetings.push({ ...value, partition, firedAt: Date.now() })
    })
  return { greetings, onPage, lastDay, lastYear }
}

interface Greeting {
  readonly key: string
  readonly name: string
  readonly at: number
  readonly partition: number
  readonly firedAt: number
}

export interface Life {
  readonly declared: PageViews
  readonly away: ReturnType<typeof declareAway>
}

/** What the flow needs of where it runs. */
export interface DowntimeStage {
  /** Runs the app for as long as `use` takes, then stops it. */
  readonly life: (use: (life: Life) => Promise<void>) => Promise<void>
  /** Sends views while the app is down. */
  readonly meanwhile: (use: (views: PageViews['views']) => Promise<void>) => Promise<void>
  readonly until: (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>
  /** What has come out in all lives of the app. */
  readonly sent: (of: 'minuteTotals' | 'visits' | 'late') => readonly (readonly [key: string, value: unknown])[]
}

/**
 * The app stops with windows, timers and rows that are open, and event time goes on for a week while it is down, longer than
 * anything is retained: nothing is lost, and all of it comes in order afterwards.
 */
export async function downtimeFlow({ life, meanwhile, until, sent }: DowntimeStage): Promise<void> {
  const first = Array.from({ length: 4 * VISITORS }, (_, nth) => ({
    visitor: `v${nth % VISITORS}`,
    page: PAGES[nth % PAGES.length] ?? '/',
    at: START + nth * 20_000,
  }))
  const visitors = [...new Set(first.map(({ visitor }) => visitor))]
  const perMinute = new Map<string, number>()
  for (const { page, at } of first) {
    const key = `${page} ${Math.floor(at / MINUTE) * MINUTE}`
    perMinute.set(key, (perMinute.get(key) ?? 0) + 1)
  }
  const greetings: Greeting[] = []

  let stoppedAt = 0
  await life(async ({ declared: { views, visiting }, away }) => {
    for (const { visitor, page, at } of first) await views.send({ key: visitor, value: { page, at } })
    const counted = (): number =>
      visitors.flatMap((key) => visiting.get(key).windows()).reduce((sum, { value }) => sum + value, 0)
    await until('all views', () => counted() === first.length && visitors.every((key) => away.lastYear.has(key)))
    greetings.push(...away.greetings)
    away.greetings.length = 0
    stoppedAt = Date.now()
  })
  expect(sent('visits')).toEqual([])
  expect(sent('minuteTotals').length).toBeLessThan(perMinute.size)

  await meanwhile(async (views) => {
    for (let nth = 0; nth < 40; nth++)
      await views.send({ key: `later-${nth}`, value: { page: PAGES[nth % 3] ?? '/', at: START + 7 * DAY } })
  })
  await until('the timers to be due', () => Date.now() > stoppedAt + AWAY_MS)

  await life(async ({ declared: { hours }, away }) => {
    // By the clock they are hidden at once; by event time, once the views of the week have been read.
    expect(visitors.filter((key) => away.onPage.has(key))).toEqual([])
    await until('all windows', () => sent('minuteTotals').length >= perMinute.size && sent('visits').length >= VISITORS)
    await until('the rows of the day to end', () => !visitors.some((key) => away.lastDay.has(key)))
    const old = ({ key }: Greeting): boolean => visitors.includes(key)
    await until('all timers', () => [...greetings, ...away.greetings].filter(old).length >= 2 * VISITORS)
    greetings.push(...away.greetings.filter(old))
    expect(visitors.every((key) => away.lastYear.has(key))).toBe(true)
    // Past its retention.
    expect(hours.get('/shop').at(START)).toBe(0)
  })

  const totals = sent('minuteTotals').map(([page, value]) => ({ page, ...MinuteTotal.parse(value) }))
  expect(totals).toHaveLength(perMinute.size)
  expect(new Map(totals.map(({ page, start, views }) => [`${page} ${start}`, views]))).toEqual(perMinute)
  for (const page of PAGES) expectInOrder(totals.filter((total) => total.page === page).map(({ start }) => start))
  expect(sent('visits').map(([visitor, value]) => [visitor, Visit.parse(value).views])).toEqual(
    expect.arrayContaining(visitors.map((visitor) => [visitor, 4])),
  )
  expect(sent('visits')).toHaveLength(VISITORS)
  expect(sent('late')).toEqual([])
  expect(greetings.map(({ key, name }) => `${key} ${name}`).toSorted()).toEqual(
    visitors.flatMap((key) => [`${key} away`, `${key} gone`]).toSorted(),
  )
  for (const { name, at, firedAt } of greetings) if (name === 'away') expect(firedAt).toBeGreaterThanOrEqual(at)
  for (let partition = 0; partition < 4; partition++)
    for (const name of ['away', 'gone'])
      expectInOrder(greetings.filter((each) => each.partition === partition && each.name === name).map(({ at }) => at))
}

function expectInOrder(times: readonly number[]): void {
  expect(times).toEqual(times.toSorted((a, b) => a - b))
}
