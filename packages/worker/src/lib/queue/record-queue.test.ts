import { endOfTurn } from '@millrace/core'
import { expect, test } from 'vitest'
import { HandOut } from '../environment/hand-out.ts'
import { LoopWatch } from '../environment/loop-watch.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import type { Refusals } from '../task/event-origin.ts'
import { DispatchInOrder } from './dispatch-in-order.ts'
import { Instances } from './instances.fixture.ts'
import { RecordQueue } from './record-queue.ts'

/** The queue of a single instance whose events the event loop's watch follows. */
function watched(
  records: number,
  refusals?: Refusals,
): {
  readonly queue: RecordQueue
  readonly watch: LoopWatch
  take(): EventInFlight
} {
  const agent = new Instances({ instances: 1, ...(refusals === undefined ? {} : { refusals }) })
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

test('an event that may block the event loop goes out alone, in a turn of its own', async () => {
  const agent = new Instances({
    instances: 1,
    refusals: new Map([
      [2, { attempts: 1, error: undefined, mayBlock: true }],
      [3, { attempts: 1, error: new Error('It has failed.'), mayBlock: true }],
    ]),
  })
  const { watch } = agent.worker.handOut
  agent.arrive(0, ['a', 'b', 'c', 'd', 'e'])
  const queue = agent.queue(0)
  const { counters } = agent.subscription
  expect(offsetsOf([queue.take(), queue.take()].flatMap((event) => event ?? []))).toEqual([0, 1])
  expect([queue.take()?.offset, queue.take()]).toEqual([2, undefined])
  expect([counters.received, counters.active, watch.isInRun]).toEqual([3, 3, false])
  await endOfTurn()
  // What has failed already is not tried once more.
  expect([queue.take()?.offset, queue.take()?.offset]).toEqual([3, 4])
  expect([counters.received, counters.active]).toEqual([5, 5])
})

test('an event that may block the event loop waits for the next turn if others have gone out in the run', async () => {
  const refusals = new Map([[2, { attempts: 1, error: undefined, mayBlock: true }]])
  const { queue, take } = watched(5, refusals)
  expect(offsetsOf([take(), take()])).toEqual([0, 1])
  expect(queue.take()).toBeUndefined()
  await endOfTurn()
  expect([take().offset, queue.take()]).toEqual([2, undefined])
  await endOfTurn()
  expect([take().offset, take().offset]).toEqual([3, 4])
})

test('the instances of an agent together say what they have handed out', async () => {
  const agent = new Instances({ instances: 2 })
  agent.arrive(0, [null, null, null])
  const events = [await agent.take(0), await agent.take(1), await agent.take(0)]
  expect(offsetsOf(agent.subscription.handled())).toEqual([0, 2, 1])
  events[0]?.finish()
  expect(offsetsOf(agent.subscription.handled())).toEqual([0, 2, 1])
  expect(offsetsOf(agent.subscription.inFlight())).toEqual([2, 1])
})

test('an event whose attempt failed goes out again after its delay, and wakes the agent that waits', async () => {
  const agent = new Instances({ instances: 1 })
  agent.arrive(0, ['a'])
  const queue = agent.queue(0)
  const event = await agent.take(0)
  let woken = 0
  const wait = (): void => void queue.ready().then(() => woken++)
  event?.retry(5)
  expect(await agent.take(0)).toBeUndefined()
  wait()
  await agent.clock.advance(4)
  expect([woken, queue.isWaiting]).toEqual([0, true])
  await agent.clock.advance(1)
  expect([woken, queue.isWaiting]).toEqual([1, false])
  const again = await agent.take(0)
  expect([again?.offset, again?.attempts, await agent.take(0)]).toEqual([0, 1, undefined])
  wait()
  again?.retry(0)
  await Promise.resolve()
  expect([woken, (await agent.take(0))?.attempts]).toEqual([2, 2])
})

test('a queue tells its agent when a batch must not wait for more, and lets it end when the worker does', async () => {
  const agent = new Instances({ instances: 2 })
  const told: string[] = []
  for (const queue of agent.subscription.queues) {
    queue.onDrain = () => void told.push(`drain ${queue.index}`)
    queue.onWanted = () => void told.push(`wanted ${queue.index}`)
  }
  agent.worker.handOut.drain()
  agent.worker.handOut.wanted()
  expect(told).toEqual(['drain 0', 'drain 1', 'wanted 0', 'wanted 1'])
  const queue = agent.queue(0)
  const ready = queue.ready()
  expect([queue.closed, queue.isWaiting, queue.ready() === ready]).toEqual([false, true, true])
  agent.worker.handOut.close()
  await ready
  await queue.ready()
  expect([queue.closed, queue.isWaiting, queue.take()]).toEqual([true, false, undefined])
})

test('only records of the topics of an agent wake it', async () => {
  const agent = new Instances({ instances: 1 })
  const queue = agent.queue(0)
  expect(await agent.take(0)).toBeUndefined()
  void queue.ready()
  agent.worker.handOut.block(NOT_NOW.rebalance)
  agent.arrive(0, ['a'])
  agent.worker.handOut.blocked = 0
  agent.worker.handOut.wake('another')
  expect(queue.isWaiting).toBe(true)
  agent.worker.handOut.wake('in')
  expect(queue.isWaiting).toBe(false)
})
