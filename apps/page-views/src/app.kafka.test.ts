import { describeKafka } from '@millrace/kafka-for-tests'
import { test } from 'vitest'
import { viewFlowOn } from './on-broker.ts'

describeKafka('page views, on Kafka', (brokers) => {
  test('the flow, exactly once', { timeout: 90_000 }, async () => {
    await viewFlowOn(`kafka://${brokers.join(',')}`, 'exactly-once')
  })
})
