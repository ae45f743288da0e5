import { toError, type TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import { taskOfId } from '../environment/task-id.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Recovery } from '../restore/recovery.ts'
import type { CopyRef, Standbys } from '../restore/standbys.ts'
import type { BlockingEvent, BlockingEvents } from '../task/blocking-events.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { decodeGroupData, type GroupData, memberName, newerGroupFormat, NO_GROUP_DATA } from './group-data.ts'
import { newSecret } from './group-life.ts'
import { stateHere } from './held-state.ts'
import { encodeMemberData, type MemberData, topologyStamp } from './member-data.ts'
import { decodeOwnData, type OwnData } from './own-data.ts'
import { rebalanceReason } from './rebalance-reason.ts'

/**
 * After this many failed joins members send less about themselves, because the data of all members together may have
 * exceeded the broker's limit. Two failures are normal, since a broker first gives a new member its id.
 */
const MOST_JOINS_IN_VAIN = 3

/**
 * How many times in a row the group is asked to take note of a member that has come back. One rebalance normally does
 * it.
 */
const MOST_ASKED = 3

export interface WorkerMemberOptions {
  readonly environment: Pick<WorkerEnvironment, 'log' | 'settings'>
  /** The name of a static member in the group. It replaces the member id, which changes with each start. */
  readonly instanceId: string | undefined
  /** The address at which other workers reach this one. */
  readonly webAddress: (() => string | undefined) | undefined
  readonly topics: Pick<TopicDirectory, 'groups' | 'statesWith' | 'copiesOf'>
  readonly recovery: Pick<Recovery, 'absorbed' | 'remaining'>
  readonly standbys: Pick<Standbys, 'report'>
  readonly blockingEvents: Pick<BlockingEvents, 'report'>
}

/** What a worker sends about itself when it joins. */
export interface OwnState {
  /** Ids of the tasks that it has and wants to keep. */
  readonly tasks: readonly string[]
  /** Committed offsets of their partitions. */
  readonly committed: (partition: TopicPartition) => number | undefined
  /** The worker is stopping. */
  readonly isLeaving: boolean
}

/** What an assignment has besides the partitions. */
export interface Assigned {
  /** Events in the partitions that may block the event loop. */
  readonly blockingEvents: readonly BlockingEvent[]
  /** The warm copies that this worker is to keep. */
  readonly copies: readonly CopyRef[]
  /** Ids of the tasks that come here once copies of their state have caught up. */
  readonly warmUps: readonly string[]
}

/** This worker as a member of its group: what it sends to the leader at each join, and what the leader sent last. */
export class WorkerMember {
  readonly instanceId: string | undefined
  readonly #options: WorkerMemberOptions
  #group: GroupData = NO_GROUP_DATA
  #name: string | undefined
  #generation = 0
  #rebalances = 0
  #reason = ''
  readonly #proposedSecret = newSecret()
  #sent: MemberData | undefined
  #joinsInVain = 0
  /** How often in a row the group was asked to take note of this member. */
  #asked = 0

  constructor(options: WorkerMemberOptions) {
    this.#options = options
    this.instanceId = options.instanceId
  }

  get group(): GroupData {
    return this.#group
  }

  /** Its name in the group; `undefined` before it has joined. */
  get name(): string | undefined {
    return this.#name
  }

  get rebalances(): number {
    return this.#rebalances
  }

  /** The reason of the last rebalance, in words. */
  get reason(): string {
    return this.#reason
  }

  /** The data for a join. */
  data({ tasks, committed, isLeaving }: OwnState): Uint8Array {
    const { environment, topics, recovery, standbys, blockingEvents } = this.#options
    const { acceptableRecoveryLag: acceptableLag, maxWarmUps, rack } = environment.settings
    const inUseOnly = this.#joinsInVain++ >= MOST_JOINS_IN_VAIN
    const data: MemberData = {
      groups: topics.groups,
      tasks,
      generation: this.#generation,
      warm: stateHere(topics, recovery, { acceptableLag, inUseOnly }),
      warmUp: { acceptableLag, most: maxWarmUps, caughtUp: isLeaving ? [] : standbys.report() },
      address: this.#address(),
      rack,
      instanceId: this.instanceId,
      life: this.#group.life,
      secret: this.#group.secret ?? this.#proposedSecret,
      blockingEvents: blockingEvents.report(committed),
      ...(isLeaving ? { isLeaving } : {}),
    }
    this.#sent = data
    return encodeMemberData(data)
  }

  /** Called when the worker has joined. */
  assigned(change: AssignmentChange): Assigned {
    this.#joinsInVain = 0
    const self = memberName(this.instanceId ?? change.memberId)
    const group = decodeGroupData(change.groupData)
    const own = decodeOwnData(change.ownData)
    this.#judge(change, group, self)
    this.#reason = rebalanceReason({ before: this.#group, after: group, self, isFirst: this.#rebalances === 0 })
    this.#name = self
    this.#generation = change.generation
    this.#group = group
    this.#rebalances++
    return {
      blockingEvents: own.blockingEvents,
      copies: copiesFor(self, { ...group, ...own }, this.#options.topics),
      warmUps: warmUpsFor(self, group),
    }
  }

  /**
   * While versions with different formats run, some data cannot be read. The consequence is logged once per rebalance.
   */
  #judge({ groupData }: AssignmentChange, group: GroupData, self: string): void {
    const { log } = this.#options.environment
    const format = newerGroupFormat(groupData)
    if (format !== undefined)
      log.warn(
        { format },
        `The leader of the group is a worker of a later version: its data has format ${format}, which this one cannot read. This worker handles its own partitions, but does not know what runs on the others. Upgrade it too.`,
      )
    else if (group.members.size > 0 && !group.members.has(self))
      log.warn(
        {},
        'The leader of the group has an earlier version: it cannot read the data of this worker, and assigns it nothing. Upgrade the others too.',
      )
  }

  /** Called when the group has gone on without this worker. */
  lost(): void {
    const { life, secret } = this.#group
    this.#group = { ...NO_GROUP_DATA, life, secret }
  }

  /**
   * Whether to ask the group for a rebalance after an assignment, although no task moves for its sake. That is
   * necessary if the assignment was made for an earlier run of this static member, and its topology or web address has
   * changed since. The requests are limited: a leader that keeps mistaking the member would otherwise make the whole
   * group drain for ever.
   */
  asksToBeNoted(): boolean {
    if (!this.#isOutdated) this.#asked = 0
    return this.#isOutdated && ++this.#asked <= MOST_ASKED
  }

  get #isOutdated(): boolean {
    if (this.instanceId === undefined || this.#sent === undefined) return false
    const { stamps, members } = this.#group
    const name = memberName(this.instanceId)
    // A leader of another version sends no stamps; asking it again would change nothing.
    const stamp = stamps.get(name)
    return (
      stamp !== undefined && (stamp !== topologyStamp(this.#sent.groups) || members.get(name) !== this.#sent.address)
    )
  }

  #address(): string | undefined {
    const { webAddress, environment } = this.#options
    try {
      return webAddress?.()
    } catch (thrown) {
      environment.log.warn(
        { error: toError(thrown).message },
        'The web address of this worker is not known; others cannot route to it.',
      )
      return undefined
    }
  }
}

/** The warm copies that the group's leader wants this worker to keep, without those of tasks that it runs. */
function copiesFor(
  self: string,
  { owners, warmUps: toCome, standbys }: Pick<GroupData, 'owners' | 'warmUps'> & Pick<OwnData, 'standbys'>,
  topics: Pick<TopicDirectory, 'statesWith' | 'copiesOf'>,
): readonly CopyRef[] {
  const warmUps = new Set(warmUpsFor(self, { owners, warmUps: toCome }))
  return [...new Set([...standbys.keys(), ...warmUps])].flatMap((id) => {
    const task = taskOfId(id)
    if (task === undefined) return []
    const { partitions, partition } = task
    const rank = standbys.get(id)
    const isStandby = rank !== undefined && owners.get(id)?.member !== self
    // A table that wants fewer copies than another table of its task has them on the first holders.
    const definitions = topics
      .statesWith(partitions)
      .filter((definition) => warmUps.has(id) || (isStandby && rank < topics.copiesOf(definition)))
    return definitions.map((definition) => ({ task: id, definition, partition }))
  })
}

/** The tasks that the group's leader wants to move to this worker once it has copies of their state. */
function warmUpsFor(self: string, { owners, warmUps }: Pick<GroupData, 'owners' | 'warmUps'>): readonly string[] {
  return [...warmUps].flatMap(([task, to]) => (to === self && owners.get(task)?.member !== self ? [task] : []))
}
