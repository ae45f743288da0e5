import { manualClock, NO_HEADERS } from '@millrace/core'
import type { Effect } from '../contracts/event.ts'
import { expect, test } from 'vitest'
import { aCursor, aTask, cursorOwner, TasksAlone } from '../fixtures/task.fixture.ts'
import { type EventInFlight, eventOf } from './event-in-flight.ts'
import type { Task } from './task.ts'

/** A resource that outlives tasks, as rows of a global table do. One event holds it at a time. */
class Shared implements Effect {
  holder: EventInFlight | undefined = undefined
  applied = 0
  dropped = 0

  take(event: EventInFlight): void {
    event.hold(this)
    this.holder = event
  }

  apply(): void {
    this.applied++
    this.holder = undefined
  }

  drop(): void {
    this.dropped++
    this.holder = undefined
  }
}

/** Two events of a task that is open. */
function inFlight(): { readonly task: Task; readonly events: readonly [EventInFlight, EventInFlight] } {
  const worker = new TasksAlone(manualClock())
  const task = aTask(worker, { topic: 'in', partition: 0 }, 1)
  const cursor = aCursor(task, worker, { subscription: cursorOwner() })
  task.recovered([{ source: cursor.source, cursors: [cursor] }], [])
  task.begin()
  const queue = {
    index: 0,
    requeue: () => {},
    defer: () => {},
    handedOn: () => {},
    wanted: () => {},
    release: () => {},
  }
  const record = { timestamp: 0, key: null, value: null, headers: NO_HEADERS }
  const events = [0, 1].map((offset) => eventOf({ ...record, offset }, cursor, queue))
  const [first, second] = events
  if (first === undefined || second === undefined) throw new Error('There are no events.')
  return { task, events: [first, second] }
}

const ENDINGS: Readonly<Record<string, (event: EventInFlight) => unknown>> = {
  finish: (event) => event.finish(),
  retry: (event) => event.retry(0),
  requeue: (event) => event.requeue(),
  rollback: (event) => event.rollback(new Error('failed')),
}

test.each(Object.keys(ENDINGS))(
  'an event that ends after its task changes no shared resource, however it ends: %s',
  (ending) => {
    const { task, events } = inFlight()
    const [lost, joined] = events
    const [own, ofBatch] = [new Shared(), new Shared()]
    own.take(lost)
    lost.join(joined)
    ofBatch.take(joined)
    const sent = lost.send({ topic: 'out', partition: 0, key: null, value: null, headers: NO_HEADERS, timestamp: 0 })
    void task.close('another worker has it now')
    // The loss drops the effects at once, and not only when the agent ends the event.
    expect([own, ofBatch].map(({ holder, dropped, applied }) => [holder, dropped, applied])).toEqual([
      [undefined, 1, 0],
      [undefined, 1, 0],
    ])
    expect(lost.open).toBe(false)
    expect(() => own.take(lost)).toThrow(expect.objectContaining({ code: 'NO_CURRENT_EVENT' }))
    const [other] = inFlight().events
    own.take(other)
    ENDINGS[ending]?.(lost)
    expect([own.holder === other, own.dropped, own.applied]).toEqual([true, 1, 0])
    other.finish()
    expect([own.dropped, own.applied]).toEqual([1, 1])
    return expect(sent.metadata()).rejects.toMatchObject({ code: 'NO_CURRENT_EVENT' })
  },
)
