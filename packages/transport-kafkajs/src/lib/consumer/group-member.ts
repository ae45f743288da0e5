import { deferred, type Deferred, MillraceError, raceAbort, toError, withinLimit } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import { kafkaErrorName } from '../errors/kafka-errors.ts'
import { requirePartition } from '../cluster/to-leaders.ts'
import { isPassing, PassingError, reasonOf, retrying } from '../cluster/retrying.ts'
import type { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { GroupSession, type SessionEnd } from './group-session.ts'
import { joinGroup, leaveGroup, type JoinResult, type MemberContext } from './join-leave.ts'
import { OwnedPartitions } from './owned-partitions.ts'

/**
 * How many refusals in a row mean that the group is too large. Members send less data when joins fail, so the first
 * ones do not count.
 */
const MOST_REFUSALS = 6

type Joined = Extract<JoinResult, { readonly kind: 'joined' }>
type Lost = Extract<SessionEnd, { readonly kind: 'lost' }>

/**
 * The life of a member in its group: join, heartbeat, drain, join again. The drain comes before JoinGroup, while commits
 * of the old generation still count.
 */
export class KafkaMember {
  readonly owned: OwnedPartitions = new OwnedPartitions()
  readonly #context: MemberContext
  /** Fetches what the member owns. */
  readonly #fetcher: PartitionFetcher
  readonly #listener: ListenerCalls = new ListenerCalls()
  readonly #started: Deferred<void> = deferred()
  #memberId = ''
  #joinNumber = 0
  #session: GroupSession | undefined
  /** The current session, or the last one if there is none. */
  #latestSession: GroupSession | undefined
  /** Set while the member is between two generations; commits wait for it. */
  #joining: Deferred<void> | undefined

  constructor(context: MemberContext, fetcher: PartitionFetcher) {
    this.#context = context
    this.#fetcher = fetcher
    // Handled here, because nobody may be waiting when it fails; `batches` throws too.
    this.#started.promise.catch(() => undefined)
  }

  /** Settles when the first `onAssign` has, or when there can be none any more. */
  get started(): Promise<void> {
    return this.#started.promise
  }

  /** Monotonic time at which the last heartbeat (or join) that succeeded was sent. */
  get lastHeartbeatMs(): number {
    return this.#latestSession?.lastHeartbeatMs ?? -Infinity
  }

  /** Runs until the signal aborts or an error is permanent, which the fetcher's batches then throw. */
  async run(): Promise<void> {
    const { signal } = this.#context
    try {
      await this.#requireTopics()
      for (;;) {
        const joined = await this.#join()
        const session = this.#beginSession(joined)
        await this.#assign(joined)
        this.#started.resolve()
        const end = await raceAbort(session.ended, signal)
        if (end.kind === 'failed') throw end.error
        const lost = end.kind === 'lost' ? end : await this.#drain(session)
        session.stop()
        this.#session = undefined
        if (lost !== undefined) await this.#lose(lost)
      }
    } catch (error) {
      await this.#end(toError(error))
    }
  }

  /** The current generation, awaited while the member is between two; `undefined` if it is in none. */
  async session(): Promise<GroupSession | undefined> {
    while (this.#joining !== undefined) await raceAbort(this.#joining.promise, this.#context.signal)
    return this.#session
  }

  rejoin(): void {
    this.#joinNumber++
    this.#session?.rejoin()
  }

  /** Leaves the group, after the signal has aborted. */
  async leave(): Promise<void> {
    this.#session?.stop()
    this.#started.reject(this.#context.signal.reason)
    await this.#sayGoodbye()
  }

  /** Forgets the membership, so that `leave` does nothing. */
  forget(): void {
    this.#memberId = ''
  }

  async #end(error: Error): Promise<void> {
    const { signal, log } = this.#context
    const { groupId, listener } = this.#context.options
    this.#session?.stop()
    this.#session = undefined
    this.#endJoining()
    this.#started.reject(error)
    if (signal.aborted) return
    log.error({ groupId, error: error.message }, 'The member of the group has failed.')
    this.#fetcher.fail(error)
    if (this.owned.isMember) {
      this.#dropAll()
      await this.#listener
        .notifyAtOnce(() => listener.onLost())
        .catch((thrown: unknown) =>
          log.error({ error: toError(thrown).message }, 'onLost failed after the member had failed.'),
        )
    }
    await this.#sayGoodbye()
  }

  async #requireTopics(): Promise<void> {
    const { view, reconnects, signal } = this.#context
    const { topics, groupId } = this.#context.options
    await retrying(reconnects, `topics of group "${groupId}" could not be looked up`, signal, async () => {
      await view.ensure(topics)
      for (const topic of topics) requirePartition(view, { topic, partition: 0 })
    })
  }

  /** Joins until it has an assignment. */
  async #join(): Promise<Joined> {
    const { reconnects, signal } = this.#context
    this.#joining ??= deferred()
    let refusals = 0
    for (;;) {
      signal.throwIfAborted()
      try {
        const result = await joinGroup(this.#context, this.#memberId, this.#joinNumber)
        // The join of a closed member is refused, because it has left.
        signal.throwIfAborted()
        if (result.kind === 'joined') return result
        if (result.kind === 'again') {
          // Getting a first member id changes nothing, but a round may have ended without this member.
          if (this.#memberId === result.memberId) this.owned.mayHaveMissed()
          this.#memberId = result.memberId
        } else if (result.kind === 'refused') {
          this.#memberId = result.memberId
          if (++refusals >= MOST_REFUSALS) throw tooLarge(this.#context.options.groupId, result.bytes)
          throw new PassingError(`Kafka could not keep the assignment of the group, of ${result.bytes} bytes.`)
        } else {
          await this.#lose(result)
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (!isPassing(error)) throw error
        this.owned.mayHaveMissed()
        await reconnects.wait(`joining group "${this.#context.options.groupId}"`, reasonOf(error), signal)
      }
    }
  }

  #beginSession({ membership, syncSentMs }: Joined): GroupSession {
    this.#memberId = membership.memberId
    const session = new GroupSession(membership, syncSentMs, this.#context)
    this.#session = session
    this.#latestSession = session
    return session
  }

  async #assign({ membership, assignment }: Joined): Promise<void> {
    const { signal } = this.#context
    const { memberId, generation } = membership
    const { lost, kept, gained } = this.owned.assign(generation, assignment.partitions)
    for (const partition of lost) this.#fetcher.remove(partition)
    for (const partition of gained) this.#fetcher.add(partition)
    this.#endJoining()
    const { groupData, ownData } = assignment
    const change: AssignmentChange = { memberId, generation, lost, kept, gained, groupData, ownData }
    await raceAbort(
      this.#listener.notify(() => this.#context.options.listener.onAssign(change)),
      signal,
    )
  }

  /** Lets the worker finish its events in flight while heartbeats continue. */
  async #drain(session: GroupSession): Promise<Lost | undefined> {
    const { clock, log, signal } = this.#context
    const { rebalanceTimeoutMs, groupId, listener } = this.#context.options
    let end: SessionEnd | undefined
    const lost = session.lost.then((how) => void (end = how))
    const drained = Promise.race([this.#listener.notify(() => listener.onRevoke()), lost])
    if (!(await withinLimit(clock, rebalanceTimeoutMs, raceAbort(drained, signal))))
      log.warn({ groupId, rebalanceTimeoutMs }, 'The drain before a rebalance took too long: joining without it.')
    if (end?.kind === 'failed') throw end.error
    if (end?.kind === 'lost') return end
    this.#joining ??= deferred()
    return undefined
  }

  /** The membership is gone: everything is lost, and the next join is that of a new member. */
  async #lose({ code }: Lost): Promise<void> {
    const { clock, log, options } = this.#context
    const wasMember = this.owned.isMember
    // A silence longer than the session means that this process or the broker was suspended; a shorter one, that the
    // broker has forgotten the member.
    const silentMs = Math.round(clock.monotonic() - this.lastHeartbeatMs)
    const { groupId, sessionTimeoutMs } = options
    if (wasMember)
      log.warn(
        { groupId, memberId: this.#memberId, answer: kafkaErrorName(code), silentMs, sessionTimeoutMs },
        'The group has gone on without this member.',
      )
    this.#memberId = ''
    this.#dropAll()
    this.#endJoining()
    if (!wasMember) return
    await raceAbort(
      this.#listener.notifyAtOnce(() => this.#context.options.listener.onLost()),
      this.#context.signal,
    )
  }

  #dropAll(): void {
    for (const partition of this.owned.drop()) this.#fetcher.remove(partition)
  }

  #endJoining(): void {
    this.#joining?.resolve()
    this.#joining = undefined
  }

  async #sayGoodbye(): Promise<void> {
    const { groupId, instanceId } = this.#context.options
    const memberId = this.#memberId
    if (memberId === '') return
    this.#memberId = ''
    await leaveGroup({ groupId, memberId, instanceId }, this.#context)
  }
}

function tooLarge(groupId: string, bytes: number): MillraceError {
  return new MillraceError(
    'GROUP_TOO_LARGE',
    `The broker refuses to keep the members and assignments of group "${groupId}", ${bytes} bytes in one record of the topic __consumer_offsets.`,
  )
}

/** Calls a listener one call at a time, even if a call is late, except for the news that everything is lost. */
class ListenerCalls {
  #tail: Promise<unknown> = Promise.resolve()

  /** Calls when earlier calls are done. If one of those was rejected, this one is rejected too, without a call. */
  notify(call: () => Promise<void>): Promise<void> {
    return this.#called(this.#tail.then(call))
  }

  /** Calls now, even while the listener still drains, because it must not continue with lost partitions. */
  notifyAtOnce(call: () => Promise<void>): Promise<void> {
    return this.#called(call())
  }

  #called(called: Promise<void>): Promise<void> {
    // The caller sees a rejection; when the consumer is closed, there is no caller left.
    called.catch(() => undefined)
    this.#tail = Promise.all([this.#tail, called])
    this.#tail.catch(() => undefined)
    return called
  }
}
