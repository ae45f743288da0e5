import { DEFERRED, dropEffects, mustBeOpen, OPEN, OVER, releaseWaiting, type EventInFlight } from './event-in-flight.ts'

/** Of two that need the same key. What has sent more than it may hold cannot be taken back without harm. */
export function goesBefore(event: EventInFlight, other: EventInFlight): boolean {
  return event.batchLeader.order < other.order && !other.spilled
}

/** Handed out again when it has ended, after `holder` if there is one. With all of its batch. */
export function giveUp(event: EventInFlight, holder?: EventInFlight): void {
  mustBeOpen(event)
  const first = event.batchLeader
  if (first.state === OPEN) first.holder = holder
  first.state = DEFERRED
  for (const each of first.batch()) dropEffects(each)
}

/** Others have changed what it has read. */
export function giveUpOutdated(event: EventInFlight): void {
  event.outdated++
  giveUp(event)
}

/** It has effects or sends that may rest on values that have been changed since it read them. */
export function isOutdated(event: EventInFlight): boolean {
  return hasOutdatedReads(event) && event.batch().some((one) => one.effects !== undefined || one.sendBytes > 0)
}

export function hasOutdatedReads(event: EventInFlight): boolean {
  const { joined, cursor } = event
  return cursor.task.reads.isOutdated(event) || (joined !== undefined && joined.some(hasOutdatedReads))
}

/** Handed out again after a while. */
export function goBack(event: EventInFlight, delayMs: number, attempts: number): void {
  leave(event)
  // Its sends had gone out in a transaction, and the task was closed to take them back.
  if (event.task.closed) return
  event.queue.again(event.anew(attempts), delayMs)
  releaseWaiting(event)
}

/** Handed out again after the event that has what it needs. */
export function goBehind(event: EventInFlight): void {
  const { holder, joined, queue } = event
  leave(event)
  const next = event.anew(event.attempts)
  if (holder === undefined || !holder.open) queue.again(next, 0)
  else {
    queue.after(next)
    if (holder.waiting === undefined) holder.waiting = [next]
    else holder.waiting.push(next)
    holder.queue.wanted()
  }
  if (joined !== undefined) for (const other of joined) other.putBack()
  releaseWaiting(event)
}

function leave(event: EventInFlight): void {
  event.state = OVER
  dropEffects(event)
  event.cursor.counters.active--
  event.task.left()
}
