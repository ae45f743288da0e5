import type { Transport } from '@millrace/core'

/** A connection whose transactional producers take over their id only once `gate` has opened. */
export function slowToFence(inner: Transport, gate: Promise<void>): Transport {
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
        init: async () => {
          await gate
          await producer.init()
        },
        begin: () => producer.begin(),
        partitions: (topic) => producer.partitions(topic),
        lane: (partition) => producer.lane(partition),
        send: (records, sending) => producer.send(records, sending),
        sendOffsets: (group, offsets) => producer.sendOffsets(group, offsets),
        commit: () => producer.commit(),
        abort: () => producer.abort(),
        close: () => producer.close(),
      }
    },
  }
}
