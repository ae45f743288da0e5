import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { app, views } from './app.ts'
import { chartPage } from './chart.ts'
import { declarePageViews } from './page-views.ts'
import { viewFlow } from './view-flow.ts'

test.each(['at-least-once', 'exactly-once'] as const)(
  'the flow in memory, with 2 workers: %s',
  async (processingGuarantee) => {
    const flowApp = createApp({ id: 'page-views', processingGuarantee })
    const declared = declarePageViews(flowApp)
    await using t = await testApp(flowApp)
    await t.worker()
    const sent = {
      minuteTotals: () => t.sent(declared.minuteTotals),
      visits: () => t.sent(declared.visits),
      late: () => t.sent(declared.late),
    }
    await viewFlow({
      declared,
      until: async (what, holds) => {
        for (let turn = 0; turn < 20 && !(await holds()); turn++) {
          await t.settle()
          await t.clock.advance('1s')
        }
        expect(await holds(), what).toBe(true)
      },
      sent: async (of) => sent[of]().map(({ key, value }) => [key ?? '', value]),
    })
  },
)

test('pages show the windows of a key', async () => {
  await using t = await testApp(app)
  const at = t.clock.now()
  for (const [minutes, visitor] of [
    [0, 'ada'],
    [1, 'ada'],
    [1, 'bob'],
  ] as const)
    await t.send(views, { key: visitor, value: { page: 'home', at: at + minutes * 60_000 } })
  await t.settle()
  const html = await (await t.fetch('/chart/home/')).text()
  expect(html.match(/<title>[^<]+: \d<\/title>/g)).toEqual([
    '<title>2026-01-01T00:00:00.000Z: 1</title>',
    '<title>2026-01-01T00:01:00.000Z: 2</title>',
  ])
  expect(await (await t.fetch('/trend/home/')).json()).toEqual({ lastHour: 3, anHourAgo: 0 })
  expect(await (await t.fetch('/visitor/ada/')).json()).toEqual([{ start: at, end: at + 60_000, value: 2 }])
})

test('the chart has a bar for each window, and shows a hostile page as text', () => {
  const html = chartPage('<script>alert(1)</script>', [
    { start: 0, end: 60_000, value: 3 },
    { start: 120_000, end: 180_000, value: 6 },
  ])
  expect(html.match(/<rect/g)).toHaveLength(2)
  expect(html).toContain('x="480" y="0" width="239" height="160"')
  expect(html).not.toContain('<script>')
  expect(chartPage('nothing', [])).toContain('No views yet.')
})
