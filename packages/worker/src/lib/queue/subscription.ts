import type { Clock } from '@millrace/core'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import type { EventReader, HandOut } from '../environment/hand-out.ts'
import { NOT_NOW, type ReasonBit } from '../environment/not-now.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import type { DueEvents } from '../task/due-events.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import type { EventOrigin, OriginReader } from '../task/event-origin.ts'
import { SubscriptionCounters } from '../task/subscription-counters.ts'
import { DispatchByKey } from './dispatch-by-key.ts'
import { DispatchInOrder } from './dispatch-in-order.ts'
import { RecordQueue } from './record-queue.ts'

/** The reader of an agent, or of a step of one: its partitions that are here, and a record queue for each instance. */
export class Subscription implements OriginReader, EventReader {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters = new SubscriptionCounters()
  readonly queues: readonly RecordQueue[]
  readonly #dispatcher: DispatchInOrder | DispatchByKey
  #cursors: readonly PartitionCursor[] = []
  #due: readonly DueEvents[] = []
  #held = 0

  /**
   * `maxSorted` bounds the events that are sorted to instances by key and not yet handed out, if there are several
   * instances.
   */
  constructor(spec: SubscriptionSpec, clock: Clock, { handOut, maxSorted }: SubscriptionOptions) {
    this.spec = spec
    const byKey = spec.instances > 1 && spec.ordering === 'key'
    const order = byKey ? 'key' : spec.instances > 1 ? 'none' : 'all'
    const dispatcher = byKey
      ? new DispatchByKey(handOut, Math.max(maxSorted, spec.instances))
      : new DispatchInOrder(handOut)
    this.queues = Array.from(
      { length: spec.instances },
      (_, index) => new RecordQueue({ index, clock, handOut, dispatcher, order }),
    )
    if (dispatcher instanceof DispatchByKey) dispatcher.setQueues(this.queues)
    this.#dispatcher = dispatcher
    handOut.add(this)
  }

  get cursors(): readonly PartitionCursor[] {
    return this.#cursors
  }

  get due(): readonly DueEvents[] {
    return this.#due
  }

  add(cursors: readonly PartitionCursor[], due: readonly DueEvents[] = []): void {
    if (cursors.length === 0 && due.length === 0) return
    this.#cursors = [...this.#cursors, ...cursors]
    this.#due = [...this.#due, ...due]
    // The agent may have been held back since they were made.
    for (const origin of [...cursors, ...due]) origin.hold(this.#held)
    this.#dispatcher.setOrigins([...this.#cursors, ...this.#due])
    for (const queue of this.queues) queue.settle()
    this.wake()
  }

  get held(): number {
    return this.#held
  }

  /** The agent is held back for this reason, or no longer. Events that only wait for their batch to fill are put back. */
  hold(reason: ReasonBit, on: boolean): void {
    this.#held = on ? this.#held | reason : this.#held & ~reason
    for (const origin of [...this.#cursors, ...this.#due]) origin.hold(this.#held)
    if (on) this.drain()
    else this.wake()
  }

  /** Drops the origins of lost tasks. */
  purge(): void {
    this.#cursors = this.#cursors.filter(({ task }) => !task.closed)
    this.#due = this.#due.filter(({ task }) => !task.closed)
    this.#dispatcher.setOrigins([...this.#cursors, ...this.#due])
    for (const queue of this.queues) queue.purge()
  }

  waiting(origin: EventOrigin): number {
    const isBusy = this.counters.active > 0 && this.#dispatcher.waitsForInstance(origin, this.queues)
    const isKept = this.queues.some((queue) => queue.keeps(origin))
    return (isBusy ? NOT_NOW.busy : 0) | (isKept ? NOT_NOW.key : 0)
  }

  /** Called when records have arrived, or hand-out continues. */
  wake(topic?: string): void {
    if (topic !== undefined && !this.spec.topics.includes(topic)) return
    if (this.#dispatcher instanceof DispatchByKey) this.#dispatcher.arrived()
    for (const queue of this.queues) queue.wake()
  }

  drain(): void {
    for (const queue of this.queues) queue.onDrain()
  }

  wanted(): void {
    for (const queue of this.queues) queue.wanted()
  }

  close(): void {
    for (const queue of this.queues) queue.wake()
  }

  /** Events that may have been handled since the last check of the event loop, without having yielded before. */
  handled(): readonly EventInFlight[] {
    return this.queues.flatMap((queue) => queue.handled())
  }

  /** The events in flight that were handed out last. */
  inFlight(): readonly EventInFlight[] {
    return this.queues.flatMap((queue) => queue.inFlight())
  }
}

export interface SubscriptionOptions {
  readonly handOut: HandOut
  readonly maxSorted: number
}
