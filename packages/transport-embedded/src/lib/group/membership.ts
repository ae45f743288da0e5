import {
  MillraceError,
  toError,
  type AssignmentChange,
  type ConsumerOptions,
  type Logger,
  type TopicPartition,
} from '@millrace/core'
import { ChangeSignal } from '../log/change-signal.ts'
import type { LogBackend } from '../log/log-backend.ts'
import { EMPTY_GROUP, stepGroup, type GroupEvent, type GroupOutcome, type GroupState } from './group-state.ts'
import { leadGroup } from './lead-group.ts'
import type { Patience } from '../parts/patience.ts'

export interface MembershipDeps {
  readonly backend: LogBackend
  readonly log: Logger
  /** Of the transport. */
  readonly host: string
  readonly patience: Patience
  readonly monotonic: () => number
  readonly newMemberId: () => string
  /** Makes the partitions given the member's own: what is no longer among them delivers nothing from now on. */
  readonly own: (
    partitions: readonly TopicPartition[],
  ) => Omit<AssignmentChange, 'memberId' | 'generation' | 'groupData' | 'ownData'>
  readonly joined: () => void
  readonly failed: (error: Error) => void
}

/**
 * One member's part in its group: joins, leads when it is the leader, tells the listener, and joins again. It only
 * looks at the group's state and adds events to it, so the members may be in different processes.
 */
export class Membership {
  readonly #options: ConsumerOptions
  readonly #deps: MembershipDeps
  readonly #wake = new ChangeSignal()
  readonly #deaf: () => void
  #memberId: string
  #generation = -1
  #lastHeardMs = -Infinity
  /** The listener knows of an assignment. */
  #hasAssignment = false
  #rejoinWanted = false
  #stopped = false

  constructor(options: ConsumerOptions, deps: MembershipDeps) {
    this.#options = options
    this.#deps = deps
    this.#memberId = deps.newMemberId()
    this.#deaf = deps.backend.changes.groups.listen(() => this.#wake.notify())
  }

  get memberId(): string {
    return this.#memberId
  }

  /** Of the last assignment; -1 before the first. */
  get generation(): number {
    return this.#generation
  }

  /** Monotonic milliseconds when the last join or heartbeat that succeeded was sent. */
  get lastHeardMs(): number {
    return this.#lastHeardMs
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
      this.stop()
      this.#deps.failed(toError(thrown))
      await this.#leaveAfterFailure()
    }
  }

  rejoin(): void {
    this.#rejoinWanted = true
    this.#wake.notify()
  }

  /** Looks at the group again, for example after a commit was refused. */
  look(): void {
    this.#wake.notify()
  }

  /** Does nothing more in the group; the others do not hear of it. */
  stop(): void {
    this.#stopped = true
    this.#deaf()
    this.#wake.notify()
  }

  async leave(): Promise<void> {
    await this.#tell({ type: 'leave', memberId: this.#memberId })
  }

  /** So that the others need not wait for the session to run out. */
  async #leaveAfterFailure(): Promise<void> {
    const { groupId } = this.#options
    try {
      await this.leave()
    } catch (error) {
      this.#deps.log.warn({ groupId, memberId: this.#memberId, err: toError(error) }, 'The group could not be left.')
    }
  }

  /** From joining to having to join again. */
  async #round(): Promise<void> {
    const { listener, rebalanceTimeoutMs } = this.#options
    if (await this.#takePart()) {
      await this.#untilRebalance()
      if (this.#stopped) return
      if (this.#isMember()) return this.#deps.patience(listener.onRevoke(), rebalanceTimeoutMs)
    }
    if (this.#stopped) return
    await this.#lose()
  }

  /** Joins, as often as it takes, and hands the assignment to the listener. False when thrown out. */
  async #takePart(): Promise<boolean> {
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
    const { host } = this.#deps
    const member = { instanceId, topics, data: memberData(), host, sessionTimeoutMs, rebalanceTimeoutMs }
    const sentMs = this.#deps.monotonic()
    const returning = this.#generation >= 0
    const outcome = await this.#tell({
      type: 'join',
      memberId: this.#memberId,
      protocol: assignor.name,
      member,
      returning,
    })
    // Thrown out meanwhile; whoever looks at the group next sees it.
    if (outcome === 'stale') return
    if (outcome !== 'protocol-differs') return this.heard(sentMs)
    throw new MillraceError(
      'GROUP_INCONSISTENT',
      `Group "${groupId}" has members whose assignor is not "${assignor.name}".`,
    )
  }

  async #lead(group: GroupState): Promise<void> {
    const assignment = this.#deps.backend.read((log) => leadGroup(group, this.#options.assignor, log))
    await this.#tell({ type: 'assign', memberId: this.#memberId, generation: group.generation, ...assignment })
  }

  async #assigned(group: GroupState): Promise<void> {
    const { generation, groupData } = group
    const ownData = group.ownData.get(this.#memberId) ?? new Uint8Array(0)
    const change = this.#deps.own(group.assignments.get(this.#memberId) ?? [])
    this.#generation = generation
    // A batch of a lost partition that was handed out just now reaches its taker first.
    await Promise.resolve()
    await Promise.resolve()
    if (this.#stopped) return
    this.#hasAssignment = true
    await this.#options.listener.onAssign({ memberId: this.#memberId, generation, groupData, ownData, ...change })
    if (!this.#stopped) this.#deps.joined()
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

  async #lose(): Promise<void> {
    const { groupId, instanceId, listener } = this.#options
    this.#deps.log.warn({ groupId, memberId: this.#memberId }, 'The group has gone on without this member.')
    this.#deps.own([])
    this.#generation = -1
    if (this.#hasAssignment) await listener.onLost()
    this.#hasAssignment = false
    const successor = [...this.#group().members.values()].some(
      (member) => instanceId !== undefined && member.instanceId === instanceId,
    )
    if (successor) {
      throw new MillraceError(
        'MEMBER_FENCED',
        `Another member of group "${groupId}" has joined as instance "${instanceId}".`,
      )
    }
    this.#memberId = this.#deps.newMemberId()
  }

  #isMember(): boolean {
    return this.#group().members.has(this.#memberId)
  }

  #group(): GroupState {
    return this.#deps.backend.read((log) => log.group(this.#options.groupId))
  }

  #tell(event: GroupEvent): Promise<GroupOutcome> {
    const { groupId } = this.#options
    return this.#deps.backend.write('groups', (log) => {
      const { state, outcome } = stepGroup(log.group(groupId) ?? EMPTY_GROUP, event)
      log.putGroup(groupId, state)
      return outcome
    })
  }
}
