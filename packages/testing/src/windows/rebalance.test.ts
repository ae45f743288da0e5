import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

test.each(['at-least-once', 'exactly-once'] as const)(
  'windows count and close once while workers come and go: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'moving', processingGuarantee, idleAfter: false })
    const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 4, timestamp: (at) => at })
    const table = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
    const closed: string[] = []
    const view = table.tumbling(10, {
      onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${window.start} ${value}`),
    })
    app.agent('count', topic, async (stream) => {
      for await (const { key } of stream.events()) view.update(key, (n) => n + 1)
    })
    await using t = await testApp(app)
    const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
    for (let round = 0; round < 6; round++) {
      for (const key of keys) await t.send(topic, { key, value: round * 10 })
      for (const key of keys) await t.send(topic, { key, value: round * 10 + 5 })
      await t.settle()
      await t.clock.advance('2s')
      if (round % 2 === 0) await t.worker()
      else await t.all[0]?.stop()
    }
    // A partition's last window is open until something comes after it.
    const expected = keys.flatMap((key) => [0, 10, 20, 30, 40].map((start) => `${key} ${start} 2`))
    expect(closed.toSorted()).toEqual(expected.toSorted())
    expect(view.stats()).toMatchObject({ late: 0, rows: keys.length * 6 })
  },
)

const TIMES = Array.from({ length: 12 }, (_, n) => n * 5)
const DIFFERENCE = 7

/** The sliding windows of one key that are closed at the end, by brute force. */
function slidesOf(key: string): readonly string[] {
  const starts = new Set(TIMES.flatMap((time) => [Math.max(0, time - DIFFERENCE), time + 1]))
  return [...starts].flatMap((start) => {
    const count = TIMES.filter((time) => time >= start && time <= start + DIFFERENCE).length
    return count > 0 && start + DIFFERENCE < Math.max(...TIMES) ? `${key} ${start} ${count}` : []
  })
}

test.each([
  ['at-least-once', 'stop'],
  ['exactly-once', 'stop'],
  ['at-least-once', 'kill'],
  ['exactly-once', 'kill'],
] as const)('sliding windows count and close while workers come and go: %s, %s', async (processingGuarantee, end) => {
  const app = createApp({ id: 'sliding', processingGuarantee, idleAfter: false })
  const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 4, timestamp: (at) => at })
  const closed: string[] = []
  const view = app.table('counts', { key: 'string', value: 'number', default: () => 0 }).sliding(DIFFERENCE, {
    onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${window.start} ${value}`),
  })
  app.agent('count', topic, async (stream) => {
    for await (const { key } of stream.events()) view.update(key, (n) => n + 1)
  })
  await using t = await testApp(app)
  const keys = Array.from({ length: 5 }, (_, n) => `k${n}`)
  for (const [nth, at] of TIMES.entries()) {
    for (const key of keys) await t.send(topic, { key, value: at })
    await t.settle()
    if (nth % 2 === 0) await t.clock.advance('2s')
    if (nth % 3 === 0) await t.worker()
    // Every other time in the middle of a commit interval, with changed rows.
    if (nth % 3 === 1) await t.all[0]?.[end]()
  }
  await t.clock.advance('2m')
  const expected = keys.flatMap(slidesOf)
  expect(view.late).toBe(0)
  // What a handler does outside the app happens again after a crash, exactly once, too.
  if (end === 'stop') expect(closed.toSorted()).toEqual(expected.toSorted())
  if (processingGuarantee === 'exactly-once') expect([...new Set(closed)].toSorted()).toEqual(expected.toSorted())
  // At least once, what a crash has interrupted is counted again.
  const counted = new Map(closed.map((text) => [text.slice(0, text.lastIndexOf(' ')), Number(text.split(' ')[2])]))
  for (const text of expected)
    expect(counted.get(text.slice(0, text.lastIndexOf(' ')))).toBeGreaterThanOrEqual(Number(text.split(' ')[2]))
  expect(counted.size).toBe(expected.length)
})
