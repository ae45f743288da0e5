import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { collectLog } from '@millrace/testing'
import { createKafkaTransport } from '@millrace/transport-kafkajs'
import { deadLetterFlows } from './dead-letter-flows.ts'

describeKafka('dead letters, on Kafka', (brokers) => {
  deadLetterFlows({
    broker: () => `kafka://${brokers.join(',')}`,
    guarantees: ['exactly-once'],
    transport: async () =>
      createKafkaTransport({ brokers, clientId: 'test' }, { clock: systemClock(), log: collectLog() }),
  })
})
