import { describeKafka } from '@millrace/kafka-for-tests'
import { leaderFlows } from './leader-flows.ts'

describeKafka('jobs of the leader, on Kafka', (brokers) => {
  leaderFlows(() => `kafka://${brokers.join(',')}`, { MILLRACE_WEB_ADMIN: 'true' })
})
