import { createApp, json, type App, type GlobalTable, type SetTable, type Topic } from '@millrace/app'
import { describe, expect, it } from 'vitest'
import { testApp, type TestApp } from '../lib/test-app.ts'

interface Visit {
  readonly page: string
  readonly user: string
  readonly left?: boolean
}

interface Site {
  readonly app: App
  readonly visits: Topic<string, Visit>
  readonly lastVisitor: GlobalTable<string, string>
  readonly visitors: SetTable<string, string>
  readonly everywhere: { values(key: string): readonly string[]; has(key: string, element: string): boolean }
}

function site(): Site {
  const app = createApp({ id: 'site' })
  const visits = app.topic('visits', { key: 'string', value: json<Visit>() })
  const lastVisitor = app.globalTable('last_visitor', { key: 'string', value: 'string' })
  const visitors = app.setTable('visitors', { key: 'string', value: 'string' })
  const everywhere = app.setTable('visitors_everywhere', { key: 'string', value: 'string', global: true })
  app.agent('note', visits, async (stream) => {
    for await (const { page, user, left } of stream) {
      if (left === true) {
        visitors.delete(page, user)
        everywhere.delete(page, user)
        continue
      }
      lastVisitor.set(page, user)
      // The writer sees its own write at once.
      if (lastVisitor.get(page) !== user) throw new Error(`The write of ${page} is not seen.`)
      visitors.add(page, user)
      everywhere.add(page, user)
    }
  })
  return { app, visits, lastVisitor, visitors, everywhere }
}

const PAGES = Array.from({ length: 20 }, (_, i) => `/page-${i}/`)
const USERS = ['ann', 'bob', 'cy']

async function visitAll(t: TestApp, visits: Site['visits'], users: readonly string[]): Promise<void> {
  for (const page of PAGES) for (const user of users) await t.send(visits, { key: page, value: { page, user } })
  await t.settle()
}

describe('global and set tables with two workers on 8 partitions', () => {
  it('both workers write, read all rows, and find the same rows after a restart', async () => {
    const { app, visits, lastVisitor, visitors, everywhere } = site()
    await using t = await testApp(app, { partitions: 8 })
    await t.worker()
    await visitAll(t, visits, USERS)
    for (const page of PAGES) await t.send(visits, { key: page, value: { page, user: 'bob', left: true } })
    await t.settle()
    const look = (): unknown =>
      PAGES.map((page) => [
        page,
        lastVisitor.get(page),
        visitors.values(page).toSorted(),
        everywhere.values(page).toSorted(),
      ])
    const before = look()
    expect(before).toEqual(PAGES.map((page) => [page, 'cy', ['ann', 'cy'], ['ann', 'cy']]))

    // Each worker alone has the whole of the global ones.
    expect(t.all).toHaveLength(2)
    for (const worker of t.all) {
      const there = t.within(worker, () =>
        PAGES.map((page) => [lastVisitor.get(page), everywhere.has(page, 'ann'), everywhere.has(page, 'bob')]),
      )
      expect(there).toEqual(PAGES.map(() => ['cy', true, false]))
    }

    for (const { stop } of t.all) await stop()
    await t.worker()
    await t.worker()
    expect(look()).toEqual(before)
  })

  it('the committed rows of a killed worker survive', async () => {
    const { app, visits, lastVisitor, visitors } = site()
    await using t = await testApp(app, { partitions: 8 })
    const second = await t.worker()
    await visitAll(t, visits, USERS)
    await t.clock.advance('2s')
    await second.kill()
    for (const page of PAGES) {
      expect(lastVisitor.get(page)).toBe('cy')
      expect(visitors.values(page).toSorted()).toEqual(USERS)
    }
  })
})
