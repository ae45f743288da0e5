import type { TransactionalProducer, Transport } from '@millrace/core/driver'

/** A connection some of whose transactional producers' methods are replaced. */
export function changedProducer(
  inner: Transport,
  change: (producer: TransactionalProducer) => Partial<TransactionalProducer>,
): Transport {
  return {
    capabilities: inner.capabilities,
    connect: (options) => inner.connect(options),
    consumer: (options) => inner.consumer(options),
    producer: () => inner.producer(),
    reader: (options) => inner.reader(options),
    admin: () => inner.admin(),
    brokers: () => inner.brokers(),
    close: () => inner.close(),
    transactionalProducer: (options) => {
      const producer = inner.transactionalProducer(options)
      return {
        init: () => producer.init(),
        begin: () => producer.begin(),
        partitions: (topic) => producer.partitions(topic),
        brokerOf: (partition) => producer.brokerOf(partition),
        send: (records, sending) => producer.send(records, sending),
        sendOffsets: (group, offsets) => producer.sendOffsets(group, offsets),
        commit: () => producer.commit(),
        abort: () => producer.abort(),
        close: () => producer.close(),
        ...change(producer),
      }
    },
  }
}
