import { type Effect, type HandedOutEvent, MillraceError, type RawRecord } from '@millrace/core'
import type { Outgoing, SendOrigin } from '../sending/outgoing.ts'
import type { OwningTask, PartitionCursor, TrackedEvent } from './cursor.ts'

/** The record queue that handed it out: an event that ends without being finished goes back there. */
export interface EventQueue {
  /** To be handed out again after a while. */
  again(event: EventInFlight, delayMs: number): void
  /** To be handed out again when the event that it waits for is done. */
  after(event: EventInFlight): void
  /** Another event waits for one of this queue. */
  wanted(): void
  /** What it waited for is done. */
  release(event: EventInFlight): void
}

/** Where an event stands among those of its queue and partition. */
export interface EventSlot {
  readonly queue: EventQueue
  readonly cursor: PartitionCursor
  /** In the cursor's tracker. */
  readonly number: number
  /** Among all events of the worker, by first hand-out. */
  readonly order: number
}

/** At work; at work, and to be handed out again; over. */
export const OPEN = 0
export const DEFERRED = 1
export const OVER = 2
export type EventState = typeof OPEN | typeof DEFERRED | typeof OVER

/**
 * One event while an agent works on it, as the worker sees it: agents see a `HandedOutEvent`. Its fields are changed by its
 * own methods and by the functions of this folder that they call, because a part of its own for each concern would be one
 * more object an event.
 */
export interface EventInFlight extends HandedOutEvent, EventSlot, SendOrigin, TrackedEvent {
  readonly record: RawRecord
  readonly task: OwningTask
  readonly batchLeader: EventInFlight
  state: EventState
  /** Lists come into being with the first effect. */
  effects: Effect[] | undefined
  sends: Outgoing[] | undefined
  sendBytes: number
  /** Some of its sends have gone out. */
  spilled: boolean
  /** How often it was given up because of what it had read. */
  outdated: number
  /** Those that end with it. */
  joined: EventInFlight[] | undefined
  /** The event that has what it needs, and those that need what it has. */
  holder: EventInFlight | undefined
  waiting: EventInFlight[] | undefined
  /** It and the members of its batch. */
  batch(): readonly EventInFlight[]
  /** The same event, to be handed out again. */
  anew(attempts: number): EventInFlight
}

/** More than an event may hold: it goes out now, and a failure afterwards cannot take it back. */
export function spill(event: EventInFlight): void {
  if (!event.spilled) event.task.spillBegan()
  event.spilled = true
  if (event.sends !== undefined) sendAll(event, event.sends)
  event.sends = undefined
}

function sendAll({ cursor: { counters, task } }: EventInFlight, records: readonly Outgoing[]): void {
  for (const record of records) {
    counters.sent(record.topic)
    task.output.add(record)
  }
}

/** The events of a batch finish one after the other: what one of them changes does not make the others outdated. */
export function complete(event: EventInFlight): void {
  const { task, tracker, counters, refusals } = event.cursor
  event.state = OVER
  task.reads.forget(event)
  const { effects, sends, spilled } = event
  if (effects !== undefined) for (const effect of effects) effect.apply()
  if (sends !== undefined) sendAll(event, sends)
  if (spilled) task.spillEnded(true)
  tracker.finish(event.number)
  if (effects !== undefined || sends !== undefined || spilled) tracker.forget(event.number)
  counters.processed++
  counters.active--
  task.left()
  // The next refusal opens the task again. This event should not be handled once more then, so it is committed soon.
  if (refusals !== undefined && refusals.has(event.record.offset)) task.commitSoon()
  if (event.joined !== undefined) for (const other of event.joined) complete(other)
  if (event.waiting !== undefined) releaseWaiting(event)
}

/** Nothing of it is left. */
export function dropEffects(event: EventInFlight): void {
  const { effects, sends, spilled } = event
  const { task, tracker } = event.cursor
  if (effects !== undefined || sends !== undefined || spilled) tracker.forget(event.number)
  if (effects !== undefined) for (const effect of effects) effect.drop(event)
  event.effects = undefined
  if (sends !== undefined) for (const record of sends) record.dropped()
  event.sends = undefined
  event.sendBytes = 0
  task.reads.forget(event)
  if (!spilled) return
  event.spilled = false
  if (!task.closed) task.spillEnded(false)
}

/** To take back what has gone out, its task is opened again; the number of failed attempts must outlive that. */
export function noteFailure(event: EventInFlight, error: Error | undefined): void {
  if (event.batch().some(({ spilled }) => spilled)) event.task.spillFailed(event, error)
}

/** The agent has come to the end of an event whose task is lost. */
export function endLost(event: EventInFlight): void {
  event.state = OVER
  event.cursor.counters.active--
  if (event.joined !== undefined) for (const other of event.joined) if (other.state !== OVER) endLost(other)
}

export function releaseWaiting(event: EventInFlight): void {
  const { waiting } = event
  event.waiting = undefined
  if (waiting !== undefined) for (const other of waiting) other.queue.release(other)
}

export function mustBeOpen(event: EventInFlight): void {
  if (!event.open) throw isOver(event)
}

/** A lost event may still be ended: that changes nothing. */
export function mustNotBeOver(event: EventInFlight): void {
  if (event.state === OVER) throw isOver(event)
}

function isOver(event: EventInFlight): MillraceError {
  return new MillraceError('NO_CURRENT_EVENT', `The event ${event.describe()} is no longer in flight.`)
}
