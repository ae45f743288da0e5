import { describeKafka } from '@millrace/kafka-for-tests'
import { test } from 'vitest'
import { briefRun } from './brief-run.fixture.ts'

/** With more kills and records it is `pnpm verify`. */
const GUARANTEES = ['at-least-once', 'exactly-once'] as const
const CHAOS = '--seed 7 --minutes 0.45 --records 4000 --kills 3 --stops 1 --freezes 1 --session 2000 --commit 400'

describeKafka('workers that are killed, stopped and frozen, on Kafka', (brokers) => {
  // Side by side: most of it is waiting. Not again where it fails: what is lost once is lost.
  test.concurrent.each(GUARANTEES)('lose nothing: %s', { retry: 0, timeout: 300_000 }, async (guarantee) => {
    await briefRun(guarantee, `kafka://${brokers.join(',')}`, CHAOS)
  })
})
