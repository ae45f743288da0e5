import {
  type Clock,
  type Logger,
  MillraceError,
  partitionKey,
  type Scheduled,
  type TopicPartition,
} from '@millrace/core'
import type { DelayedPartition } from '@millrace/core/driver'
import type { DelayStats } from '../contracts/stats.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { Outgoing } from './outgoing.ts'
import type { EpochOwner } from './epoch.ts'

/** A partition that accepts no records at present, and the records that wait for it in one record collector. */
export class Delay implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Records that the driver keeps trying to send. */
  readonly sent: readonly Outgoing[]
  /** The records after those, in order. */
  readonly waiting: Outgoing[] = []
  readonly #cause: DelayedPartition
  readonly #owners = new Set<EpochOwner>()
  #outsideBytes = 0

  constructor(cause: DelayedPartition, sent: readonly Outgoing[]) {
    this.topic = cause.topic
    this.partition = cause.partition
    this.sent = sent
    this.#cause = cause
    for (const record of sent) this.#count(record)
  }

  get reason(): string {
    return this.#cause.reason
  }

  /** Bytes of the records that belong to no task. */
  get outsideBytes(): number {
    return this.#outsideBytes
  }

  /** Ids of the tasks that cannot proceed because of it. */
  get tasks(): readonly string[] {
    const live = [...this.sent, ...this.waiting].flatMap(({ epoch }) =>
      epoch === undefined || epoch.abandoned ? [] : (epoch.owner?.id ?? []),
    )
    return [...new Set(live)].toSorted()
  }

  /** The error for senders outside of tasks, which nothing else would hold back. */
  tooMuch(): MillraceError {
    return new MillraceError(
      'PARTITION_UNAVAILABLE',
      `${partitionKey(this)} accepts no records at present, and ${this.#outsideBytes} bytes wait for it already. ${this.reason}`,
    )
  }

  add(record: Outgoing): void {
    this.waiting.push(record)
    this.#count(record)
  }

  /** Lets its tasks continue. */
  end(): void {
    for (const owner of this.#owners) owner.delayOver()
  }

  #count({ size, epoch }: Outgoing): void {
    if (epoch === undefined) this.#outsideBytes += size
    const owner = epoch?.owner
    if (owner === undefined || this.#owners.has(owner)) return
    this.#owners.add(owner)
    owner.delayed()
  }
}

export interface DelaysOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly deliveryTimeoutMs: number
  /** Woken when tasks may continue. Default: there are no tasks. */
  readonly handOut?: Pick<HandOut, 'wake'>
}

interface Entry extends TopicPartition {
  readonly sinceMs: number
  readonly delays: Set<Delay>
  timer: Scheduled | undefined
  overdue: boolean
  /** Since when no records wait for it although it has not accepted any. */
  idleSinceMs: number
}

/** The partitions that accept no records at present, for the whole worker, and the tasks that wait for them. */
export class Delays {
  readonly #options: DelaysOptions
  readonly #entries = new Map<string, Entry>()

  constructor(options: DelaysOptions) {
    this.#options = options
  }

  get stats(): readonly DelayStats[] {
    const now = this.#options.clock.monotonic()
    return [...this.#entries.values()]
      .filter(({ delays }) => delays.size > 0)
      .map(({ topic, partition, sinceMs, overdue, delays }) => ({
        topic,
        partition,
        reason: [...delays][0]?.reason ?? '',
        forMs: now - sinceMs,
        overdue,
        tasks: tasksOf(delays),
      }))
  }

  began(delay: Delay): void {
    const key = partitionKey(delay)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.delays.add(delay)
      return
    }
    const { topic, partition } = delay
    const sinceMs = this.#options.clock.monotonic()
    const entry: Entry = {
      topic,
      partition,
      sinceMs,
      delays: new Set([delay]),
      timer: undefined,
      overdue: false,
      idleSinceMs: sinceMs,
    }
    this.#entries.set(key, entry)
    this.#watch(key, entry, this.#options.deliveryTimeoutMs)
  }

  /**
   * `recovered`: the partition has accepted what waited longest. Otherwise nothing waits any more, or it is sent anew,
   * which does not restart the count.
   */
  ended(delay: Delay, recovered: boolean): void {
    const key = partitionKey(delay)
    const entry = this.#entries.get(key)
    delay.end()
    if (entry !== undefined) {
      entry.delays.delete(delay)
      entry.idleSinceMs = this.#options.clock.monotonic()
      if (recovered) this.#forget(key, entry)
    }
    this.#options.handOut?.wake()
  }

  close(): void {
    for (const { timer } of this.#entries.values()) timer?.cancel()
    this.#entries.clear()
  }

  #watch(key: string, entry: Entry, delayMs: number): void {
    entry.timer = this.#options.clock.schedule(delayMs, () => {
      const idleMs = entry.delays.size === 0 ? this.#options.clock.monotonic() - entry.idleSinceMs : 0
      if (idleMs >= this.#options.deliveryTimeoutMs) this.#entries.delete(key)
      else if (entry.overdue || entry.delays.size === 0) this.#watch(key, entry, this.#options.deliveryTimeoutMs)
      else this.#warn(key, entry)
    })
  }

  #warn(key: string, entry: Entry): void {
    const { log, deliveryTimeoutMs } = this.#options
    const tasks = tasksOf(entry.delays)
    entry.overdue = true
    log.error(
      { topic: entry.topic, partition: entry.partition, tasks, reason: [...entry.delays][0]?.reason },
      `${key} has accepted no records for ${deliveryTimeoutMs} ms (deliveryTimeout). ${standingStill(tasks)} Bring back the replicas of the partition; the waiting records are then sent.`,
    )
    this.#watch(key, entry, deliveryTimeoutMs)
  }

  #forget(key: string, entry: Entry): void {
    entry.timer?.cancel()
    this.#entries.delete(key)
    if (entry.overdue)
      this.#options.log.info({ topic: entry.topic, partition: entry.partition }, `${key} accepts records again.`)
    // Record collectors of other tasks still wait for their next attempt.
    for (const delay of entry.delays) this.began(delay)
  }
}

function tasksOf(delays: ReadonlySet<Delay>): readonly string[] {
  return [...new Set([...delays].flatMap(({ tasks }) => tasks))].toSorted()
}

function standingStill(tasks: readonly string[]): string {
  if (tasks.length === 0) return 'Sends wait for it.'
  return tasks.length === 1
    ? `Task ${tasks[0]} makes no progress until it does.`
    : `Tasks ${tasks.join(', ')} make no progress until it does.`
}
