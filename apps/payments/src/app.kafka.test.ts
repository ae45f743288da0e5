import { describeKafka } from '@millrace/kafka-for-tests'
import { test } from 'vitest'
import { paymentFlowOn } from './on-broker.ts'

describeKafka('payments, on Kafka', (brokers) => {
  test('the flow, exactly once', { timeout: 90_000 }, async () => {
    await paymentFlowOn(`kafka://${brokers.join(',')}`, 'exactly-once')
  })
})
