import { MillraceError, type CommitOffset } from '@millrace/core'
import type { CoordinatorLink } from '../cluster/coordinator.ts'
import type { OpenStateOptions } from '../cluster/part-context.ts'
import { PassingError, retrying } from '../cluster/retrying.ts'
import { isMembershipLost, isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { offsetCommitRequest } from '../wire/requests/offsets.ts'
import type { GroupSession } from './group-session.ts'
import type { Ownership } from './ownership.ts'

export interface CommitDeps extends Pick<OpenStateOptions, 'recovery'> {
  readonly groupId: string
  readonly coordinator: CoordinatorLink
  readonly ownership: Ownership
  /** The member's generation, waited for while it is between two; `undefined` when it is in none. */
  readonly session: () => Promise<GroupSession | undefined>
  readonly signal: AbortSignal
}

/**
 * Commits in whatever generation the member is when its turn comes, as long as it has owned the partitions throughout:
 * a commit that waited for a rebalance holds for partitions that were kept. Kafka accepts commits of partitions that
 * the member does not own, so that is checked here.
 */
export async function commitOffsets(offsets: readonly CommitOffset[], deps: CommitDeps): Promise<void> {
  const { recovery, groupId, coordinator, ownership, signal } = deps
  const { breaks } = ownership
  await retrying(recovery, `commit of group "${groupId}"`, signal, async () => {
    const session = await deps.session()
    if (session === undefined || breaks !== ownership.breaks) throw fenced(groupId)
    const foreign = offsets.find((offset) => !ownership.has(offset))
    if (foreign !== undefined)
      throw new MillraceError(
        'NOT_ASSIGNED',
        `${foreign.topic}/${foreign.partition} is not assigned to this member of group "${groupId}".`,
      )
    const results = await coordinator.send(offsetCommitRequest(session.membership, offsets))
    const failed = results.find(({ errorCode }) => errorCode !== KafkaCode.ok)
    if (failed === undefined) return
    if (isMembershipLost(failed.errorCode)) {
      session.endFor(failed.errorCode)
      throw fenced(groupId)
    }
    if (isRetriable(failed.errorCode)) {
      coordinator.forget()
      throw new PassingError(`Kafka answered ${kafkaErrorName(failed.errorCode)}.`)
    }
    throw kafkaError(failed.errorCode, `The offset of ${failed.topic}/${failed.partition} could not be committed.`)
  })
}

function fenced(groupId: string): MillraceError {
  return new MillraceError('MEMBER_FENCED', `This member of group "${groupId}" is no longer in its generation.`)
}
