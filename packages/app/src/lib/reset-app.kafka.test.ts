import { describeKafka } from '@millrace/kafka-for-tests'
import { resetFlow } from './fixtures/reset-flow.fixture.ts'

describeKafka('reset, on Kafka', (brokers) => {
  resetFlow(() => `kafka://${brokers.join(',')}`)
})
