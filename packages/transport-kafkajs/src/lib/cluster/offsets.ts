import { type CommitOffset, isMillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import type { Isolation, PartitionOffsets, PartitionPosition } from '@millrace/core/driver'
import { KafkaCode } from '../errors/kafka-errors.ts'
import {
  listOffsetsRequest,
  offsetFetchRequest,
  type FetchedOffsets,
  type OffsetWanted,
} from '../wire/requests/offsets.ts'
import type { KafkaClientContext } from './client-context.ts'
import { CoordinatorLink } from './coordinator.ts'
import { checkCode, isPassing, retrying } from './retrying.ts'
import { toLeaders } from './to-leaders.ts'

type OffsetsContext = Pick<KafkaClientContext, 'clock' | 'view' | 'control' | 'reconnects'>

/**
 * First offset and end of partitions, requested from their leaders with two questions each. Rejects with
 * `TOPIC_MISSING` or `PARTITION_MISSING`.
 */
export async function partitionOffsets(
  context: OffsetsContext,
  partitions: readonly TopicPartition[],
  isolation: Isolation,
  signal: AbortSignal,
): Promise<readonly PartitionOffsets[]> {
  const [beginnings, ends] = await Promise.all([
    listOffsets(context, partitions, { which: 'beginning', isolation }, signal),
    listOffsets(context, partitions, { which: 'end', isolation }, signal),
  ])
  return partitions.map(({ topic, partition }) => {
    const key = partitionKey({ topic, partition })
    return { topic, partition, beginning: beginnings.get(key) ?? 0, end: ends.get(key) ?? 0 }
  })
}

/**
 * The offset of the first record that is not older than `timestampMs`, or the end if there is none. Rejects as
 * `partitionOffsets` does.
 */
export async function offsetsAt(
  context: OffsetsContext,
  partitions: readonly TopicPartition[],
  timestampMs: number,
  signal: AbortSignal,
): Promise<readonly PartitionPosition[]> {
  const isolation = 'read-uncommitted'
  const [found, ends] = await Promise.all([
    listOffsets(context, partitions, { which: { timestampMs }, isolation }, signal),
    listOffsets(context, partitions, { which: 'end', isolation }, signal),
  ])
  return partitions.map(({ topic, partition }) => {
    const key = partitionKey({ topic, partition })
    const offset = found.get(key) ?? NONE
    return { topic, partition, offset: offset === NONE ? (ends.get(key) ?? 0) : offset }
  })
}

/** Kafka's answer if no record is young enough. */
const NONE = -1

/** Whether the leader of every partition already answers for it. One attempt, without a wait or a warning. */
export async function areLed(context: OffsetsContext, partitions: readonly TopicPartition[]): Promise<boolean> {
  try {
    await context.view.refresh()
    await askLeaders(context, partitions, { which: 'end', isolation: 'read-uncommitted' }, new Map())
    return true
  } catch (error) {
    if (isPassing(error) || isMillraceError(error, 'TOPIC_MISSING', 'PARTITION_MISSING')) return false
    throw error
  }
}

interface OffsetQuestion {
  readonly which: OffsetWanted
  readonly isolation: Isolation
}

async function listOffsets(
  context: OffsetsContext,
  partitions: readonly TopicPartition[],
  question: OffsetQuestion,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  await retrying(context.reconnects, `offsets of ${topics.join(', ')} could not be read`, signal, async () => {
    await context.view.ensure(topics)
    await askLeaders(context, partitions, question, found)
  })
  return found
}

/** Asks the leaders of the partitions that `found` lacks, and fills it. */
async function askLeaders(
  { view, control }: OffsetsContext,
  partitions: readonly TopicPartition[],
  question: OffsetQuestion,
  found: Map<string, number>,
): Promise<void> {
  const left = partitions.filter((partition) => !found.has(partitionKey(partition)))
  await toLeaders({ view, links: control }, left, async (link, list) => {
    for (const answer of await link.send(listOffsetsRequest(list, question.which, question.isolation))) {
      if (answer.errorCode === KafkaCode.ok) found.set(partitionKey(answer), answer.offset)
      else
        checkCode(
          answer.errorCode,
          `The offsets of ${answer.topic}/${answer.partition} could not be read.`,
          'WORKER_FAILED',
          'Describe',
        )
    }
  })
}

export interface CommittedQuestion {
  readonly groupId: string
  /** `undefined` for everything that the group has committed. */
  readonly partitions: readonly TopicPartition[] | undefined
  /** Whether to wait for offsets that are pending in an open transaction. */
  readonly stable: boolean
}

/**
 * A transaction that has just ended shows its offsets a few milliseconds later, so the first wait causes no warning.
 */
const UNSTABLE_WAIT_MS = 10
const QUIET_TRIES = 30

/** Committed offsets of a group. Asks its coordinator until it answers. */
export async function committedOffsets(
  context: OffsetsContext,
  { groupId, partitions, stable }: CommittedQuestion,
  signal: AbortSignal,
): Promise<readonly CommitOffset[]> {
  if (partitions?.length === 0) return []
  const { clock, view, control, reconnects } = context
  const coordinator = new CoordinatorLink('group', groupId, { view, links: control })
  return retrying(reconnects, `committed offsets of group "${groupId}" could not be read`, signal, async () => {
    let answer: FetchedOffsets
    let tries = 0
    do {
      if (tries > 0) await clock.sleep(UNSTABLE_WAIT_MS, signal)
      answer = await coordinator.send(offsetFetchRequest(groupId, partitions, stable))
    } while (answer.errorCode === KafkaCode.unstableOffsetCommit && ++tries < QUIET_TRIES)
    coordinator.check(answer.errorCode, `The committed offsets of group "${groupId}" could not be read.`, 'Describe')
    return answer.offsets
  })
}
