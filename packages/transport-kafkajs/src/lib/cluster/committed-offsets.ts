import type { CommitOffset, TopicPartition } from '@millrace/core'
import { KafkaCode } from '../errors/kafka-errors.ts'
import { offsetFetchRequest, type FetchedOffsets } from '../wire/requests/offsets.ts'
import { CoordinatorLink } from './coordinator.ts'
import type { KafkaClientContext } from './client-context.ts'
import { retrying } from './retrying.ts'

export interface CommittedQuestion {
  readonly groupId: string
  /** All that the group has committed for `undefined`. */
  readonly partitions: readonly TopicPartition[] | undefined
  /** Wait out offsets that an open transaction has pending. */
  readonly stable: boolean
}

/** A transaction that has just ended shows its offsets a few milliseconds later: nothing to warn of, at first. */
const UNSTABLE_WAIT_MS = 10
const QUIET_TRIES = 30

/** Committed offsets of a group, asked of its coordinator until it answers. */
export async function committedOffsets(
  context: Pick<KafkaClientContext, 'clock' | 'view' | 'control' | 'reconnects'>,
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
