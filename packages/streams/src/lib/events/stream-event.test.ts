import { AsyncLocalStorage } from 'node:async_hooks'
import { jsonCodec, type EventTrace } from '@millrace/core'
import type { ProcessingContext } from '@millrace/worker'
import { expect, it } from 'vitest'
import { takingWorker } from '../fixtures/taking-worker.fixture.ts'
import { AgentCounters, type AgentContext } from './agent-context.ts'
import { BetweenEvents, currentEvent } from './between-events.ts'
import { AgentHold } from './agent-hold.ts'
import { HandlingTimes } from './handling-times.ts'
import type { ReplyRequest, StreamOrigin } from './in-flight.ts'
import { StreamEvent } from './stream-event.ts'

/** An asker of one of the events. */
interface Asking {
  readonly offset: number
  readonly request: ReplyRequest
}

/** Events of one agent, without a stream around them. */
async function source({ isChannel = false, asking }: { readonly isChannel?: boolean; readonly asking?: Asking } = {}) {
  const { engine, taker } = await takingWorker(15)
  const { context: worker } = engine.worker
  const counters = new AgentCounters()
  const context: AgentContext = {
    agent: 'agent',
    worker,
    storage: new AsyncLocalStorage<ProcessingContext>(),
    counters,
    times: new HandlingTimes(),
    hold: new AgentHold('agent', worker),
    timeoutMs: undefined,
    rate: undefined,
    tombstones: false,
    retry: undefined,
    replyCodec: jsonCodec,
    replyTopic: 'app-replies',
    tracing: undefined,
  }
  const origin: StreamOrigin = {
    context,
    valueSpec: isChannel ? undefined : 'string',
    tombstones: false,
    keyOf: () => {
      throw new Error('no key')
    },
    valueOf: ({ offset }) => {
      if (offset === 13) throw new Error('no value')
      return `value ${offset}`
    },
    requestOf: ({ offset }) => (asking?.offset === offset ? asking.request : undefined),
    passOver: () => undefined,
  }
  /** The fate of the effects of its events. */
  const came: string[] = []
  const next = async (): Promise<StreamEvent> => {
    const event = await taker.next()
    event.hold({
      apply: () => void came.push(`finished ${event.offset}`),
      drop: () => void came.push(`dropped ${event.offset}`),
    })
    return StreamEvent.of(event, origin, event)
  }
  /** Loses the event's task, which then comes back to the worker. */
  const lose = async (event: StreamEvent): Promise<void> => {
    engine.expire()
    await engine.until('its task is lost', () => !event.open)
  }
  return { next, lose, counters, came, worker }
}

it('ends once: a second end of any kind changes nothing', async () => {
  const ends = [
    (event: StreamEvent) => event.finish(),
    (event: StreamEvent) => event.retry(5),
    (event: StreamEvent) => event.requeue(),
    (event: StreamEvent) => event.done(),
    (event: StreamEvent) => event.rollback(new Error('late')),
  ]
  for (const first of ends.slice(0, 4)) {
    const { next, counters, came } = await source()
    const event = await next()
    expect([event.open, event.over, counters.active]).toEqual([true, false, 1])
    first(event)
    const [then, cameThen] = [counters.snapshot(), [...came]]
    expect([event.open, event.over, then.active]).toEqual([false, true, 0])
    for (const end of ends) end(event)
    expect(counters.snapshot()).toEqual(then)
    expect(came).toEqual(cameThen)
  }
})

it('counts events that were put back as not received, with their batch, unless they had been tried before', async () => {
  const { next, counters, came } = await source()
  const members = [await next(), await next(), await next()]
  members[0]?.lead(members, [])
  expect(counters).toMatchObject({ received: 3, active: 3 })
  members[2]?.requeue()
  expect(counters).toMatchObject({ received: 0, active: 0, processed: 0 })
  expect(came).toEqual(['dropped 0', 'dropped 1', 'dropped 2'])
  const again = [await next(), await next(), await next()]
  expect(again.map(({ offset }) => offset)).toEqual([0, 1, 2])
  expect(counters).toMatchObject({ received: 3, active: 3 })
  again[0]?.retry(0)
  const tried = await next()
  expect(tried.inFlight.attempts).toBe(1)
  tried.requeue()
  expect(counters).toMatchObject({ received: 3, active: 2 })
})

it('keeps its count when it is put back after its task was lost', async () => {
  const { next, lose, counters } = await source()
  const event = await next()
  await lose(event)
  event.requeue()
  expect(counters).toMatchObject({ received: 1, active: 0 })
})

it('counts a batch by its records, and acks it as a whole by any of its members', async () => {
  const { next, counters, came } = await source()
  const members = [await next(), await next(), await next()]
  const [first, , third] = members
  first?.lead(members, ['list'])
  expect(first?.members).toEqual(members)
  expect([first?.current, first?.changed]).toEqual([['list'], true])
  third?.ack()
  expect(members.map((member) => member.over)).toEqual([true, true, true])
  expect(counters).toMatchObject({ processed: 3, active: 0 })
  expect(came).toEqual(['finished 0', 'finished 1', 'finished 2'])
})

it('answers each asker with the yield at its index, in a batch of batches', async () => {
  const answers: unknown[] = []
  const request: ReplyRequest = {
    answer: (value) => void answers.push(value),
    close: (_event, isAnswered) => void answers.push(isAnswered),
    refuse: () => {},
  }
  const { next } = await source({ isChannel: true, asking: { offset: 3, request } })
  const members = [await next(), await next(), await next(), await next()]
  for (const member of members) member.decode()
  const [first, , , last] = members
  if (first === undefined || last === undefined) throw new Error('Four events.')
  first.lead(members.slice(0, 3), [])
  first.lead([first, last], [])
  for (const value of ['a', 'b', 'c', 'd']) first.replies?.yielded(value)
  first.finish()
  expect(answers).toEqual(['d', true])
})

it('knows whose error it was, even in a batch', async () => {
  const { next } = await source()
  const members = [await next(), await next()]
  const [first, second] = members
  const other = await next()
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

it('knows whether key or value cannot be decoded, even in a batch', async () => {
  const { next } = await source()
  const members = [await next(), await next()]
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
  expect((await next()).isUndecodable(undefined)).toBe(false)
  let broken = await next()
  while (broken.offset < 13) broken = await next()
  expect(() => broken.decode()).toThrow('no value')
})

it('is shown to its handler as itself, and with another value as another event', async () => {
  const { next } = await source()
  const event = await next()
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

it('has several values, each of which is done once, and ends with the last', async () => {
  const { next, came, counters } = await source()
  const event = await next()
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

it('with several values, some in one batch, counts those once, whichever is acked', async () => {
  const { next, came } = await source()
  const event = await next()
  const [a, b, c] = ['a', 'b', 'c'].map((value) => event.withValue(value))
  event.done()
  if (a === undefined || b === undefined || c === undefined) throw new Error('Three values.')
  a.lead([a, b], ['a', 'b'])
  for (const acked of [b, a, b]) acked.ack()
  expect([came, event.over]).toEqual([[], false])
  c.ack()
  expect(came).toEqual(['finished 0'])
})

it('counts a value once that was shown twice and is acked both times', async () => {
  const { next, came } = await source()
  const event = await next()
  const [a, b] = [event.withValue('a'), event.withValue('b')]
  event.done()
  const shown = a.show()
  a.current = 'mapped'
  const again = a.show()
  again.ack()
  shown.ack()
  expect([came, event.over]).toEqual([[], false])
  b.ack()
  expect(came).toEqual(['finished 0'])
})

it('with several values ends at once if it is deferred or lost', async () => {
  for (const end of ['deferred', 'lost'] as const) {
    const { next, lose, came, counters } = await source()
    const event = await next()
    event.withValue('a')
    if (end === 'deferred') event.event?.defer()
    else await lose(event)
    event.done()
    expect(event.over).toBe(true)
    expect(came).toEqual(['dropped 0'])
    expect(counters).toMatchObject({ processed: 0, active: 0 })
    expect((await next()).offset).toBe(0)
  }
})

it('leaves the set of events that the user holds when it is over', async () => {
  const { next } = await source()
  const loose = new Set<StreamEvent>()
  const event = await next()
  event.loose = loose
  loose.add(event)
  event.finish()
  expect(loose.size).toBe(0)
  expect(event.loose).toBeUndefined()
})

it('belongs to its agent and its worker', async () => {
  const { next, worker } = await source()
  const event = await next()
  expect([event.agent, event.worker, event.client]).toEqual(['agent', worker, worker])
  expect(event.rawValue).toEqual(Buffer.from('value'))
  const channel = await source({ isChannel: true })
  expect((await channel.next()).rawValue).toBeUndefined()
  const between = new BetweenEvents({ worker, agent: 'agent' })
  expect([between.client, between.worker, between.event]).toEqual([worker, worker, undefined])
  expect(currentEvent(between)).toBeUndefined()
  between.received = event
  expect(currentEvent(between)).toBe(event)
  expect(between.event).toBe(event.event)
  expect(currentEvent(event)).toBe(event)
  expect(currentEvent(undefined)).toBeUndefined()
})

it('tells its trace how it has ended, and which rows it has changed if that is recorded', async () => {
  const lines: string[] = []
  const trace: EventTrace = {
    isRecording: true,
    join: () => trace,
    failed: () => {},
    changed: (rows) => void lines.push(`changed ${rows.size}`),
    end: (as) => void lines.push(as),
  }
  const endings = [
    { end: (event: StreamEvent) => event.finish(), told: ['changed 0', 'processed'] },
    { end: (event: StreamEvent) => event.retry(5), told: ['retried'] },
    { end: (event: StreamEvent) => event.requeue(), told: ['givenBack'] },
    {
      before: (event: StreamEvent) => event.event?.defer(),
      end: (event: StreamEvent) => event.finish(),
      told: ['deferred'],
    },
  ]
  for (const { before, end, told } of endings) {
    const { next } = await source()
    const event = await next()
    event.trace = trace
    before?.(event)
    end(event)
    expect(lines.splice(0)).toEqual(told)
  }
  const { next, lose } = await source()
  const lost = await next()
  lost.trace = trace
  await lose(lost)
  lost.finish()
  expect(lines).toEqual(['deferred'])
})
