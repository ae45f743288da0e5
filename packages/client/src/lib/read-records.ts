import { didYouMean, encodeUtf8, keyFromText, MillraceError, partitionsOf, showBytes } from '@millrace/core'
import { type PartitionOffsets, type PartitionStretch, readStretches } from '@millrace/core/driver'
import type { RecordsRequest, ShownBytes, ShownRecord } from '@millrace/core/operations'
import type { Connection, DeclaredTopic } from './declared-app.ts'

/** Records of a topic, as from `CommandLineClient.records`. Ending the iteration closes the reader. */
export async function* readRecords(
  connection: Connection,
  name: string,
  request: RecordsRequest,
): AsyncGenerator<ShownRecord, void, undefined> {
  const { transport, client, app } = connection
  const { key, signal } = request
  const topic = app.declared.topics().find((each) => each.name === name)
  const wanted = key === undefined ? undefined : keyBytes(topic ?? name, key)
  const stretches = await stretchesOf(connection, name, request)
  const reader = transport.reader({ isolation: 'read-committed' })
  for await (const { partition, records } of readStretches(reader, stretches, { clock: client.clock, signal })) {
    const { start = 0, end = 0 } = stretches.find((one) => one.partition === partition) ?? {}
    for (const record of records) {
      if (record.offset < start || record.offset >= end) continue
      if (wanted !== undefined && (record.key === null || !wanted.equals(record.key))) continue
      signal?.throwIfAborted()
      if (topic !== undefined) await topic.declaration.missing?.(record)
      signal?.throwIfAborted()
      yield {
        topic: name,
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: shown(record.key, topic?.key),
        value: shown(record.value, topic?.value),
        headers: record.headers,
      }
    }
  }
}

/** The error for a topic that the broker does not have, with the nearest name that the broker or the app has. */
export async function topicMissing({ admin, app }: Connection, name: string): Promise<MillraceError> {
  const known = new Set([...app.declared.topics(), ...(await admin.topics())].map((topic) => topic.name))
  known.delete(name)
  return new MillraceError('TOPIC_MISSING', `The broker has no topic "${name}".${didYouMean(name, known)}`)
}

async function stretchesOf(
  connection: Connection,
  name: string,
  { from, follow, partition: only }: RecordsRequest,
): Promise<readonly PartitionStretch[]> {
  const { admin } = connection
  const [info] = await admin.topics([name])
  if (info === undefined) throw await topicMissing(connection, name)
  if (only !== undefined && only >= info.partitions)
    throw new MillraceError('PARTITION_MISSING', `Topic "${name}" has ${info.partitions} partitions, and no ${only}.`)
  const partitions = partitionsOf(name, info.partitions).filter(
    ({ partition }) => only === undefined || partition === only,
  )
  const offsets = await admin.offsets(partitions, 'read-committed')
  const places =
    typeof from === 'object' && 'timestampMs' in from ? await admin.offsetsAt(partitions, from.timestampMs) : []
  return offsets.map((one) => {
    const place = places.find(({ partition }) => partition === one.partition)?.offset
    const start = place ?? startOf(from, one)
    return { ...one, start: Math.min(Math.max(start, one.beginning), one.end), end: follow ? Infinity : one.end }
  })
}

function startOf(from: RecordsRequest['from'], { beginning, end }: PartitionOffsets): number {
  if (typeof from === 'object' && 'offset' in from) return from.offset
  if (typeof from === 'object' && 'last' in from) return end - from.last
  return from === 'beginning' ? beginning : end
}

function keyBytes(topic: DeclaredTopic | string, text: string): Buffer {
  return typeof topic === 'string' ? encodeUtf8(text) : keyFromText(topic.key, text, `topic "${topic.name}"`)
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNPRINTABLE = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/

/** Decoded as the topic declares; otherwise as text, or as hex if it is not readable text. */
function shown(bytes: Buffer | null, codec: DeclaredTopic['key'] | undefined): ShownBytes {
  const found = showBytes(bytes, codec?.name === 'bytes' ? undefined : codec)
  const isText = found.as === 'text' && typeof found.value === 'string' && !UNPRINTABLE.test(found.value)
  return bytes === null || isText || (found.as !== 'text' && found.as !== 'base64')
    ? found
    : { as: 'hex', value: bytes.toString('hex') }
}
