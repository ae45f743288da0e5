import type { CommitOffset, TopicPartition } from '@millrace/core'
import { offsetFetchRequest } from '../wire/requests/offset-fetch.ts'
import type { CoordinatorLink } from './coordinator.ts'
import type { Recovery } from './recovery.ts'
import { retrying } from './retrying.ts'

export interface CommittedQuestion {
  readonly groupId: string
  readonly partitions: readonly TopicPartition[]
  /** Wait out offsets that an open transaction has pending. */
  readonly stable: boolean
}

/** Committed offsets of a group, asked of its coordinator until it answers. */
export async function committedOffsets(coordinator: CoordinatorLink, recovery: Recovery, question: CommittedQuestion, signal: AbortSignal): Promise<readonly CommitOffset[]> {
  const { groupId, partitions, stable } = question
  if (partitions.length === 0) return []
  return retrying(recovery, `committed offsets of group "${groupId}" could not be read`, signal, async () => {
    const answer = await coordinator.send(offsetFetchRequest(groupId, partitions, stable))
    coordinator.check(answer.errorCode, `The committed offsets of group "${groupId}" could not be read.`)
    return answer.offsets
  })
}
