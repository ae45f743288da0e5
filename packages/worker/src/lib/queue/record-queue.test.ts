import { endOfTurn } from '@millrace/core'
import { expect, test } from 'vitest'
import { HandOut } from '../environment/hand-out.ts'
import { LoopWatch } from '../environment/loop-watch.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import { DispatchInOrder } from './dispatch-in-order.ts'
import { Instances } from './instances.fixture.ts'
import { RecordQueue } from './record-queue.ts'

/** The queue of a single instance whose events the event loop's watch follows. */
function watched(records: number): {
  readonly queue: RecordQueue
  readonly watch: LoopWatch
  take(): EventInFlight
} {
  const agent = new Instances({ instances: 1 })
  const { clock, worker } = agent
  agent.arrive(
    0,
    Array.from({ length: records }, () => 'k'),
  )
  const watch = new LoopWatch({ clock, sessionTimeoutMs: 15_000 }, { loopBlocked: () => {} })
  watch.start()
  const handOut = new HandOut(worker.environment, worker.lease, watch)
  const dispatcher = new DispatchInOrder(handOut)
  dispatcher.setOrigins(agent.cursors)
  const queue = new RecordQueue({ index: 0, clock, handOut, dispatcher, order: 'all' })
  const take = (): EventInFlight => {
    const event = queue.take()
    if (event === undefined) throw new Error('Nothing is handed out.')
    return event
  }
  return { queue, watch, take }
}

const offsetsOf = (events: readonly EventInFlight[]): readonly number[] => events.map(({ offset }) => offset)

test('the events of a run may have been handled in it, whether they have finished or not, and none of an earlier run', async () => {
  const { queue, take } = watched(6)
  expect([queue.handled(), queue.inFlight(), queue.atWork]).toEqual([[], [], undefined])
  const [first, second] = [take(), take()]
  first.finish()
  expect(offsetsOf(queue.handled())).toEqual([0, 1])
  expect([offsetsOf(queue.inFlight()), queue.atWork?.offset]).toEqual([[1], 1])
  await endOfTurn()
  expect(queue.handled()).toEqual([])
  expect([offsetsOf(queue.inFlight()), queue.atWork?.offset]).toEqual([[1], 1])
  second.finish()
  expect([queue.inFlight(), queue.atWork]).toEqual([[], undefined])
  take()
  expect(offsetsOf(queue.handled())).toEqual([2])
})

test('after a check of the event loop within a run, only an event that has not finished may be handled', () => {
  const { queue, watch, take } = watched(6)
  const [first] = [take(), take()]
  watch.check()
  first.finish()
  expect(offsetsOf(queue.handled())).toEqual([1])
  // The next event begins anew.
  take()
  expect([offsetsOf(queue.handled()), offsetsOf(queue.inFlight())]).toEqual([[2], [2]])
})

test('a run of many events is checked now and then, because only so many are remembered', () => {
  const { queue, watch, take } = watched(40)
  const { checks } = watch
  for (let n = 0; n < 16; n++) take().finish()
  // The check is that of the run's begin.
  expect([offsetsOf(queue.handled()).length, watch.checks]).toEqual([16, checks + 1])
  take()
  expect([offsetsOf(queue.handled()), watch.checks]).toEqual([[16], checks + 2])
})

test('an event that an earlier owner has handed out, and that is handled now, counts for this run', async () => {
  const { queue, take } = watched(6)
  const first = take()
  await endOfTurn()
  expect(queue.handled()).toEqual([])
  first.handedOn()
  expect(offsetsOf(queue.handled())).toEqual([0])
})

test('a queue whose agent asks for an event is at work on none', async () => {
  const { queue, take } = watched(1)
  const event = take()
  expect([queue.atWork === event, queue.take()]).toEqual([true, undefined])
  void queue.ready()
  expect([queue.isWaiting, queue.atWork]).toEqual([true, undefined])
  event.finish()
})
