import { MillraceError, toError, withinLimit } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { isMembershipLost, KafkaCode } from '../errors/kafka-errors.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  joinGroupRequest,
  syncGroupRequest,
  leaveGroupRequest,
  type MemberAssignment,
  type MemberSubscription,
  type JoinedGroup,
  type MemberGeneration,
} from '../wire/requests/groups.ts'

/** What the modules of one member share. */
export interface MemberContext extends KafkaClientContext {
  readonly options: ConsumerOptions
  readonly coordinator: CoordinatorLink
  /** Aborts when the consumer is closed. */
  readonly signal: AbortSignal
}

export type JoinResult =
  | {
      readonly kind: 'joined'
      readonly membership: MemberGeneration
      readonly assignment: MemberAssignment
      readonly syncSentMs: number
    }
  /** Join again at once with this member id: the broker has assigned it, or wants another round. */
  | { readonly kind: 'again'; readonly memberId: string }
  /** The broker could not store the assignments of this leader: their size in bytes for all members together. */
  | { readonly kind: 'refused'; readonly memberId: string; readonly bytes: number }
  /** The broker no longer knows the member, and answers with this code. */
  | { readonly kind: 'lost'; readonly code: number }

/** The answer arrives when every member has joined, so the limit is a little more than the longest drain. */
const ANSWER_SLACK_MS = 5_000

/**
 * One round of JoinGroup and SyncGroup. The leader that the broker chooses runs the assignor for all members. Throws
 * `PassingError` if a retry makes sense, and Millrace errors otherwise.
 */
export async function joinGroup(context: MemberContext, memberId: string, joinNumber: number): Promise<JoinResult> {
  const { options, coordinator } = context
  const { groupId, instanceId } = options
  const subscription = encodeSubscription({ topics: options.topics, data: options.memberData() }, joinNumber)
  const joined = await coordinator.send(
    joinGroupRequest(options, memberId, subscription),
    options.rebalanceTimeoutMs + ANSWER_SLACK_MS,
  )
  if (joined.errorCode === KafkaCode.memberIdRequired) return { kind: 'again', memberId: joined.memberId }
  const membership: MemberGeneration = { groupId, generation: joined.generation, memberId: joined.memberId, instanceId }
  const refusal = refused(joined.errorCode, membership, context)
  if (refusal !== undefined) return refusal

  const assignments = joined.leaderId === joined.memberId ? await assignAll(joined, context) : []
  const syncSentMs = context.clock.monotonic()
  const synced = await coordinator.send(syncGroupRequest(membership, assignments))
  // Another member joined or left before this round was complete.
  if (synced.errorCode === KafkaCode.rebalanceInProgress) return { kind: 'again', memberId: joined.memberId }
  // Brokers answer like this if the record of a group exceeds their limit.
  if (synced.errorCode === KafkaCode.unknownServerError && assignments.length > 0)
    return { kind: 'refused', memberId: joined.memberId, bytes: bytesOf(joined, assignments) }
  const syncRefusal = refused(synced.errorCode, membership, context)
  return (
    syncRefusal ?? { kind: 'joined', membership, assignment: readAssignment(synced.assignment, groupId), syncSentMs }
  )
}

function refused(
  code: number,
  membership: MemberGeneration,
  { coordinator, options: { groupId, sessionTimeoutMs } }: MemberContext,
): JoinResult | undefined {
  if (code === KafkaCode.fencedInstanceId) throw fencedInstance(membership)
  if (isMembershipLost(code)) return { kind: 'lost', code }
  coordinator.check(code, `Group "${groupId}" refused the member (sessionTimeout ${sessionTimeoutMs} ms).`)
  return undefined
}

async function assignAll(
  joined: JoinedGroup,
  { view, options: { assignor, groupId } }: MemberContext,
): Promise<[string, Buffer][]> {
  const members = joined.members.map(({ memberId, metadata }) => ({ id: memberId, ...subscriptionOf(metadata) }))
  const topics = [...new Set(members.flatMap((member) => member.topics))]
  const partitions = await view.partitionCounts(topics)
  const { assignments, groupData, ownData } = runAssignor(() => assignor.assign({ members, partitions }), groupId)
  return members.map(({ id }) => [
    id,
    encodeAssignment({
      partitions: assignments.get(id) ?? [],
      groupData,
      ownData: ownData?.get(id) ?? Buffer.alloc(0),
    }),
  ])
}

/** Any client may join a group under its protocol name: one with unreadable data subscribes to nothing. */
function subscriptionOf(metadata: Buffer): MemberSubscription {
  try {
    return decodeSubscription(metadata)
  } catch {
    return { topics: [], data: Buffer.alloc(0) }
  }
}

/** The leader of the group has made it, which may be a client that does not know the protocol. */
export function readAssignment(bytes: Buffer, groupId: string): MemberAssignment {
  try {
    return decodeAssignment(bytes)
  } catch (error) {
    throw new MillraceError(
      'GROUP_INCONSISTENT',
      `The leader of group "${groupId}" has sent an assignment of ${bytes.length} bytes that cannot be read.`,
      { cause: error },
    )
  }
}

/** The size of what a broker stores of a group in one record. */
function bytesOf({ members }: JoinedGroup, assignments: readonly (readonly [string, Buffer])[]): number {
  return (
    members.reduce((sum, { memberId, metadata }) => sum + memberId.length + metadata.length, 0) +
    assignments.reduce((sum, [, bytes]) => sum + bytes.length, 0)
  )
}

function runAssignor<T>(assign: () => T, groupId: string): T {
  try {
    return assign()
  } catch (error) {
    throw new MillraceError('WORKER_FAILED', `The assignor of group "${groupId}" threw: ${toError(error).message}.`, {
      cause: error,
    })
  }
}

const LEAVE_LIMIT_MS = 3_000

/**
 * Leaves over a separate connection, because on the member's the request would wait behind a JoinGroup. A static member
 * leaves too, unless it is closed with `leave: false`.
 */
export async function leaveGroup(
  { groupId, memberId, instanceId }: Omit<MemberGeneration, 'generation'>,
  { view, control, clock, log }: KafkaClientContext,
): Promise<void> {
  const coordinator = new CoordinatorLink('group', groupId, { view, links: control })
  const left = coordinator.send(leaveGroupRequest({ groupId, generation: -1, memberId, instanceId })).then(
    () => undefined,
    (error: unknown) =>
      log.debug(
        { groupId, error: toError(error).message },
        'The group could not be left; it will remove the member after the session time-out.',
      ),
  )
  await withinLimit(clock, LEAVE_LIMIT_MS, left)
}

/**
 * Two running processes with one instance id would fence each other for ever, so the earlier one gives up permanently.
 */
export function fencedInstance({ groupId, instanceId }: MemberGeneration): MillraceError {
  return new MillraceError(
    'INSTANCE_TAKEN',
    `Another worker has joined group "${groupId}" with the instance id "${instanceId ?? ''}" of this one.`,
  )
}
