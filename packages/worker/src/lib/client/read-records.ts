import {
  type Admin,
  type Clock,
  encodeUtf8,
  keyFromText,
  MillraceError,
  nearestName,
  partitionKey,
  type PartitionOffsets,
  raceAbort,
  type RecordBatch,
  type RecordsRequest,
  showBytes,
  type ShownBytes,
  type ShownRecord,
  type TopicPartition,
  type Transport,
  withTimeout,
} from '@millrace/core'
import type { DeclaredApp, DeclaredTopic } from './declared-app.ts'

/** Longest wait for the next batch where there is more to read. */
const SILENCE_LIMIT_MS = 30_000

export interface RecordsOrigin {
  readonly admin: Pick<Admin, 'topics' | 'offsets' | 'offsetsAt'>
  readonly transport: Pick<Transport, 'reader'>
  readonly clock: Clock
  readonly declared: Pick<DeclaredApp, 'topics'>
}

/** A stretch of one partition; its end is where the partition ended when reading began. */
interface PartitionStretch extends TopicPartition {
  readonly start: number
  readonly end: number
}

/** Records of a topic, as `CommandLineClient.records` gives them. Whoever stops iterating closes the reader. */
export async function* readRecords(
  origin: RecordsOrigin,
  name: string,
  request: RecordsRequest,
): AsyncGenerator<ShownRecord, void, undefined> {
  const { transport, clock, declared } = origin
  const { key, follow, signal } = request
  const topic = declared.topics().find((each) => each.name === name)
  const wanted = key === undefined ? undefined : keyBytes(topic ?? name, key)
  const open = new Map((await stretchesOf(origin, name, request)).map((one) => [partitionKey(one), one]))
  if (!follow) for (const [id, { start, end }] of open) if (start >= end) open.delete(id)
  const reader = transport.reader({ isolation: 'read-committed' })
  try {
    for (const one of open.values()) reader.assign(one, one.start)
    const batches = reader.batches()[Symbol.asyncIterator]()
    while (open.size > 0) {
      signal?.throwIfAborted()
      const { done, value } = await nextOf(batches, { clock, follow, signal, name })
      if (done === true) throw new MillraceError('CLOSED', `Reading topic "${name}" ended before its end.`)
      const stretch = open.get(partitionKey(value))
      if (stretch === undefined) continue
      if (!follow && value.nextOffset >= stretch.end) {
        open.delete(partitionKey(stretch))
        reader.unassign(stretch)
      }
      for (const record of value.records) {
        if (record.offset < stretch.start || (!follow && record.offset >= stretch.end)) continue
        if (wanted !== undefined && (record.key === null || !wanted.equals(record.key))) continue
        signal?.throwIfAborted()
        yield {
          topic: name,
          partition: value.partition,
          offset: record.offset,
          timestamp: record.timestamp,
          key: shown(record.key, topic?.key),
          value: shown(record.value, topic?.value),
          headers: record.headers,
        }
      }
    }
  } finally {
    await reader.close()
  }
}

/** A topic that the broker does not have, with the nearest name that it or the app has. */
export async function topicMissing(
  { admin, declared }: Pick<RecordsOrigin, 'admin' | 'declared'>,
  name: string,
): Promise<MillraceError> {
  const known = new Set([...declared.topics(), ...(await admin.topics())].map((topic) => topic.name))
  known.delete(name)
  const nearest = nearestName(name, [...known])
  return new MillraceError(
    'TOPIC_MISSING',
    `The broker has no topic "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
  )
}

async function stretchesOf(
  origin: RecordsOrigin,
  name: string,
  { from, partition: only }: RecordsRequest,
): Promise<readonly PartitionStretch[]> {
  const { admin } = origin
  const [info] = await admin.topics([name])
  if (info === undefined) throw await topicMissing(origin, name)
  if (only !== undefined && only >= info.partitions)
    throw new MillraceError('PARTITION_MISSING', `Topic "${name}" has ${info.partitions} partitions, and no ${only}.`)
  const partitions = Array.from({ length: info.partitions }, (_, partition) => ({ topic: name, partition })).filter(
    ({ partition }) => only === undefined || partition === only,
  )
  const offsets = await admin.offsets(partitions, 'read-committed')
  const places =
    typeof from === 'object' && 'timestampMs' in from ? await admin.offsetsAt(partitions, from.timestampMs) : []
  return offsets.map((one) => {
    const place = places.find(({ partition }) => partition === one.partition)?.offset
    const start = place ?? startOf(from, one)
    return { ...one, start: Math.min(Math.max(start, one.beginning), one.end) }
  })
}

function startOf(from: RecordsRequest['from'], { beginning, end }: PartitionOffsets): number {
  if (typeof from === 'object' && 'offset' in from) return from.offset
  if (typeof from === 'object' && 'last' in from) return end - from.last
  return from === 'beginning' ? beginning : end
}

interface BatchWait {
  readonly clock: Clock
  readonly follow: boolean
  readonly signal: AbortSignal | undefined
  readonly name: string
}

async function nextOf(
  batches: AsyncIterator<RecordBatch>,
  { clock, follow, signal, name }: BatchWait,
): Promise<IteratorResult<RecordBatch>> {
  const silent = (): MillraceError =>
    new MillraceError(
      'TIMEOUT',
      `Nothing came from topic "${name}" for ${SILENCE_LIMIT_MS / 1000} s, though there is more to read.`,
    )
  const next = follow ? batches.next() : withTimeout(batches.next(), SILENCE_LIMIT_MS, clock, silent)
  return signal === undefined ? next : raceAbort(next, signal)
}

function keyBytes(topic: DeclaredTopic | string, text: string): Buffer {
  return typeof topic === 'string' ? encodeUtf8(text) : keyFromText(topic.key, text, `topic "${topic.name}"`)
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNPRINTABLE = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/

/** Decoded as the topic declares; else as text, or in hex where a person could not read it as text. */
function shown(bytes: Buffer | null, codec: DeclaredTopic['key'] | undefined): ShownBytes {
  const found = showBytes(bytes, codec?.name === 'bytes' ? undefined : codec)
  const isText = found.as === 'text' && typeof found.value === 'string' && !UNPRINTABLE.test(found.value)
  return bytes === null || isText || (found.as !== 'text' && found.as !== 'base64')
    ? found
    : { as: 'hex', value: bytes.toString('hex') }
}
