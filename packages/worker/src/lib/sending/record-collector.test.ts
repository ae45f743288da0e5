import { deferred, MillraceError } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { outgoing } from '../fixtures/test-worker.fixture.ts'
import { Epoch } from './epoch.ts'
import { Outgoing } from './outgoing.ts'
import { add, DelayedTask, type HandDelay, type HandRequest, make, turns } from './record-collector.fixture.ts'
import { SendBudget } from './send-budget.ts'

test('records gathered in a turn go out at its end, one request per broker, and the rest once it is answered', async () => {
  const { producer, collector, budget } = make()
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  for (let i = 0; i < 100; i++) add(collector, i % 4, String(i))
  await turns(1)
  expect(producer.requests.length).toBe(0)
  await turns()
  expect(producer.requests.map(({ records }) => records.length)).toEqual([50, 50])
  for (let i = 0; i < 40; i++) add(collector, 0, `more ${i}`)
  await turns()
  expect(producer.requests.length).toBe(2)
  expect(collector.pending).toBe(140)
  producer.acknowledge(producer.requests[0])
  await turns()
  expect(producer.requests[2]?.records.length).toBe(40)
  producer.acknowledge(producer.requests[1])
  producer.acknowledge(producer.requests[2])
  await turns()
  expect(collector.pending).toBe(0)
  expect(budget.bytes).toBe(0)
})

test('a partition is never in two requests and keeps its order, whatever is answered or delayed and wherever leaders move', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          {
            weight: 6,
            arbitrary: fc.record({
              kind: fc.constant('add' as const),
              partition: fc.nat(3),
              count: fc.integer({ min: 1, max: 700 }),
            }),
          },
          { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat() }) },
          { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const), by: fc.nat(3) }) },
          {
            weight: 2,
            arbitrary: fc.record({
              kind: fc.constant('delay' as const),
              pick: fc.nat(),
              partitions: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
            }),
          },
          { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal' as const), pick: fc.nat() }) },
        ),
        { maxLength: 30 },
      ),
      async (steps) => {
        const { producer, collector, budget } = make()
        producer.topic('t').resolve(4)
        const epoch = new Epoch()
        let number = 0
        const check = (): void => {
          const busy = [...producer.open, ...producer.delays].flatMap(({ records }) => [
            ...new Set(records.map(({ partition }) => partition)),
          ])
          expect(new Set(busy).size).toBe(busy.length)
        }
        for (const step of steps) {
          if (step.kind === 'add')
            for (let i = 0; i < step.count; i++) add(collector, step.partition, String(number++), epoch)
          else if (step.kind === 'move') producer.leaderOf = (partition) => (partition + step.by) % 3
          else if (step.kind === 'delay')
            producer.delay(producer.open[step.pick % Math.max(producer.open.length, 1)], step.partitions)
          else if (step.kind === 'heal')
            producer.heal([...producer.delays][step.pick % Math.max(producer.delays.size, 1)])
          else producer.acknowledge(producer.open[step.pick % Math.max(producer.open.length, 1)])
          await turns(2)
          check()
        }
        while (producer.open.length > 0 || producer.delays.size > 0) {
          producer.acknowledge(producer.open[0])
          producer.heal([...producer.delays][0])
          await turns(2)
          check()
        }
        expect([collector.pending, budget.bytes, epoch.pending]).toEqual([0, 0, 0])
        const sent = producer.requests.flatMap(({ records }) => records)
        expect(sent.length).toBe(number)
        for (let partition = 0; partition < 4; partition++) {
          const values = sent.filter((record) => record.partition === partition).map(({ value }) => Number(value))
          expect(values).toEqual(values.toSorted((a, b) => a - b))
        }
        for (const { records } of producer.requests) expect(records.length).toBeLessThanOrEqual(5000)
      },
    ),
    { numRuns: 30 },
  )
})

test('sends to an unknown topic wait in order, do not delay other topics, and fail if the topic is missing', async () => {
  const { producer, collector, refused } = make()
  producer.topic('known').resolve(2)
  await collector.partitions('known')
  const early = [add(collector, 0, '1', undefined, 'new'), add(collector, 0, '2', undefined, 'new')]
  add(collector, 0, 'other', undefined, 'known')
  await turns()
  expect(producer.requests.map(({ records }) => records.map(({ value }) => String(value)))).toEqual([['other']])
  producer.topic('new').resolve(1)
  await turns()
  producer.acknowledge(producer.requests[0])
  await turns()
  expect(producer.requests[1]?.records).toEqual(early)
  const gone = add(collector, 0, 'x', undefined, 'gone')
  const told = gone.metadata()
  producer.topic('gone').reject(new MillraceError('TOPIC_MISSING', 'No topic gone.'))
  await expect(told).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  expect(refused).toEqual([gone])
  expect(collector.pending).toBe(2)
})

test.each([
  ['topic', new MillraceError('TOPIC_MISSING', 'There is no such topic.')],
  ['right', new MillraceError('NOT_AUTHORIZED', 'Topic "t" is not for you.')],
  ['partition', 2],
] as const)(
  'an optional record is left out if its %s is missing, and its epoch is complete without it',
  async (_what, answer) => {
    const { producer, collector, budget, refused } = make()
    const missing: Error[] = []
    const epoch = new Epoch()
    const record = new Outgoing(
      { ...outgoing('t', 5, null, 'v'), onMissing: (error) => void missing.push(error) },
      undefined,
    )
    record.epoch = epoch
    epoch.added()
    collector.add(record)
    const sealed = epoch.seal()
    if (typeof answer === 'number') producer.topic('t').resolve(answer)
    else producer.topic('t').reject(answer)
    await sealed
    expect(missing).toMatchObject([{ code: typeof answer === 'number' ? 'PARTITION_MISSING' : answer.code }])
    await expect(record.metadata()).rejects.toBe(missing[0])
    expect([refused, collector.pending, budget.bytes]).toEqual([[], 0, 0])
  },
)

test('an epoch is complete when everything before its seal is acknowledged, and never if something was refused', async () => {
  const { producer, collector } = make()
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  const first = new Epoch()
  add(collector, 0, '1', first)
  add(collector, 1, '2', first)
  let complete = false
  void first.seal().then(() => (complete = true))
  const second = new Epoch()
  add(collector, 2, '3', second)
  await turns()
  producer.acknowledge(producer.requests[0])
  await turns()
  expect(complete).toBe(false)
  const [, other] = producer.requests
  if (other !== undefined) other.done = true
  other?.answer.resolve([{ ok: true, offset: 7 }])
  await turns()
  expect(complete).toBe(true)
  const third = new Epoch()
  add(collector, 9, 'no such partition', third)
  await expect(third.seal()).rejects.toMatchObject({ code: 'PARTITION_MISSING' })
})

test('nothing goes out without a lease; once it is back everything does, except records of lost tasks', async () => {
  const { producer, collector, budget, lease } = make()
  lease.valid = false
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  const [kept, lost] = [new Epoch(), new Epoch()]
  add(collector, 0, 'kept', kept)
  add(collector, 0, 'lost', lost)
  add(collector, 1, 'kept', kept)
  await turns()
  expect(producer.requests.length).toBe(0)
  expect([...lease.waiters]).toEqual([collector])
  lost.abandon(new MillraceError('NOT_ASSIGNED', 'Lost.'))
  lease.back()
  await turns()
  expect(producer.requests.flatMap(({ records }) => records.map(({ value }) => String(value)))).toEqual([
    'kept',
    'kept',
  ])
  for (const request of producer.open) producer.acknowledge(request)
  await kept.seal()
  await expect(lost.seal()).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
  expect(budget.bytes).toBe(0)
})

test('a request is not resent after the loss of a task in it, even with a lease; records of other tasks are sent', async () => {
  const { producer, collector, budget } = make()
  producer.topic('t').resolve(2)
  const [kept, lost] = [new Epoch(), new Epoch()]
  for (const [epoch, value] of [
    [kept, 'kept'],
    [lost, 'lost'],
  ] as const) {
    const record = new Outgoing({ ...outgoing('t', 0, 'k', value), partition: 0 }, undefined)
    record.epoch = epoch
    epoch.added()
    collector.add(record)
  }
  await turns()
  const [first] = producer.requests
  expect(first?.records.length).toBe(2)
  lost.abandon(new MillraceError('NOT_ASSIGNED', 'Lost.'))
  // There is no answer yet: the driver asks the guard before it sends again.
  if (first === undefined) throw new Error('Nothing was sent.')
  expect(first.guard).toThrow(expect.objectContaining({ code: 'NOT_ASSIGNED' }))
  first.done = true
  first.answer.reject(new MillraceError('NOT_ASSIGNED', 'as the guard says'))
  await turns()
  expect(producer.requests.slice(1).map(({ records }) => records.map(({ value }) => String(value)))).toEqual([['kept']])
  for (const request of producer.open) producer.acknowledge(request)
  await kept.seal()
  await expect(lost.seal()).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
  expect(budget.bytes).toBe(0)
})

test('a full budget stops hand-out until there is room, and makes senders outside of events wait', async () => {
  const told: boolean[] = []
  const budget = new SendBudget(100, { block: () => void told.push(true), unblock: () => void told.push(false) })
  budget.count(60)
  budget.count(60)
  let through = false
  void budget.room().then(() => (through = true))
  budget.count(-30)
  await turns()
  expect([told, through]).toEqual([[true], false])
  budget.count(-30)
  await turns()
  expect([told, through]).toEqual([[true, false], true])
})

test('a partition that accepts nothing leaves queue and budget to others and delays only its task, until it recovers', async () => {
  const { producer, collector, budget } = make()
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  const owner = new DelayedTask('4-0')
  const epoch = new Epoch(undefined, owner)
  for (const value of ['1', '2']) add(collector, 0, value, epoch)
  add(collector, 2, 'other', epoch)
  await turns()
  add(collector, 0, '3', epoch)
  producer.delay(producer.requests[0], [0])
  await turns()
  add(collector, 0, '4', epoch)
  expect([budget.bytes, owner.delays, collector.pending]).toEqual([0, 1, 4])
  add(collector, 2, 'more')
  await turns()
  expect(producer.requests[1]?.records.map(({ value }) => String(value))).toEqual(['more'])
  producer.acknowledge(producer.requests[1])
  const [delay] = producer.delays
  producer.heal(delay)
  await turns()
  expect([owner.delays, producer.requests[2]?.records.map(({ value }) => String(value))]).toEqual([0, ['3', '4']])
  producer.acknowledge(producer.requests[2])
  await epoch.seal()
  expect([budget.bytes, collector.pending]).toEqual([0, 0])
})

test('an owner that closes the collector when a delayed partition fails leaves no record behind, nor its bytes', async () => {
  // As a task does that is reopened because its transaction has timed out.
  const { producer, collector, budget } = make((broken) => broken.close())
  producer.topic('t').resolve(1)
  await collector.partitions('t')
  add(collector, 0, 'sent')
  await turns()
  producer.delay(producer.requests[0], [0])
  await turns()
  const waiting = add(collector, 0, 'waits behind it')
  const [delay] = producer.delays
  delay?.answer.reject(new MillraceError('PRODUCER_FENCED', 'Timed out.'))
  await turns()
  expect(waiting.settled).toBe(true)
  expect([budget.bytes, collector.pending]).toEqual([0, 0])
})

test('the records of a delayed partition whose request may not be resent go out anew, except those of lost tasks', async () => {
  const { producer, collector, budget, lease } = make()
  producer.topic('t').resolve(2)
  await collector.partitions('t')
  const owner = new DelayedTask('2-0')
  const [kept, lost] = [new Epoch(undefined, owner), new Epoch()]
  add(collector, 0, '1', kept)
  add(collector, 0, 'lost', lost)
  await turns()
  producer.delay(producer.requests[0], [0])
  await turns()
  add(collector, 0, '2', kept)
  const [delay] = producer.delays
  const guard = producer.requests[0]?.guard
  lease.valid = false
  expect(guard).toThrow(expect.objectContaining({ code: 'LEASE_EXPIRED' }))
  delay?.answer.reject(new MillraceError('LEASE_EXPIRED', 'Gone.'))
  await turns()
  lost.abandon(new MillraceError('NOT_ASSIGNED', 'Lost.'))
  expect(producer.requests.length).toBe(1)
  expect(owner.delays).toBe(0)
  lease.back()
  await turns()
  expect(producer.requests[1]?.records.map(({ value }) => String(value))).toEqual(['1', '2'])
  producer.acknowledge(producer.requests[1])
  await kept.seal()
  expect(budget.bytes).toBe(0)
})

test.each(['LEASE_EXPIRED', 'NOT_ASSIGNED'] as const)(
  'an interrupted request (%s) holds up no other partition while its delayed one accepts no records',
  async (code) => {
    const { producer, collector, budget, lease } = make()
    producer.topic('t').resolve(4)
    await collector.partitions('t')
    add(collector, 2, 'other 0')
    for (const value of ['stuck 1', 'stuck 2']) add(collector, 0, value)
    add(collector, 2, 'other 1')
    await turns()
    const [first] = producer.requests
    const stuck = first?.records.filter(({ partition }) => partition === 0) ?? []
    const delay: HandDelay = { records: stuck, answer: deferred() }
    first?.onDelayed?.({ topic: 't', partition: 0, reason: 'No leader.', outcomes: delay.answer.promise })
    add(collector, 0, 'stuck 3')
    add(collector, 2, 'other 2')
    if (code === 'LEASE_EXPIRED') lease.valid = false
    if (first !== undefined) first.done = true
    first?.answer.reject(new MillraceError(code, 'Gone.'))
    await turns()
    if (code === 'LEASE_EXPIRED') lease.back()
    await turns()
    // The interrupted records go first, in order, without those that wait for the partition.
    const values = (request: HandRequest | undefined): readonly string[] =>
      request?.records.map(({ value }) => String(value)) ?? []
    expect(values(producer.requests[1])).toEqual(['other 0', 'other 1', 'other 2'])
    producer.acknowledge(producer.requests[1])
    await turns()
    expect(collector.pending).toBe(3)
    producer.heal(delay)
    await turns()
    expect(values(producer.requests[2])).toEqual(['stuck 3'])
    producer.acknowledge(producer.requests[2])
    await turns()
    expect([collector.pending, budget.bytes]).toEqual([0, 0])
  },
)

test('senders outside of tasks get an error when too many of their bytes wait for a partition', async () => {
  const { producer, collector, budget } = make()
  producer.topic('t').resolve(2)
  await collector.partitions('t')
  const big = 'x'.repeat(100_000)
  const first = add(collector, 0, big)
  await turns()
  producer.delay(producer.requests[0], [0])
  await turns()
  const waiting = [add(collector, 0, big), add(collector, 0, big)]
  const refused = add(collector, 0, big)
  await expect(refused.metadata()).rejects.toMatchObject({ code: 'PARTITION_UNAVAILABLE' })
  const told = Promise.all([first, ...waiting].map((record) => record.metadata()))
  producer.heal([...producer.delays][0])
  await turns()
  producer.acknowledge(producer.requests[1])
  expect((await told).length).toBe(3)
  expect(budget.bytes).toBe(0)
})

test('close fails all waiting records: for a topic lookup, in a queue, and for a partition that accepts nothing', async () => {
  const { producer, collector, budget } = make()
  const early = add(collector, 0, 'early', undefined, 'unknown')
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  const sent = [add(collector, 0, 'sent'), add(collector, 2, 'delayed')]
  await turns()
  producer.delay(producer.requests[0], [2])
  await turns()
  const waiting = add(collector, 2, 'behind it')
  const queued = add(collector, 1, 'in a queue')
  const told = [early, waiting, queued].map((record) => record.metadata())
  collector.close()
  for (const outcome of await Promise.allSettled(told))
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
  const [delay] = producer.delays
  const late = sent[1]?.metadata()
  delay?.answer.reject(new MillraceError('CLOSED', 'The producer is closed.'))
  await expect(late).rejects.toMatchObject({ code: 'CLOSED' })
  producer.topic('unknown').resolve(1)
  await turns()
  expect([collector.pending, budget.bytes]).toEqual([0, 0])
})

test('a partition whose leader moves during a request stays in the same queue until the request is answered', async () => {
  const { producer, collector } = make()
  producer.topic('t').resolve(4)
  await collector.partitions('t')
  add(collector, 0, 'first')
  await turns()
  producer.leaderOf = (partition) => (partition + 1) % 2
  add(collector, 0, 'second')
  await turns()
  expect(producer.requests.length).toBe(1)
  producer.acknowledge(producer.requests[0])
  await turns()
  expect(producer.requests[1]?.records.map(({ value }) => String(value))).toEqual(['second'])
  producer.acknowledge(producer.requests[1])
  await turns()
  expect(collector.pending).toBe(0)
})
