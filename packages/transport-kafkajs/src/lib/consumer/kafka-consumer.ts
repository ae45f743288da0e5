import {
  deferred,
  MillraceError,
  partitionKey,
  toError,
  type AssignmentChange,
  type CommitOffset,
  type Consumer,
  type ConsumerOptions,
  type Deferred,
  type RecordBatch,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import { committedOffsets } from '../cluster/committed-offsets.ts'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { PartContext } from '../cluster/part-context.ts'
import { requirePartition } from '../cluster/partition-offsets.ts'
import { isPassing, PassingError, reasonOf, retrying } from '../cluster/retrying.ts'
import { isMembershipLost, isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { requireSafe } from '../fetch/kafka-reader.ts'
import { throwOutOfRange } from '../fetch/out-of-range.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { leaveGroupRequest } from '../wire/requests/leave-group.ts'
import { offsetCommitRequest } from '../wire/requests/offset-commit.ts'
import { assignmentChange } from './assignment-change.ts'
import { GroupSession } from './group-session.ts'
import { joinGroup, type JoinResult } from './join-group.ts'

const LEAVE_LIMIT_MS = 3_000

type Joined = Extract<JoinResult, { readonly kind: 'joined' }>

/**
 * A member of a group, with membership of its own instead of kafkajs's runner: join, heartbeat, drain, join again. The
 * drain comes before JoinGroup, while commits of the old generation still count.
 */
export class KafkaConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #context: PartContext
  readonly #closing = new AbortController()
  readonly #groupLinks: BrokerLinks
  readonly #fetchLinks: BrokerLinks
  readonly #coordinator: CoordinatorLink
  readonly #fetcher: PartitionFetcher
  readonly #started: Deferred<void> = deferred()
  #running = false
  #memberId = ''
  #joinNumber = 0
  #generation: number | undefined
  #session: GroupSession | undefined
  /** While the member is between two generations; commits wait for it. */
  #joining: Deferred<void> | undefined
  #assigned: readonly TopicPartition[] = []
  #assignedKeys: ReadonlySet<string> = new Set()
  /** True from `onAssign` until `onLost`. */
  #isMember = false
  /** False when a generation may have passed without this member. */
  #continuous = true
  /** Counts breaks in ownership: a commit from before one must not reach the broker after it. */
  #ownership = 0
  #lastHeartbeatMs = -Infinity
  #listenerTail: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(options: ConsumerOptions, context: PartContext) {
    this.#options = options
    this.#context = context
    this.#groupLinks = context.openLinks()
    this.#fetchLinks = context.openLinks()
    this.#coordinator = new CoordinatorLink('group', options.groupId, { view: context.view, links: this.#groupLinks })
    this.#fetcher = new PartitionFetcher(
      { isolation: options.isolation, maxPartitionBytes: options.maxPartitionBytes },
      {
        ...context,
        links: this.#fetchLinks,
        signal: this.#closing.signal,
        onOutOfRange: options.onOutOfRange ?? throwOutOfRange,
      },
    )
    // Nobody may be waiting for `start` when it fails; `batches` tells too.
    this.#started.promise.catch(() => undefined)
  }

  async start(): Promise<void> {
    this.#requireOpen()
    if (!this.#running) {
      this.#running = true
      void this.#run()
    }
    return this.#started.promise
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#fetcher.batches()
  }

  seek(partition: TopicPartition, offset: number): void {
    requireSafe(partition, offset)
    this.#fetcher.seek(partition, offset)
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#fetcher.pause(partitions)
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#fetcher.resume(partitions)
  }

  async committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]> {
    this.#requireStarted()
    const { groupId } = this.#options
    return committedOffsets(this.#context, { groupId, partitions, stable: true }, this.#closing.signal)
  }

  async commit(offsets: readonly CommitOffset[]): Promise<void> {
    this.#requireStarted()
    for (const offset of offsets) requireSafe(offset, offset.offset)
    if (offsets.length === 0) return
    const ownership = this.#ownership
    const { signal } = this.#closing
    await retrying(this.#context.recovery, `commit of group "${this.#options.groupId}"`, signal, async () => {
      while (this.#joining !== undefined) await abortable(this.#joining.promise, signal)
      const session = this.#session
      if (session === undefined || ownership !== this.#ownership) throw this.#fenced()
      for (const offset of offsets) {
        if (this.#assignedKeys.has(partitionKey(offset))) continue
        throw new MillraceError(
          'NOT_ASSIGNED',
          `${offset.topic}/${offset.partition} is not assigned to this member of group "${this.#options.groupId}".`,
        )
      }
      const results = await this.#coordinator.send(offsetCommitRequest(session.membership, offsets))
      const failed = results.find(({ errorCode }) => errorCode !== KafkaCode.ok)
      if (failed === undefined) return
      if (isMembershipLost(failed.errorCode)) {
        session.endFor(failed.errorCode)
        throw this.#fenced()
      }
      if (isRetriable(failed.errorCode)) {
        this.#coordinator.forget()
        throw new PassingError(`Kafka answered ${kafkaErrorName(failed.errorCode)}.`)
      }
      throw kafkaError(failed.errorCode, `The offset of ${failed.topic}/${failed.partition} could not be committed.`)
    })
  }

  lastHeartbeatMs(): number {
    return this.#lastHeartbeatMs
  }

  rejoin(): void {
    this.#joinNumber++
    this.#session?.rejoin()
  }

  /** Closes without a word to the group, as a process does that dies. */
  abandon(): void {
    this.#memberId = ''
    this.#groupLinks.close()
    void this.close()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** The life of the member, until it is closed or fails for good. */
  async #run(): Promise<void> {
    try {
      await this.#requireTopics()
      for (;;) {
        const joined = await this.#join()
        const session = this.#beginSession(joined)
        await this.#assign(joined)
        this.#started.resolve()
        const end = await abortable(session.ended, this.#closing.signal)
        if (end.kind === 'failed') throw end.error
        const lost = end.kind === 'lost' || (await this.#drain(session)) === 'lost'
        session.stop()
        this.#session = undefined
        if (lost) await this.#lose()
      }
    } catch (error) {
      await this.#end(toError(error))
    }
  }

  async #end(error: Error): Promise<void> {
    this.#session?.stop()
    this.#session = undefined
    this.#joining?.resolve()
    this.#joining = undefined
    this.#started.reject(error)
    if (this.#closing.signal.aborted) return
    this.#context.log.error(
      { groupId: this.#options.groupId, error: error.message },
      'The member of the group has failed.',
    )
    this.#fetcher.fail(error)
    if (this.#isMember) {
      this.#dropAssignment()
      await this.#tell(() => this.#options.listener.onLost()).catch((thrown: unknown) => {
        this.#context.log.error({ error: toError(thrown).message }, 'onLost failed after the member had failed.')
      })
    }
    await this.#leave()
  }

  async #requireTopics(): Promise<void> {
    const { view, recovery } = this.#context
    const { topics, groupId } = this.#options
    await retrying(recovery, `topics of group "${groupId}" could not be looked up`, this.#closing.signal, async () => {
      await view.ensure(topics)
      for (const topic of topics) requirePartition(view, { topic, partition: 0 })
    })
  }

  /** Joins until it has an assignment. */
  async #join(): Promise<Joined> {
    const { clock, view, recovery } = this.#context
    const { signal } = this.#closing
    this.#joining ??= deferred()
    for (;;) {
      signal.throwIfAborted()
      try {
        const result = await joinGroup(this.#options, this.#memberId, this.#joinNumber, {
          clock,
          view,
          coordinator: this.#coordinator,
        })
        // A member that is closed has left, and its join is refused for that.
        signal.throwIfAborted()
        if (result.kind === 'joined') return result
        if (result.kind === 'again') {
          // A first id changes nothing; a round that ended without us may have.
          if (this.#memberId === result.memberId) this.#continuous = false
          this.#memberId = result.memberId
        } else {
          await this.#lose()
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (!isPassing(error)) throw error
        this.#continuous = false
        await recovery.wait(`joining group "${this.#options.groupId}"`, reasonOf(error), signal)
      }
    }
  }

  #beginSession({ membership, syncSentMs }: Joined): GroupSession {
    const { clock, recovery } = this.#context
    this.#memberId = membership.memberId
    this.#lastHeartbeatMs = syncSentMs
    const session = new GroupSession(membership, {
      clock,
      recovery,
      coordinator: this.#coordinator,
      intervalMs: this.#options.heartbeatIntervalMs,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      signal: this.#closing.signal,
      onHeartbeat: (sentMs) => {
        this.#lastHeartbeatMs = sentMs
      },
    })
    this.#session = session
    return session
  }

  async #assign({ membership, assignment }: Joined): Promise<void> {
    // A static member is not thrown out of a round that it misses: another may have had its partitions in between.
    if (this.#generation !== undefined && membership.generation > this.#generation + 1) this.#continuous = false
    this.#generation = membership.generation
    const { lost, kept, gained } = assignmentChange(this.#assigned, assignment.partitions, this.#continuous)
    if (!this.#continuous) this.#ownership++
    this.#continuous = true
    this.#isMember = true
    this.#assigned = assignment.partitions
    this.#assignedKeys = new Set(assignment.partitions.map(partitionKey))
    for (const partition of lost) this.#fetcher.remove(partition)
    for (const partition of gained) this.#fetcher.add(partition)
    this.#joining?.resolve()
    this.#joining = undefined
    const change: AssignmentChange = {
      memberId: membership.memberId,
      generation: membership.generation,
      lost,
      kept,
      gained,
      groupData: assignment.groupData,
    }
    await abortable(
      this.#tell(() => this.#options.listener.onAssign(change)),
      this.#closing.signal,
    )
  }

  /** Lets the worker finish what is in hand while heartbeats go on. */
  async #drain(session: GroupSession): Promise<'drained' | 'lost'> {
    const { clock, log } = this.#context
    const { rebalanceTimeoutMs, groupId, listener } = this.#options
    const limit = new AbortController()
    const timeout = clock.sleep(rebalanceTimeoutMs, limit.signal).then(
      () => 'late' as const,
      () => 'drained' as const,
    )
    const revoked = this.#tell(() => listener.onRevoke()).then(() => 'drained' as const)
    revoked.catch(() => undefined)
    try {
      const how = await abortable(Promise.race([revoked, session.lost, timeout]), this.#closing.signal)
      if (how === 'late')
        log.warn({ groupId, rebalanceTimeoutMs }, 'The drain before a rebalance took too long: joining without it.')
      if (typeof how === 'string') {
        this.#joining ??= deferred()
        return 'drained'
      }
      if (how.kind === 'failed') throw how.error
      return 'lost'
    } finally {
      limit.abort()
    }
  }

  /** Membership is gone: everything is lost, and the next join is that of a new member. */
  async #lose(): Promise<void> {
    this.#memberId = ''
    this.#generation = undefined
    this.#ownership++
    this.#continuous = true
    this.#joining?.resolve()
    this.#joining = undefined
    const wasMember = this.#isMember
    this.#dropAssignment()
    if (wasMember) {
      await abortable(
        this.#tell(() => this.#options.listener.onLost()),
        this.#closing.signal,
      )
    }
  }

  #dropAssignment(): void {
    for (const partition of this.#assigned) this.#fetcher.remove(partition)
    this.#assigned = []
    this.#assignedKeys = new Set()
    this.#isMember = false
  }

  /** Listener calls, one at a time even when one of them is late. */
  #tell(call: () => Promise<void>): Promise<void> {
    const told = this.#listenerTail.then(call)
    // Whoever waits for it hears of a rejection; when the consumer is closed nobody does.
    told.catch(() => undefined)
    this.#listenerTail = told
    return told
  }

  async #close(): Promise<void> {
    this.#closing.abort(new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" is closed.`))
    this.#session?.stop()
    this.#fetcher.end()
    this.#started.reject(this.#closing.signal.reason)
    await this.#leave()
    this.#fetchLinks.close()
    this.#groupLinks.close()
    this.#context.onClosed(this)
  }

  /**
   * Leaves over a connection of its own: on the member's, the request would wait behind a JoinGroup. A static member
   * leaves too, as the contract has it: its id keeps its partitions when the process dies, not when it is shut down.
   */
  async #leave(): Promise<void> {
    const { view, control, clock, log } = this.#context
    const { groupId, instanceId } = this.#options
    const memberId = this.#memberId
    if (memberId === '') return
    this.#memberId = ''
    const limit = new AbortController()
    const timeout = clock.sleep(LEAVE_LIMIT_MS, limit.signal).catch(() => undefined)
    const coordinator = new CoordinatorLink('group', groupId, { view, links: control })
    const left = coordinator.send(leaveGroupRequest({ groupId, generation: -1, memberId, instanceId })).then(
      () => undefined,
      (error: unknown) =>
        log.debug({ groupId, error: toError(error).message }, 'The group could not be left: it will notice by itself.'),
    )
    await Promise.race([left, timeout])
    limit.abort()
  }

  #fenced(): MillraceError {
    return new MillraceError(
      'MEMBER_FENCED',
      `This member of group "${this.#options.groupId}" is no longer in its generation.`,
    )
  }

  #requireOpen(): void {
    if (this.#closed !== undefined)
      throw new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" is closed.`)
  }

  #requireStarted(): void {
    this.#requireOpen()
    if (!this.#running)
      throw new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" has not been started.`)
  }
}

/** The promise, or a rejection with the signal's reason if that comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = deferred<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
