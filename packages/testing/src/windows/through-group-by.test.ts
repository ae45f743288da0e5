import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000
const EVENTS = 240

/** Four partitions of which each has minutes 0 to 59 in order, by way of `groupBy` to windows without grace. */
function visitsApp(processingGuarantee: 'at-least-once' | 'exactly-once') {
  const app = createApp({ id: 'grouped', processingGuarantee, idleAfter: '30s' })
  const visits = app.topic('visits', { value: 'json', partitions: 4 })
  const closed: string[] = []
  app.agent('count', visits, async (stream) => {
    const perHour = stream
      .groupBy((visit) => (visit as { page: string }).page)
      .tumbling('10m')
      .count()
    for await (const { key, window, value } of perHour.emit('close'))
      closed.push(`${key} ${window.start / MINUTE} ${value}`)
  })
  return { app, visits, closed }
}

const expected = ['a', 'b'].flatMap((key) => [0, 10, 20, 30, 40].map((start) => `${key} ${start} 20`))

test.each(['at-least-once', 'exactly-once'] as const)(
  'on a replay, a task that runs far ahead makes no event of the others late: %s',
  async (guarantee) => {
    const { app, visits, closed } = visitsApp(guarantee)
    await using t = await testApp(app)
    for (const worker of t.all) await worker.stop()
    // One partition after the other is written, so that each of them is read far ahead of the next.
    for (let partition = 0; partition < 4; partition++)
      for (let n = 0; n < EVENTS / 4; n++) {
        const page = n % 2 === 0 ? 'a' : 'b'
        await t.send(visits, { value: { page }, partition, timestamp: n * MINUTE })
      }
    await t.worker()
    await t.settle()
    await t.clock.advance('10s')
    const { late } = await lateIn(t)
    expect(late).toBe(0)
    expect(closed.toSorted()).toEqual(expected.toSorted())
  },
)

test('watermarks continue after a restart, and an idle task holds back no other', async () => {
  const { app, visits, closed } = visitsApp('at-least-once')
  await using t = await testApp(app)
  for (let n = 0; n < 60; n++) {
    // The last partition has nothing after the first ten minutes.
    for (let partition = 0; partition < (n < 10 ? 4 : 3); partition++)
      await t.send(visits, { value: { page: n % 2 === 0 ? 'a' : 'b' }, partition, timestamp: n * MINUTE })
    if (n % 20 !== 7) continue
    await t.settle()
    await t.clock.advance('2s')
    for (const worker of t.all) await worker.stop()
    await t.worker()
  }
  await t.settle()
  await t.clock.advance('5s')
  // It holds the others at minute 9.
  expect(closed).toEqual([])
  await t.clock.advance('2m')
  expect((await lateIn(t)).late).toBe(0)
  const values = ['a', 'b'].flatMap((key) =>
    [0, 10, 20, 30, 40].map((start) => `${key} ${start} ${start === 0 ? 20 : 15}`),
  )
  expect(closed.toSorted()).toEqual(values.toSorted())
})

async function lateIn(t: { fetch(path: string): Promise<Response> }): Promise<{ late: number }> {
  const stats = (await (await t.fetch('/stats')).json()) as { tables: Record<string, { late: number }> }
  return { late: Object.values(stats.tables).reduce((sum, { late }) => sum + late, 0) }
}
