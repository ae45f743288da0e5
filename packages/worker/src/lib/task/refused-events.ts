import { isMillraceError, partitionKey, RecordRefusedError, type TopicPartition } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import type { Refusal, Refusals } from './event-origin.ts'
import { EventInFlight } from './event-in-flight.ts'
import type { BlockingEvents } from './blocking-events.ts'
import type { Tasks } from './tasks.ts'

/**
 * The most entries that are kept. There are few, since each means that a task was reopened. The oldest are dropped
 * first; their refusals are met again.
 */
const MOST_PARTITIONS = 1000

/** Whether the record itself was refused. A fault of a topic or an account would affect every event alike. */
function liesInRecord(error: Error): boolean {
  return isMillraceError(error, 'RECORD_TOO_LARGE', 'RECORD_REFUSED', 'PARTITION_MISSING')
}

/**
 * Decides what happens to records that the broker refuses permanently. A sender outside of events gets the error
 * itself. A refused row, and a fault of a topic or an account, ends the worker. Any other refusal is a failure of the
 * event that sent the record, and goes to `onError`.
 *
 * Events whose sends were refused after they had finished, and events that failed after some of their sends had gone
 * out. Nothing past them is committed: their tasks are reopened from the last commit, and the events are handed out as
 * failed. An entry is kept until its event is committed, so that the count of attempts survives if another task is
 * opened in between.
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
    // The dead letter that follows from a refusal may be refused as well, and is then trimmed, but only once per topic.
    if (!(before instanceof RecordRefusedError) || before.topic !== record.topic) this.#note(origin, refusal)
    else if (!origin.task.closed) return this.#tasks.fail(refusal)
    if (!origin.task.closed) this.#tasks.reopen(origin.task.id, refusal.message)
  }

  /** Notes that an event has failed whose task is reopened for that: permanently with this error, or to be retried. */
  failed(event: HandedOutEvent, error: Error | undefined): void {
    if (event instanceof EventInFlight) this.#note(event, error)
  }

  /**
   * Notes the failure for the event and all of its batch. Without an error the event is handed out as the next attempt.
   */
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

  /** The failures of a subscription and partition, from a committed position on; `undefined` if there are none. */
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
