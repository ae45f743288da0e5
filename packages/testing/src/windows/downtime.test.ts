import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000
const DAY = 1440 * MINUTE
/** More than closing reads at a time. */
const KEYS = Array.from({ length: 700 }, (_, nth) => `k${String(nth).padStart(3, '0')}`)

test.each(['at-least-once', 'exactly-once'] as const)(
  'windows that a downtime has taken beyond their retention are kept until each has closed, in order: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'down', processingGuarantee, idleAfter: false, commitInterval: '100ms' })
    const clicks = app.topic('clicks', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
    const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
    const minutes = counts.tumbling('1m', { grace: '1h', retention: '1h' })
    const closed: string[] = []
    let failures = 0
    app.agent('count', clicks, async (stream) => {
      for await (const { key } of stream.events()) minutes.update(key, (n) => n + 1)
    })
    app.agent(
      'publish',
      minutes.closed,
      async (stream) => {
        for await (const { key, window, value } of stream) {
          // While the first one is tried again, commits could delete what has expired.
          if (failures < 3) throw new Error(`failure ${++failures}`)
          closed.push(`${window.start / MINUTE} ${key} ${value}`)
        }
      },
      { onError: { retry: 10, backoff: '2s', then: 'stop' } },
    )
    await using t = await testApp(app)
    for (const minute of [0, 1]) for (const key of KEYS) await t.send(clicks, { key, value: minute * MINUTE })
    await t.advance('1s')
    for (const worker of t.all) await worker.stop()
    expect(closed).toEqual([])

    await t.clock.advance(10 * DAY)
    await t.worker()
    for (let second = 0; second < 30; second++) {
      await t.send(clicks, { key: 'later', value: 10 * DAY + second })
      await t.advance('1s')
    }
    expect(failures).toBe(3)
    expect(closed).toEqual([0, 1].flatMap((minute) => KEYS.map((key) => `${minute} ${key} 1`)))
    // Then they are deleted: the open window is left.
    expect(minutes.stats()).toMatchObject({ rows: 1, late: 0, windows: { open: 1, closed: 1400 } })
  },
)
