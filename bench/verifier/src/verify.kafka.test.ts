import { describeKafka } from '@millrace/kafka-for-tests'
import { test } from 'vitest'
import { briefRun } from './brief-run.fixture.ts'

/** Both guarantees in turn; with more kills and records it is `pnpm verify`. */
const GUARANTEES = ['at-least-once', 'exactly-once'] as const

describeKafka('workers that are killed, stopped and frozen, on Kafka', (brokers) => {
  test.each(GUARANTEES)(
    'lose nothing: %s',
    async (guarantee) => {
      const chaos = [
        '--seed',
        '7',
        '--minutes',
        '0.4',
        '--records',
        '8000',
        '--kills',
        '3',
        '--stops',
        '1',
        '--freezes',
        '1',
      ]
      await briefRun(guarantee, ...chaos, '--session', '2000', '--broker', `kafka://${brokers.join(',')}`)
    },
    300_000,
  )
})
