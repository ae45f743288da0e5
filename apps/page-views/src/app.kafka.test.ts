import { describeKafka } from '@millrace/kafka-for-tests'
import { test } from 'vitest'
import { downtimeFlowOn, viewFlowOn } from './on-broker.ts'

describeKafka('page views, on Kafka', (brokers) => {
  test('the flow, exactly once', { timeout: 90_000 }, async () => {
    await viewFlowOn(`kafka://${brokers.join(',')}`, 'exactly-once')
  })

  test('an app that was down for a week loses nothing, exactly once', { timeout: 90_000 }, async () => {
    await downtimeFlowOn(`kafka://${brokers.join(',')}`, 'exactly-once')
  })
})
