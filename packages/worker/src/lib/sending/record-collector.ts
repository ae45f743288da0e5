import { closedError, isMillraceError, MillraceError, toError, type TopicPartition } from '@millrace/core'
import {
  type DelayedPartition,
  type Producer,
  type SendOutcome,
  type SpreadPartitioner,
  spreadPartitioner,
} from '@millrace/core/driver'
import { BrokerQueue, TopicRoute } from './broker-queue.ts'
import { Delay } from './delays.ts'
import type { Outgoing } from './outgoing.ts'
import { type Sending, WAITING_SHARE } from './send-budget.ts'

/** The owner of a record collector. */
export interface CollectorOwner {
  /** Called before each request, to begin something with the first one. */
  begin?(): Promise<void>
  /** Called when the broker has refused a record permanently; its sender or its epoch knows already. */
  refused(record: Outgoing, error: Error): void
  /** Called when the producer cannot continue. */
  broken(error: Error): void
}

/**
 * Gathers sends on their way to the broker. Each broker's queue has one request under way and gathers meanwhile; an
 * idle queue sends what it has at the end of the current turn of the event loop. The order per partition is the order
 * of `add`.
 *
 * A partition that accepts no records at present leaves its queue to the others, and its records leave the budget. The
 * driver keeps trying to send those it has, the others wait behind them, and the tasks to which they belong get no
 * further events.
 */
export class RecordCollector {
  readonly #producer: Producer
  readonly #sending: Sending
  readonly #owner: CollectorOwner
  readonly #queues = new Map<number, BrokerQueue>()
  readonly #routes = new Map<string, TopicRoute>()
  readonly #delayed = new Set<Delay>()
  readonly #spread: SpreadPartitioner
  #flushPlanned = false
  #pending = 0
  /** The lease has run out, and the collector waits for it. */
  #waitsForLease = false
  #closed = false
  #reason: unknown = undefined

  constructor(producer: Producer, sending: Sending, owner: CollectorOwner) {
    this.#producer = producer
    this.#sending = sending
    this.#owner = owner
    // Starts at a random partition, because keyless sends of many workers should not all begin at partition 0.
    this.#spread = spreadPartitioner({ first: Math.floor(Math.random() * 1024) })
  }

  /** How many records are neither acknowledged nor refused. */
  get pending(): number {
    return this.#pending
  }

  add(record: Outgoing): void {
    if (this.#closed)
      return record.failed(closedError(`A send to ${record.topic} came after the producer was closed`, this.#reason))
    this.#pending++
    this.#sending.budget.count(record.size)
    const route = this.#routes.get(record.topic) ?? this.#explore(record.topic)
    if (route.partitions === 0) route.early.push(record)
    else this.#dispatch(route, record)
  }

  /** The partition count of a topic, which the broker is asked for once. */
  async partitions(topic: string): Promise<number> {
    const known = this.#routes.get(topic)?.partitions ?? 0
    return known > 0 ? known : this.#producer.partitions(topic)
  }

  /** Sends the records gathered in the meantime. */
  leaseIsBack(): void {
    this.#waitsForLease = false
    for (const queue of this.#queues.values()) this.#sendNext(queue)
  }

  /** Fails everything that has not gone out. `reason` says why the worker ended. */
  close(reason?: unknown): void {
    this.#closed = true
    this.#reason = reason
    const error = closedError('The producer was closed before the record was sent', reason)
    for (const queue of this.#queues.values())
      while (!queue.isEmpty) for (const record of queue.take()) this.#settle(record, error)
    for (const delay of this.#delayed) {
      for (const record of delay.waiting) this.#sending.budget.count(record.size)
      for (const record of delay.waiting.splice(0)) this.#settle(record, error)
    }
    for (const route of this.#routes.values()) for (const record of route.early.splice(0)) this.#settle(record, error)
  }

  #explore(topic: string): TopicRoute {
    const route = new TopicRoute()
    this.#routes.set(topic, route)
    this.#producer.partitions(topic).then(
      (partitions) => {
        route.partitions = partitions
        for (const record of route.early.splice(0)) this.#dispatch(route, record)
      },
      (thrown: unknown) => {
        // The next send asks again, because the topic may exist by then.
        this.#routes.delete(topic)
        const error = toError(thrown)
        for (const record of route.early.splice(0)) this.#refuse(record, error)
      },
    )
    return route
  }

  #dispatch(route: TopicRoute, record: Outgoing): void {
    const missing = route.choose(record, this.#spread)
    if (missing !== undefined) return this.#refuse(record, missing)
    const { queue, delay } = route.enter(record, this.#queueNow)
    if (delay !== undefined) return this.#waitFor(delay, record)
    queue.push(record)
    if (queue.sending) return
    if (queue.isFull) this.#sendNext(queue)
    else if (!this.#flushPlanned) {
      this.#flushPlanned = true
      setImmediate(this.#flush)
    }
  }

  #waitFor(delay: Delay, record: Outgoing): void {
    const { budget } = this.#sending
    const tooMuch = record.epoch === undefined && delay.outsideBytes > budget.maxBytes * WAITING_SHARE
    if (tooMuch) return this.#refuse(record, delay.tooMuch())
    budget.count(-record.size)
    delay.add(record)
  }

  readonly #queueNow = (partition: TopicPartition): BrokerQueue => {
    const number = this.#producer.brokerOf(partition)
    let queue = this.#queues.get(number)
    if (queue === undefined) {
      queue = new BrokerQueue()
      this.#queues.set(number, queue)
    }
    return queue
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false
    for (const queue of this.#queues.values()) this.#sendNext(queue)
  }

  #sendNext(queue: BrokerQueue): void {
    if (queue.sending || this.#waitsForLease || this.#closed || queue.isEmpty) return
    const records = this.#live(queue.take())
    if (records.length === 0) return this.#sendNext(queue)
    queue.sending = true
    void this.#send(queue, records)
  }

  /** Filters out the records of lost tasks. */
  #live(records: readonly Outgoing[]): readonly Outgoing[] {
    if (!records.some((record) => record.abandoned)) return records
    const live: Outgoing[] = []
    for (const record of records) {
      const lost = `A send to ${record.topic} was dropped because its task is no longer here.`
      if (record.abandoned) this.#settle(record, new MillraceError('NOT_ASSIGNED', lost))
      else live.push(record)
    }
    return live
  }

  async #send(queue: BrokerQueue, records: readonly Outgoing[]): Promise<void> {
    const startMs = this.#sending.clock.monotonic()
    const delayed: DelayedPartition[] = []
    let outcomes: readonly SendOutcome[] = []
    let error: Error | undefined
    try {
      if (this.#owner.begin !== undefined) await this.#owner.begin()
      outcomes = await this.#producer.send(records, {
        guard: () => this.#mayGo(records),
        onDelayed: (partition) => void delayed.push(partition),
      })
    } catch (thrown) {
      error = toError(thrown)
    }
    if (error === undefined) this.#settleAll(records, outcomes, startMs)
    // The driver keeps trying to send these, even if the rest of the request was interrupted.
    for (const partition of delayed)
      void this.#delay(
        partition,
        records.filter((record) => record.isFor(partition) && !record.settled),
      )
    queue.sending = false
    if (error === undefined) return this.#sendNext(queue)
    const rest = records.filter((record) => !delayed.some((partition) => record.isFor(partition)))
    this.#interrupted(queue, rest, error)
  }

  /**
   * Continues the queue without this partition. Further records for it go out when the driver has settled those it has.
   */
  async #delay(partition: DelayedPartition, sent: readonly Outgoing[]): Promise<void> {
    const { delays, budget, clock } = this.#sending
    const startMs = clock.monotonic()
    const end = this.#routes.get(partition.topic)?.end(partition.partition)
    if (end === undefined) return
    const delay = new Delay(partition, sent)
    end.delay = delay
    this.#delayed.add(delay)
    for (const { size } of sent) budget.count(-size)
    for (const record of end.queue.takeOut(partition)) {
      budget.count(-record.size)
      delay.add(record)
    }
    delays.began(delay)
    const outcomes = await partition.outcomes.catch(toError)
    end.delay = undefined
    this.#delayed.delete(delay)
    for (const { size } of [...sent, ...delay.waiting]) budget.count(size)
    const queue = (end.queue = this.#queueNow(partition))
    // First of all: if the producer cannot continue, its owner may close this collector at once, with what it holds.
    for (const record of delay.waiting.splice(0)) queue.push(record)
    if (outcomes instanceof Error) this.#interrupted(queue, sent, outcomes)
    else this.#settleAll(sent, outcomes, startMs)
    delays.ended(delay, !(outcomes instanceof Error))
    this.#sendNext(queue)
  }

  /**
   * Checked before each request and each resend. The lease alone is not enough: the driver may resend an unanswered
   * request after the worker has lost the task, rejoined and got a lease again. Its rows would then overwrite those of
   * the successor.
   */
  #mayGo(records: readonly Outgoing[]): void {
    this.#sending.lease.check()
    if (records.some((record) => record.abandoned && !record.settled))
      throw new MillraceError('NOT_ASSIGNED', 'A request has records of a task that is no longer here.')
  }

  /**
   * Handles a request that was not sent. Without a lease nothing goes out until the lease is back, or the task is lost.
   */
  #interrupted(queue: BrokerQueue, records: readonly Outgoing[], error: Error): void {
    if (isMillraceError(error, 'LEASE_EXPIRED') && !this.#closed) {
      this.#waitsForLease = true
      queue.requeue(records)
      this.#sending.lease.whenBack(this)
      return
    }
    if (isMillraceError(error, 'NOT_ASSIGNED') && !this.#closed) {
      queue.requeue(records)
      return this.#sendNext(queue)
    }
    for (const record of records) this.#settle(record, error)
    if (!isMillraceError(error, 'CLOSED')) this.#owner.broken(error)
  }

  /** Settles records by their outcomes. Records without an outcome wait for a delayed partition. */
  #settleAll(records: readonly Outgoing[], outcomes: readonly SendOutcome[], startMs: number): void {
    let bytes = 0
    let count = 0
    for (let i = 0; i < records.length; i++) {
      const record = records[i]
      const outcome = outcomes[i]
      if (record === undefined || outcome === undefined) continue
      count++
      bytes += record.size
      if (outcome.ok) {
        this.#leave(record)
        record.acknowledged(outcome.offset)
      } else this.#refuse(record, outcome.error)
    }
    this.#sending.sensor.sendCompleted({ records: count, bytes, durationMs: this.#sending.clock.monotonic() - startMs })
  }

  #refuse(record: Outgoing, error: Error): void {
    this.#leave(record)
    if (!record.refused(error)) this.#owner.refused(record, error)
  }

  #settle(record: Outgoing, error: Error): void {
    this.#leave(record)
    record.failed(error)
  }

  #leave(record: Outgoing): void {
    this.#pending--
    this.#sending.budget.count(-record.size)
    this.#routes.get(record.topic)?.left(record.partition)
  }
}
