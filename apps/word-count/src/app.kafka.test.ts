import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { collectLog } from '@millrace/testing'
import { createKafkaTransport } from '@millrace/transport-kafkajs'
import { wordCountFlows } from './word-count-flows.ts'

describeKafka('word count, on Kafka', (brokers) => {
  wordCountFlows({
    broker: () => `kafka://${brokers.join(',')}`,
    transport: async () =>
      createKafkaTransport({ brokers, clientId: 'test' }, { clock: systemClock(), log: collectLog() }),
  })
})
