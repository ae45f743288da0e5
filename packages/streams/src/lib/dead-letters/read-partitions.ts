import {
  type Clock,
  MillraceError,
  partitionKey,
  type PartitionOffsets,
  raceAbort,
  type RecordBatch,
  type TopicPartition,
  type Transport,
  withTimeout,
} from '@millrace/core'

/** The broker that is read. */
export interface ReadFrom {
  readonly transport: Pick<Transport, 'reader'>
  readonly clock: Clock
}

/** Longest wait for the next batch. */
const SILENCE_LIMIT_MS = 30_000

/**
 * Reads partitions from their beginnings to where they end now, committed records only. What was written after the call
 * may come as well.
 *
 * @throws `TIMEOUT` when nothing comes for 30 s; the signal's reason
 */
export async function* readPartitions(
  { transport, clock }: ReadFrom,
  partitions: readonly TopicPartition[],
  { from = () => 0, signal }: ReadPartitionsOptions = {},
): AsyncGenerator<RecordBatch & Pick<PartitionOffsets, 'beginning'>, void, undefined> {
  const reader = transport.reader({ isolation: 'read-committed' })
  const inTime = async <T>(work: Promise<T>): Promise<T> => {
    const limited = withTimeout(work, SILENCE_LIMIT_MS, clock, () => silent(partitions))
    return await (signal === undefined ? limited : raceAbort(limited, signal))
  }
  try {
    const open = new Map<string, PartitionOffsets>()
    for (const one of await inTime(reader.offsets(partitions))) {
      const start = Math.max(one.beginning, from(one))
      if (start >= one.end) continue
      open.set(partitionKey(one), one)
      reader.assign(one, start)
    }
    const batches = reader.batches()[Symbol.asyncIterator]()
    while (open.size > 0) {
      const { done, value } = await inTime(batches.next())
      if (done === true) throw new MillraceError('CLOSED', `Reading ${topicsOf(partitions)} ended before its end.`)
      const one = open.get(partitionKey(value))
      if (one === undefined) continue
      if (value.nextOffset >= one.end) {
        open.delete(partitionKey(one))
        reader.unassign(one)
      }
      yield { ...value, beginning: one.beginning }
    }
  } finally {
    await reader.close()
  }
}

export interface ReadPartitionsOptions {
  /** Where to start in a partition, if not at its beginning. */
  readonly from?: ((offsets: PartitionOffsets) => number) | undefined
  readonly signal?: AbortSignal | undefined
}

function silent(partitions: readonly TopicPartition[]): MillraceError {
  return new MillraceError(
    'TIMEOUT',
    `Nothing came from ${topicsOf(partitions)} for ${SILENCE_LIMIT_MS / 1000} s, though there is more to read.`,
  )
}

function topicsOf(partitions: readonly TopicPartition[]): string {
  return [...new Set(partitions.map(({ topic }) => `topic ${topic}`))].join(', ')
}
