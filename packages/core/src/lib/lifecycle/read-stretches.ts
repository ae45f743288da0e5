import type { Clock } from '../../contracts/clock.ts'
import { byPartition, partitionKey, type RecordBatch, type TopicPartition } from '../../contracts/record.ts'
import type { PartitionOffsets } from '../../contracts/admin.ts'
import type { Reader } from '../../contracts/transport.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { raceAbort, withTimeout } from './promises.ts'

/** Longest wait for the next batch. */
const SILENCE_LIMIT_MS = 30_000

/** A range of one partition, from `start` up to and excluding `end`; `Infinity` means without an end. */
export interface PartitionStretch extends TopicPartition {
  readonly start: number
  readonly end: number
}

/** Limits that end reading early. */
export interface ReadLimits {
  readonly clock: Pick<Clock, 'schedule'>
  readonly signal?: AbortSignal | undefined
}

/**
 * Yields the batches of some partitions up to the end of each range, concurrently, each partition in order. A batch may
 * have records outside of its range. The reader is closed at the end, and when the caller stops iterating.
 *
 * @throws `TIMEOUT` when nothing comes for 30 s, unless some stretch has no end; `CLOSED` when the reader is closed; the
 *   signal's reason
 * @example
 * for await (const { records } of readStretches(reader, [{ topic: 'posts', partition: 0, start: 0, end: 100 }], { clock })) …
 */
export async function* readStretches(
  reader: Reader,
  stretches: readonly PartitionStretch[],
  limits: ReadLimits,
): AsyncGenerator<RecordBatch, void, undefined> {
  const open = byPartition(stretches.filter(({ start, end }) => start < end))
  const isEndless = stretches.some(({ end }) => end === Infinity)
  try {
    for (const one of open.values()) reader.assign(one, one.start)
    const batches = reader.batches()[Symbol.asyncIterator]()
    while (open.size > 0) {
      limits.signal?.throwIfAborted()
      const next = batches.next()
      const { done, value } = await (isEndless ? orAbort(next, limits) : inTime(next, stretches, limits))
      if (done === true) throw new MillraceError('CLOSED', `Reading ${topicsIn(stretches)} ended before its end.`)
      const one = open.get(partitionKey(value))
      if (one === undefined) continue
      if (value.nextOffset >= one.end) {
        open.delete(partitionKey(one))
        reader.unassign(one)
      }
      yield value
    }
  } finally {
    await reader.close()
  }
}

/**
 * Like `readStretches`, from the beginnings of partitions, or the offsets in `from`, to their present ends. Each batch
 * comes with the beginning of its partition.
 *
 * @example
 * for await (const { records } of readToEnd(reader, partitionsOf('posts', 8), { clock })) …
 */
export async function* readToEnd(
  reader: Reader,
  partitions: readonly TopicPartition[],
  { from, ...limits }: ReadLimits & { readonly from?: ((offsets: PartitionOffsets) => number) | undefined },
): AsyncGenerator<RecordBatch & Pick<PartitionOffsets, 'beginning'>, void, undefined> {
  try {
    const offsets = byPartition(await inTime(reader.offsets(partitions), partitions, limits))
    const stretches = [...offsets.values()].map((one) => ({
      ...one,
      start: Math.max(one.beginning, from?.(one) ?? one.beginning),
    }))
    for await (const batch of readStretches(reader, stretches, limits))
      yield { ...batch, beginning: offsets.get(partitionKey(batch))?.beginning ?? 0 }
  } finally {
    await reader.close()
  }
}

function inTime<T>(work: Promise<T>, partitions: readonly TopicPartition[], limits: ReadLimits): Promise<T> {
  const limited = withTimeout(work, SILENCE_LIMIT_MS, limits.clock, () => {
    const what = `Nothing came from ${topicsIn(partitions)} for ${SILENCE_LIMIT_MS / 1000} s, though there is more to read.`
    return new MillraceError('TIMEOUT', what)
  })
  return orAbort(limited, limits)
}

function orAbort<T>(work: Promise<T>, { signal }: ReadLimits): Promise<T> {
  return signal === undefined ? work : raceAbort(work, signal)
}

function topicsIn(partitions: readonly TopicPartition[]): string {
  return [...new Set(partitions.map(({ topic }) => `topic "${topic}"`))].join(', ')
}
