import { createApp, type App } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp, type TestApp } from '../index.ts'

const BOUND = 64 * 1024

for (const processingGuarantee of ['at-least-once', 'exactly-once'] as const) {
  test(`${processingGuarantee}: rows of tables and sets that wait for their commit stay under cacheBytes`, async () => {
    const app: App = createApp({
      id: 'changed-rows',
      broker: 'memory:',
      processingGuarantee,
      cacheBytes: BOUND,
      commitInterval: '30s',
    })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 2 })
    const texts = app.table('texts', { key: 'string', value: 'string', partitions: 2 })
    const seen = app.setTable('seen', { key: 'string', value: 'number', partitions: 2 })
    const running: { kit?: TestApp } = {}
    let peak = 0
    app.agent('write', source, async (stream) => {
      for await (const { key, value } of stream.events()) {
        peak = Math.max(peak, running.kit?.all[0]?.worker.stats().changedRows.bytes ?? 0)
        // Each row grows from one event to the next, and is counted as what it has become.
        texts.set(key, `${texts.get(key) ?? ''}${'x'.repeat(1000)}`)
        for (let element = 0; element < 10; element++) seen.add(key, value * 10 + element)
      }
    })
    await using kit = await testApp(app)
    running.kit = kit
    await Promise.all(Array.from({ length: 300 }, (_, n) => kit.send(source, { key: `k${n % 30}`, value: n })))
    await kit.settle()
    // The clock stood still: no commit was due, and what is left of changed rows is less than half.
    expect(peak).toBeGreaterThan(BOUND / 2)
    expect(peak).toBeLessThanOrEqual(BOUND)
    const stats = kit.all[0]?.worker.stats()
    expect(stats?.changedRows.full).toBe(false)
    expect(stats?.changedRows.bytes).toBeLessThanOrEqual(BOUND / 2)
    const rows = kit.log.records('changed-rows-texts-changelog').filter(({ value }) => value !== null)
    expect(rows.length).toBeGreaterThan(30)
    expect(texts.get('k3')).toHaveLength(10_000)
    await kit.all[0]?.stop()
  })
}
