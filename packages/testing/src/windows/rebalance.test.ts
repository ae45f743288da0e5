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
