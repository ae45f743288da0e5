import { partitionKey, partitionsOf } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { readTopic } from '../lib/read-topic.ts'
import type { VerifierRun } from '../lib/verifier-run.ts'
import { sourceTopics, verifierTopics } from '../lib/verifier-topics.ts'

/** A source partition of which something is not committed. */
export interface Behind {
  readonly partition: string
  readonly committed: number | undefined
  readonly end: number
  readonly metadata: string
}

/** What a commit says when every subscription stands exactly at its offset: their ids, and that they are 0 ahead. */
const NONE_AHEAD = /^(m1( [^ ]+:0)*)?$/

/** Source partitions whose committed offset is not their end. */
export async function partitionsBehind(transport: Transport, run: VerifierRun): Promise<readonly Behind[]> {
  const admin = transport.admin()
  const named = sourceTopics(verifierTopics(run.id))
  const known = new Set((await admin.topics(named.map(({ name }) => name))).map(({ name }) => name))
  const partitions = named
    .filter(({ name }) => known.has(name))
    .flatMap((topic) => partitionsOf(topic.name, topic.partitions))
  // Committed first: an end that is read later can only be further on.
  const committed = new Map((await admin.committed(run.id, partitions)).map((one) => [partitionKey(one), one]))
  const ends = await admin.offsets(partitions, 'read-committed')
  await admin.close()
  return ends.flatMap((one) => {
    const key = partitionKey(one)
    const { offset, metadata = '' } = committed.get(key) ?? {}
    const isAtEnd = offset === one.end || (offset === undefined && one.end === 0)
    return isAtEnd && NONE_AHEAD.test(metadata) ? [] : [{ partition: key, committed: offset, end: one.end, metadata }]
  })
}

/**
 * The same when all workers have stopped. A task tells its event time in the repartition topic up to a second after it has
 * come there: what only tells that may be left.
 */
export async function partitionsLeft(transport: Transport, run: VerifierRun): Promise<readonly Behind[]> {
  const behind = await partitionsBehind(transport, run)
  const { teamRepartition } = verifierTopics(run.id)
  if (!behind.some(({ partition }) => partition.startsWith(`${teamRepartition.name}/`))) return behind
  const ends = new Map(
    partitionsOf(teamRepartition.name, teamRepartition.partitions).map((one) => [partitionKey(one), 0]),
  )
  await readTopic(transport, teamRepartition, ({ topic, partition, offset, key }) => {
    if (key !== null) ends.set(partitionKey({ topic, partition }), offset + 1)
  })
  return behind.filter(({ partition, committed = 0, metadata }) => {
    const end = ends.get(partition)
    return end === undefined || committed < end || !NONE_AHEAD.test(metadata)
  })
}

export function showBehind({ partition, committed, end, metadata }: Behind): string {
  return `${partition}: committed ${committed ?? 'nothing'} of ${end}${metadata === '' ? '' : `, with metadata ${metadata}`}`
}
