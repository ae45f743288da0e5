import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'
import { letters } from './letters.fixture.ts'

const PARTITIONS = 8
const KEYS = 61
const COUNT = 4000
const isHopeless = (n: number): boolean => n % 100 === 37
const isUnlucky = (n: number): boolean => n % 100 === 73

test.each(['at-least-once', 'exactly-once'] as const)(
  'of events of which one in a hundred fails for good, these are the dead letters, and nothing else is missing or out of order: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'shop', processingGuarantee })
    const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: PARTITIONS })
    const out = app.topic('out', { key: 'string', value: 'number', partitions: PARTITIONS })
    const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
    const failedOnce = new Set<number>()
    app.agent(
      'count',
      numbers,
      async (stream) => {
        for await (const [key, n] of stream.items()) {
          counts.update(key, (count) => count + 1)
          await out.send({ key, value: n })
          if (isHopeless(n)) throw new TypeError(`no ${n}`)
          if (!isUnlucky(n) || failedOnce.has(n)) continue
          failedOnce.add(n)
          throw new Error(`not yet ${n}`)
        }
      },
      { concurrency: 4 },
    )
    await using t = await testApp(app)
    await t.worker()
    await t.worker()
    for (let n = 0; n < COUNT; n++)
      await t.send(numbers, {
        key: `k${n % KEYS}`,
        value: n,
        headers: { trace: `t${n}` },
        timestamp: 1_700_000_000_000 + n,
      })
    for (let round = 0; round < 90; round++) await t.clock.advance('1s')
    await t.settle()

    const all = Array.from({ length: COUNT }, (_, n) => n)
    const hopeless = all.filter(isHopeless)
    const source = new Map(t.sent(numbers).map((record) => [record.value, record]))
    const dead = letters(t, 'shop-count-dlq')
    expect(dead.map(({ value }) => Number(value)).toSorted((a, b) => a - b)).toEqual(hopeless)
    for (const { value, key, timestamp, partition, own, told } of dead) {
      const from = source.get(Number(value))
      expect({ key, timestamp, partition, own }).toEqual({
        key: from?.key,
        timestamp: from?.timestamp,
        partition: from?.partition,
        own: { trace: `t${value}` },
      })
      expect(told).toMatchObject({
        'millrace-agent': 'count',
        'millrace-topic': 'numbers',
        'millrace-partition': String(from?.partition),
        'millrace-offset': String(from?.offset),
        'millrace-timestamp': String(from?.timestamp),
        'millrace-attempts': '4',
        'millrace-error-code': '',
        'millrace-error-class': 'TypeError',
        'millrace-error-message': `no ${value}`,
        'millrace-error-stack': expect.stringContaining('failing-for-good.test.ts'),
      })
    }

    for (let k = 0; k < KEYS; k++)
      expect(counts.get(`k${k}`)).toBe(all.filter((n) => n % KEYS === k && !isHopeless(n)).length)
    for (let k = 0; k < KEYS; k++) {
      const sent = t.sent(out).filter(({ key }) => key === `k${k}`)
      // What waits for its next attempt holds up its key, so the order of a key holds.
      expect(sent.map(({ value }) => value)).toEqual(all.filter((n) => n % KEYS === k && !isHopeless(n)))
    }

    const [summary] = await t.deadLetters.list({ newest: 3 })
    expect(summary).toMatchObject({ agent: 'count', letters: hopeless.length, waiting: hopeless.length })
    expect(summary?.newest).toHaveLength(3)
  },
  120_000,
)
