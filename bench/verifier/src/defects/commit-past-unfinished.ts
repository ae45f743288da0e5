import { type CommitOffset, partitionKey, type RecordBatch } from '@millrace/core'
import type { Consumer, Transport } from '@millrace/core/driver'
import { overriding } from './overriding.ts'

/** Commits one more than is finished, where there is one more. */
export function commitPastUnfinished(transport: Transport): Transport {
  const fetched = new Map<string, number>()
  const beyond = (offsets: readonly CommitOffset[]): readonly CommitOffset[] =>
    offsets.map((one) =>
      (fetched.get(partitionKey(one)) ?? 0) > one.offset ? { ...one, offset: one.offset + 1 } : one,
    )
  return overriding(transport, {
    consumer: (options) => {
      const consumer: Consumer = transport.consumer(options)
      return overriding(consumer, {
        batches: () => noting(consumer.batches(), fetched),
        commit: (offsets) => consumer.commit(beyond(offsets)),
      })
    },
    transactionalProducer: (options) => {
      const producer = transport.transactionalProducer(options)
      return overriding(producer, { sendOffsets: (groupId, offsets) => producer.sendOffsets(groupId, beyond(offsets)) })
    },
  })
}

async function* noting(
  batches: AsyncIterable<RecordBatch>,
  fetched: Map<string, number>,
): AsyncGenerator<RecordBatch, void> {
  for await (const batch of batches) {
    const last = batch.records.at(-1)
    if (last !== undefined) fetched.set(partitionKey(batch), last.offset + 1)
    yield batch
  }
}
