import { randomUUID } from 'node:crypto'
import { deferred, type Deferred, MillraceError, toError, type TopicPartition, withinLimit } from '@millrace/core'
import {
  assignmentChange,
  type ConsumerOptions,
  type GroupAssignment,
  type GroupAssignor,
  type PartitionChange,
} from '@millrace/core/driver'
import { ChangeSignal } from '../log/change-signal.ts'
import type { LogReads } from '../log/log-backend.ts'
import { EMPTY_GROUP, stepGroup, type GroupEvent, type GroupOutcome, type GroupState } from '../log/group-state.ts'
import type { LogClientContext } from '../log/client-context.ts'
import type { PartitionBatches } from '../log/partition-batches.ts'

/**
 * A consumer's membership in its group: joins, leads when it is the leader, notifies the listener, and joins again. It
 * only reads the group's state and adds events to it, so the members may be in different processes.
 */
export class Membership {
  readonly #options: ConsumerOptions
  readonly #context: LogClientContext
  /** The batches of the partitions that the member owns. */
  readonly #batches: PartitionBatches
  readonly #started: Deferred<void> = deferred<void>()
  readonly #wake = new ChangeSignal()
  readonly #unlisten: () => void
  #memberId: string
  #generation = -1
  #lastHeardMs = -Infinity
  /** Whether the listener has been given an assignment. */
  #hasAssignment = false
  #rejoinWanted = false
  #stopped = false

  constructor(options: ConsumerOptions, context: LogClientContext, batches: PartitionBatches) {
    this.#options = options
    this.#context = context
    this.#batches = batches
    this.#memberId = newMemberId(options)
    // Callers that await `started` get the error; a later failure ends the batches.
    this.#started.promise.catch(() => {})
    this.#unlisten = context.backend.changes.groups.listen(() => this.#wake.notify())
  }

  get memberId(): string {
    return this.#memberId
  }

  /** The generation of the last assignment; -1 before the first. */
  get generation(): number {
    return this.#generation
  }

  /** When the last successful join or heartbeat was sent, in monotonic milliseconds. */
  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  /** Settles when the first `onAssign` has, or when there can be none any more. */
  get started(): Promise<void> {
    return this.#started.promise
  }

  get stopped(): boolean {
    return this.#stopped
  }

  heard(sentMs: number): void {
    this.#lastHeardMs = Math.max(this.#lastHeardMs, sentMs)
  }

  /** Runs until `stop`, or reports why it failed. */
  async run(): Promise<void> {
    try {
      while (!this.#stopped) await this.#round()
    } catch (thrown) {
      if (this.#stopped) return
      const error = toError(thrown)
      this.stop(error)
      this.#context.log.error({ groupId: this.#options.groupId, err: error }, 'The consumer has stopped.')
      this.#batches.end(error)
      await this.#leaveAfterFailure()
    }
  }

  rejoin(): void {
    this.#rejoinWanted = true
    this.#wake.notify()
  }

  /** Reads the group again, for example after a commit was refused. */
  checkGroup(): void {
    this.#wake.notify()
  }

  /** Ends all work in the group; the others are not notified. Rejects `started` if a reason is given. */
  stop(reason?: Error): void {
    this.#stopped = true
    if (reason !== undefined) this.#started.reject(reason)
    this.#unlisten()
    this.#wake.notify()
  }

  async leave(): Promise<void> {
    await this.#step({ type: 'leave', memberId: this.#memberId })
  }

  /** Leaves, so that the others need not wait for the session to run out. */
  async #leaveAfterFailure(): Promise<void> {
    const { groupId } = this.#options
    try {
      await this.leave()
    } catch (error) {
      this.#context.log.warn({ groupId, memberId: this.#memberId, err: toError(error) }, 'The group could not be left.')
    }
  }

  /** One round, from joining until a further join is necessary. */
  async #round(): Promise<void> {
    let draining: Promise<unknown> | undefined
    if (await this.#joinUntilStable()) {
      await this.#untilRebalance()
      if (this.#stopped) return
      if (this.#isMember()) {
        draining = withinLimit(this.#context.clock, this.#options.rebalanceTimeoutMs, this.#options.listener.onRevoke())
        await Promise.race([draining, this.#untilThrownOut(draining)])
        if (this.#stopped || this.#isMember()) return
      }
    }
    if (this.#stopped) return
    await this.#lose()
    // The listener gets the next assignment only after `onRevoke` has ended.
    await draining
  }

  /**
   * Joins, repeatedly if necessary, and gives the assignment to the listener. Returns false if the member was removed.
   */
  async #joinUntilStable(): Promise<boolean> {
    await this.#join()
    for (;;) {
      const changed = this.#wake.next()
      if (this.#stopped) return true
      const group = this.#group()
      const self = group.members.get(this.#memberId)
      if (self === undefined) return false
      if (group.phase === 'stable') break
      if (!self.joined) await this.#join()
      else if (group.phase === 'completing' && group.leader === this.#memberId) await this.#lead(group)
      else await changed
    }
    await this.#assigned(this.#group())
    return this.#stopped || this.#isMember()
  }

  async #join(): Promise<void> {
    this.#rejoinWanted = false
    const { assignor, groupId, instanceId, topics, memberData, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const { host } = this.#context
    const member = { instanceId, topics, data: memberData(), host, sessionTimeoutMs, rebalanceTimeoutMs }
    const sentMs = this.#context.clock.monotonic()
    const returning = this.#generation >= 0
    const outcome = await this.#step({
      type: 'join',
      memberId: this.#memberId,
      protocol: assignor.name,
      member,
      returning,
    })
    // The member was removed meanwhile; the next read of the group shows it.
    if (outcome === 'stale') return
    if (outcome !== 'protocol-differs') return this.heard(sentMs)
    throw new MillraceError(
      'GROUP_INCONSISTENT',
      `Group "${groupId}" has members whose assignor is not "${assignor.name}".`,
    )
  }

  async #lead(group: GroupState): Promise<void> {
    const assignment = this.#context.backend.read((log) => leadGroup(group, this.#options.assignor, log))
    await this.#step({ type: 'assign', memberId: this.#memberId, generation: group.generation, ...assignment })
  }

  async #assigned(group: GroupState): Promise<void> {
    const { generation, groupData } = group
    const ownData = group.ownData.get(this.#memberId) ?? new Uint8Array(0)
    // A member that has missed a generation may have lost any of its partitions to another member in between.
    const missed = this.#generation >= 0 && generation > this.#generation + 1
    const change = this.#own(group.assignments.get(this.#memberId) ?? [], missed ? 'nothing' : 'what stays')
    this.#generation = generation
    // A batch of a lost partition that was just delivered reaches its reader first.
    await Promise.resolve()
    await Promise.resolve()
    if (this.#stopped) return
    this.#hasAssignment = true
    await this.#options.listener.onAssign({ memberId: this.#memberId, generation, groupData, ownData, ...change })
    if (!this.#stopped) this.#started.resolve()
  }

  async #untilRebalance(): Promise<void> {
    for (;;) {
      const changed = this.#wake.next()
      if (this.#stopped || this.#rejoinWanted) return
      const group = this.#group()
      const self = group.members.get(this.#memberId)
      if (self === undefined || !self.joined || group.generation !== this.#generation) return
      await changed
    }
  }

  /** Resolves when the member is removed, and when `draining` is over. */
  async #untilThrownOut(draining: Promise<unknown>): Promise<void> {
    let over = false
    const end = (): void => {
      over = true
      this.#wake.notify()
    }
    draining.then(end, end)
    for (;;) {
      const changed = this.#wake.next()
      if (over || this.#stopped || !this.#isMember()) return
      await changed
    }
  }

  async #lose(): Promise<void> {
    const { groupId, instanceId, listener } = this.#options
    this.#context.log.warn({ groupId, memberId: this.#memberId }, 'The group has gone on without this member.')
    this.#own([], 'nothing')
    this.#generation = -1
    if (this.#hasAssignment) await listener.onLost()
    this.#hasAssignment = false
    const successor = [...this.#group().members.values()].some(
      (member) => instanceId !== undefined && member.instanceId === instanceId,
    )
    if (successor) {
      throw new MillraceError(
        'INSTANCE_TAKEN',
        `Another worker has joined group "${groupId}" with the instance id "${instanceId}" of this one.`,
      )
    }
    this.#memberId = newMemberId(this.#options)
  }

  /** Sets the member's partitions: those that it had and does not keep deliver nothing from now on. */
  #own(partitions: readonly TopicPartition[], kept: 'what stays' | 'nothing'): PartitionChange {
    const before = this.#batches.partitions()
    const diff =
      kept === 'nothing' ? { lost: before, kept: [], gained: partitions } : assignmentChange(before, partitions)
    for (const partition of diff.lost) this.#batches.remove(partition)
    for (const partition of diff.gained) this.#batches.add(partition, undefined)
    return diff
  }

  #isMember(): boolean {
    return this.#group().members.has(this.#memberId)
  }

  #group(): GroupState {
    return this.#context.backend.read((log) => log.group(this.#options.groupId))
  }

  #step(event: GroupEvent): Promise<GroupOutcome> {
    const { groupId } = this.#options
    return this.#context.backend.write('groups', (log) => {
      const { state, outcome } = stepGroup(log.group(groupId) ?? EMPTY_GROUP, event)
      log.putGroup(groupId, state)
      return outcome
    })
  }
}

function newMemberId({ instanceId, groupId }: ConsumerOptions): string {
  return `${instanceId ?? groupId}-${randomUUID()}`
}

/** Runs the assignor over a group whose members have all joined. */
function leadGroup(group: GroupState, assignor: GroupAssignor, log: Pick<LogReads, 'topic'>): GroupAssignment {
  const members = [...group.members].map(([id, { topics, data }]) => ({ id, topics, data }))
  const partitions = new Map<string, number>()
  for (const name of members.flatMap((member) => member.topics)) {
    const topic = log.topic(name)
    if (topic !== undefined) partitions.set(name, topic.partitions)
  }
  return assignor.assign({ members, partitions })
}
