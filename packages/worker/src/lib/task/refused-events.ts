import { isMillraceError, partitionKey, RecordRefusedError, type TopicPartition } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import type { Refusal, Refusals } from './event-origin.ts'
import { EventInFlight } from './event-in-flight.ts'
import type { BlockingEvents } from './blocking-events.ts'
import type { Tasks } from './tasks.ts'

/**
 * There are few entries, since each means that a task was opened again. Beyond this number the oldest are forgotten,
 * and found again.
 */
const MOST_PARTITIONS = 1000

/** Whether the record itself was refused. A fault of a topic or an account would affect every event alike. */
function liesInRecord(error: Error): boolean {
  return isMillraceError(error, 'RECORD_TOO_LARGE', 'RECORD_REFUSED', 'PARTITION_MISSING')
}

/**
 * Decides what happens to records that the broker refuses permanently. Whoever sent one outside of events has heard of it. A row,
 * and what is wrong with a topic or an account, ends the worker. Else it is the failure of the event that sent it, for
 * `onError`.
 *
 * Events whose sends were refused after they had finished, and those whose sends had gone out in part when they failed.
 * Nothing past them is committed: their tasks are opened again from the last commit, and they are then handed out as
 * failed already. Kept until they are committed, so that another task opening in between loses no count of attempts.
 */
export class RefusedEvents {
  readonly #tasks: Pick<Tasks, 'reopen' | 'fail'>
  readonly #blockingEvents: Pick<BlockingEvents, 'from'>
  readonly #partitions = new Map<string, Map<number, Refusal>>()

  constructor(tasks: Pick<Tasks, 'reopen' | 'fail'>, blockingEvents: Pick<BlockingEvents, 'from'>) {
    this.#tasks = tasks
    this.#blockingEvents = blockingEvents
  }

  refused(record: Outgoing, error: Error): void {
    const { origin } = record
    if (origin === undefined) return
    const refusal = origin.refusal(record, error)
    if (!(origin instanceof EventInFlight) || !liesInRecord(error)) return this.#tasks.fail(refusal)
    const before = origin.refused
    // What it sent because of the refusal, a dead letter, may be refused as well, and is trimmed then. But not twice
    // for one topic.
    if (!(before instanceof RecordRefusedError) || before.topic !== record.topic) this.#note(origin, refusal)
    else if (!origin.task.closed) return this.#tasks.fail(refusal)
    if (!origin.task.closed) this.#tasks.reopen(origin.task.id, refusal.message)
  }

  /** An event has failed whose task is opened again for that: for good with this error, or it is to be tried again. */
  failed(event: HandedOutEvent, error: Error | undefined): void {
    if (event instanceof EventInFlight) this.#note(event, error)
  }

  /** For the event, and all of its batch. Without an error it is handed out as the next attempt. */
  #note(event: EventInFlight, error: Error | undefined): void {
    for (const { origin, offset, attempts: before } of event.batchLeader.batch()) {
      const attempts = error === undefined ? before + 1 : before
      const key = keyOf(origin.subscription.spec.id, origin)
      const known = this.#partitions.get(key) ?? new Map<number, Refusal>()
      this.#partitions.set(key, known.set(offset, { attempts, error }))
    }
    for (const key of this.#partitions.keys()) {
      if (this.#partitions.size <= MOST_PARTITIONS) return
      this.#partitions.delete(key)
    }
  }

  /** Of a subscription and partition, from a committed position on; `undefined` when there is none. */
  from(subscription: string, source: TopicPartition, position: number): Refusals | undefined {
    const blockingEvents = this.#blockingEvents.from(subscription, source, position)
    const key = keyOf(subscription, source)
    const known = this.#partitions.get(key)
    if (known === undefined) return blockingEvents
    for (const offset of known.keys()) if (offset < position) known.delete(offset)
    if (known.size === 0) this.#partitions.delete(key)
    return blockingEvents === undefined && known.size > 0
      ? known
      : blockingEvents && new Map([...blockingEvents, ...known])
  }
}

function keyOf(subscription: string, source: TopicPartition): string {
  return `${subscription} ${partitionKey(source)}`
}
