import { AsyncLocalStorage } from 'node:async_hooks'
import { jsonCodec } from '@millrace/core'
import type { HandedOutEvent, ProcessingContext } from '@millrace/worker'
import { expect, it } from 'vitest'
import { MemoryEvent } from '../fixtures/memory-event.fixture.ts'
import { MemoryWorker } from '../fixtures/memory-worker.fixture.ts'
import { AgentCounters, type AgentContext } from './agent-context.ts'
import { BetweenEvents, currentEvent } from './between-events.ts'
import { HandlingTimes } from './handling-times.ts'
import type { EventOrigin } from './in-flight.ts'
import { StreamEvent } from './stream-event.ts'

/** Events of one agent, without a stream around them. */
function source({ attempts = 0 } = {}) {
  const worker = new MemoryWorker()
  const counters = new AgentCounters()
  const context: AgentContext = {
    agent: 'agent',
    worker,
    storage: new AsyncLocalStorage<ProcessingContext>(),
    counters,
    times: new HandlingTimes(),
    tombstones: false,
    replyCodec: jsonCodec,
    replyTopic: 'app-replies',
    tracing: undefined,
  }
  const origin: EventOrigin = {
    context,
    valueSpec: 'string',
    tombstones: false,
    keyOf: () => {
      throw new Error('no key')
    },
    valueOf: ({ offset }) => {
      if (offset === 13) throw new Error('no value')
      return `value ${offset}`
    },
    requestOf: () => undefined,
    isForAnother: () => false,
  }
  const task = { id: '1-0', partitions: 1, partition: 0, open: () => undefined }
  const came: string[] = []
  let at = 0
  const next = (offset = at++): StreamEvent => {
    const memory = new MemoryEvent(
      {
        agent: 'agent',
        keyCodec: undefined,
        task,
        topic: 'in',
        partition: 0,
        signal: worker.signal,
        send: (request) => worker.produce(request),
        finished: (event) => void came.push(`finished ${event.offset}`),
        again: (event, delayMs) => void came.push(`again ${event.offset} in ${delayMs}`),
      },
      { offset, key: null, value: Buffer.from('bytes'), headers: [], timestamp: 0 },
      attempts,
    )
    const handedOut: HandedOutEvent = memory
    return StreamEvent.of(handedOut, origin, handedOut)
  }
  return { next, counters, came, worker }
}

it('ends once: a second end of any kind changes nothing', () => {
  const ends = [
    (event: StreamEvent) => event.finish(),
    (event: StreamEvent) => event.retry(5),
    (event: StreamEvent) => event.requeue(),
    (event: StreamEvent) => event.done(),
    (event: StreamEvent) => event.rollback(new Error('late')),
  ]
  for (const first of ends.slice(0, 4)) {
    const { next, counters, came } = source()
    const event = next()
    expect([event.open, event.over, counters.active]).toEqual([true, false, 1])
    first(event)
    const [then, cameThen] = [counters.snapshot(), [...came]]
    expect([event.open, event.over, then.active]).toEqual([false, true, 0])
    for (const end of ends) end(event)
    expect(counters.snapshot()).toEqual(then)
    expect(came).toEqual(cameThen)
  }
})

it('counts what was put back as not received, with its batch, unless it had been tried before', () => {
  const { next, counters, came } = source()
  const members = [next(), next(), next()]
  members[0]?.lead(members, [])
  expect(counters).toMatchObject({ received: 3, active: 3 })
  members[2]?.requeue()
  expect(counters).toMatchObject({ received: 0, active: 0, processed: 0 })
  expect(came).toEqual(['again 2 in 0', 'again 1 in 0', 'again 0 in 0'])
  const again = source({ attempts: 1 })
  again.next().requeue()
  expect(again.counters).toMatchObject({ received: 0, active: 0 })
})

it('of which the task was lost meanwhile keeps its count when it is put back', () => {
  const { next, counters } = source()
  const event = next()
  if (event.event instanceof MemoryEvent) event.event.lose()
  event.requeue()
  expect(counters).toMatchObject({ received: 1, active: 0 })
})

it('counts a batch by its records, and acks it as a whole by any of its members', () => {
  const { next, counters, came } = source()
  const members = [next(), next(), next()]
  const [first, , third] = members
  first?.lead(members, ['list'])
  expect(first?.members).toEqual(members)
  expect([first?.current, first?.changed]).toEqual([['list'], true])
  third?.ack()
  expect(members.map((member) => member.over)).toEqual([true, true, true])
  expect(counters).toMatchObject({ processed: 3, active: 0 })
  expect(came).toEqual(['finished 0', 'finished 1', 'finished 2'])
})

it('knows whose error it was, in a batch too', async () => {
  const { next } = source()
  const members = [next(), next()]
  const [first, second] = members
  const other = next()
  first?.lead(members, [])
  const error = new Error('mine')
  expect(first?.failedWith(error)).toBe(false)
  await expect(
    second?.run(() => {
      throw error
    }),
  ).rejects.toBe(error)
  expect([first?.failedWith(error), first?.failedWith(new Error('mine')), other.failedWith(error)]).toEqual([
    true,
    false,
    false,
  ])
})

it('knows what cannot be decoded, its key or its value, in a batch too', () => {
  const { next } = source()
  const members = [next(), next()]
  const [first, second] = members
  first?.lead(members, [])
  let thrown: unknown
  try {
    void second?.key
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({ message: 'no key' })
  expect([first?.isUndecodable(thrown), first?.isUndecodable(new Error('no key'))]).toEqual([true, false])
  expect(first?.isUndecodable(undefined)).toBe(false)
  expect(next().isUndecodable(undefined)).toBe(false)
  const broken = next(13)
  expect(() => broken.decode()).toThrow('no value')
})

it('is shown to its handler as it is, and again with another value as another event', () => {
  const { next } = source()
  const event = next()
  event.decode()
  expect([event.isValueChanged, event.changed]).toEqual([false, false])
  const shown = event.show()
  expect(shown).toBe(event)
  expect([shown.value, shown.isValueChanged, shown.current, shown.changed]).toEqual(['value 0', false, shown, true])
  event.current = 'mapped'
  const again = event.show()
  expect(again).not.toBe(event)
  expect([again.value, again.isValueChanged, event.value]).toEqual(['mapped', true, 'value 0'])
  event.ack()
  expect(again.over).toBe(true)
  const came = event.original()
  expect(came.value).toBe('value 0')
  expect(event.isValueChanged).toBe(false)
})

it('has several values of which each is done once, and ends with the last', () => {
  const { next, came, counters } = source()
  const event = next()
  const values = [event.withValue('a'), event.withValue('b')]
  expect(values.map(({ current, changed }) => [current, changed])).toEqual([
    ['a', true],
    ['b', true],
  ])
  expect(event.isPartial).toBe(true)
  event.done()
  values[0]?.done()
  values[0]?.done()
  event.done()
  expect([came, event.over]).toEqual([[], false])
  expect(event.isPartial).toBe(false)
  values[1]?.done()
  expect(came).toEqual(['finished 0'])
  expect(counters).toMatchObject({ processed: 1 })
  expect(event.isPartial).toBe(false)
})

it('with several values ends at once where it is deferred or lost', () => {
  for (const end of ['deferred', 'lost'] as const) {
    const { next, came, counters } = source()
    const event = next()
    event.withValue('a')
    if (end === 'deferred') event.event?.defer()
    else if (event.event instanceof MemoryEvent) event.event.lose()
    event.done()
    expect(event.over).toBe(true)
    expect(came).toEqual(end === 'deferred' ? ['again 0 in 0'] : [])
    expect(counters).toMatchObject({ processed: 0, active: 0 })
  }
})

it('leaves the set of events that the user holds when it is over', () => {
  const { next } = source()
  const loose = new Set<StreamEvent>()
  const event = next()
  event.loose = loose
  loose.add(event)
  event.finish()
  expect(loose.size).toBe(0)
  expect(event.loose).toBeUndefined()
})

it('is the work of its agent and its worker', () => {
  const { next, worker } = source()
  const event = next()
  expect([event.agent, event.worker, event.client]).toEqual(['agent', worker, worker])
  expect(event.rawValue).toEqual(Buffer.from('bytes'))
  const between = new BetweenEvents({ worker, agent: 'agent' })
  expect([between.client, between.worker, between.event]).toEqual([worker, worker, undefined])
  expect(currentEvent(between)).toBeUndefined()
  between.received = event
  expect(currentEvent(between)).toBe(event)
  expect(between.event).toBe(event.event)
  expect(currentEvent(event)).toBe(event)
  expect(currentEvent(undefined)).toBeUndefined()
})
