import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { app, lateViews, views, visiting, visits } from './app.ts'

const MINUTE = 60_000

test('views of half an hour are one visit, which is published when it is over', async () => {
  await using t = await testApp(app)
  const start = t.clock.now()
  const view = (visitor: string, minute: number) =>
    t.send(views, { key: visitor, value: { page: '/', at: start + minute * MINUTE } })
  await view('ann', 0)
  await view('ann', 20)
  await t.settle()
  expect(visiting.get('ann').windows()).toEqual([{ start, end: start + 20 * MINUTE, value: 2 }])
  expect(await (await t.fetch('/visitor/ann/')).json()).toHaveLength(1)

  // Nobody views anything any more: event time goes on with the clock.
  await t.advance('52m')
  expect(t.sent(visits)).toMatchObject([{ key: 'ann', value: { start, end: start + 20 * MINUTE, views: 2 } }])

  await view('ann', 1)
  await t.settle()
  expect(t.sent(lateViews)).toMatchObject([{ key: 'ann', value: { at: start + MINUTE } }])
})
