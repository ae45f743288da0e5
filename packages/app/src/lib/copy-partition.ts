import { MillraceError, type ClientContext, type StorePartition, type TopicPartition } from '@millrace/core'
import { memoryStore } from '@millrace/tables'

/** Reads a compacted partition to its present end into memory. */
export async function copyPartition(client: ClientContext, source: TopicPartition): Promise<StorePartition> {
  const store = memoryStore()
  const copy = await store.open(source.topic, source.partition)
  const reader = client.reader('read-committed')
  try {
    const [offsets] = await reader.offsets([source])
    if (offsets === undefined || offsets.end === offsets.beginning) return copy
    reader.assign(source, offsets.beginning)
    for await (const { records, nextOffset } of reader.batches()) {
      const rows = records.flatMap(({ key, value }) => (key === null ? [] : [{ key, value }]))
      await store.commit([{ partition: copy, rows, checkpoint: undefined }])
      if (nextOffset >= offsets.end) return copy
    }
    throw new MillraceError('CLOSED', `Reading ${source.topic}/${source.partition} ended before its end.`)
  } finally {
    await reader.close()
  }
}
