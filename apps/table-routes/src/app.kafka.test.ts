import { describeKafka } from '@millrace/kafka-for-tests'
import { routeFlows } from './route-flows.ts'

describeKafka('table routes, three workers on Kafka', (brokers) => {
  routeFlows(() => `kafka://${brokers.join(',')}`)
})
