import { expect } from 'vitest'
import { MinuteTotal, type PageViews } from './page-views.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 1)
const VISITORS = 12
const PAGES = ['/', '/shop', '/about']

interface Viewed {
  readonly visitor: string
  readonly page: string
  readonly at: number
}

/** What the flow needs of where it runs. */
export interface Stage {
  readonly declared: PageViews
  /** Waits until what is given holds. */
  readonly until: (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>
  /** Decoded values of what is in a topic, with their keys. */
  readonly sent: (
    of: 'minuteTotals' | 'visits' | 'late',
  ) => Promise<readonly (readonly [key: string, value: unknown])[]>
}

/** Two visits of each visitor, a gap of two hours apart; views come up to ten seconds out of order. */
function firstViews(): readonly Viewed[] {
  const views: Viewed[] = []
  for (let visit = 0; visit < 2; visit++)
    for (let step = 0; step < 5; step++)
      for (let nth = 0; nth < VISITORS; nth++) {
        const at = START + visit * 120 * MINUTE + step * 7 * MINUTE + nth * 20_000 - (nth % 2) * 9_000
        views.push({ visitor: `v${nth}`, page: PAGES[(nth + step) % PAGES.length] ?? '/', at: Math.max(at, START) })
      }
  return views
}

/** Views, windows that close, and one view that comes too late: the same on every broker. */
export async function viewFlow({ declared: { views, minutes, hours, visiting }, until, sent }: Stage): Promise<void> {
  const send = ({ visitor, page, at }: Viewed): Promise<unknown> => views.send({ key: visitor, value: { page, at } })
  const first = firstViews()
  for (const view of first) await send(view)
  // A day later, in every partition of visitors: all windows before close.
  const end = START + 1440 * MINUTE
  for (let nth = 0; nth < 40; nth++) await send({ visitor: `later-${nth}`, page: PAGES[nth % 3] ?? '/', at: end })

  // Counted by brute force, without windows.
  const perMinute = new Map<string, number>()
  for (const { page, at } of first) {
    const key = `${page} ${Math.floor(at / MINUTE) * MINUTE}`
    perMinute.set(key, (perMinute.get(key) ?? 0) + 1)
  }
  await until('minutes', async () => (await sent('minuteTotals')).length >= perMinute.size)
  const totals = (await sent('minuteTotals')).map(([page, value]) => {
    const { start, views: count } = MinuteTotal.parse(value)
    return [`${page} ${start}`, count] as const
  })
  expect(new Map(totals)).toEqual(perMinute)
  expect(totals).toHaveLength(perMinute.size)

  await until('visits', async () => (await sent('visits')).length >= 2 * VISITORS)
  for (const [visitor, visit] of await sent('visits')) {
    const times = first.flatMap((view) => (view.visitor === visitor ? [view.at] : [])).sort((a, b) => a - b)
    const [one, two] = [times.slice(0, 5), times.slice(5)]
    expect([one, two].map((each) => ({ start: each[0], end: each.at(-1), views: 5 }))).toContainEqual(visit)
  }
  expect(await sent('visits')).toHaveLength(2 * VISITORS)

  await send({ visitor: 'v0', page: '/shop', at: START + MINUTE })
  await until('the late view', async () => (await sent('late')).length > 0)
  expect(await sent('late')).toEqual([['/shop', { page: '/shop', at: START + MINUTE }]])
  await until('what is open', () => hours.get('/shop').at(end) === 13 && minutes.get('/shop').at(end) === 13)
  expect(visiting.get('later-0').windows()).toEqual([{ start: end, end, value: 1 }])
}
