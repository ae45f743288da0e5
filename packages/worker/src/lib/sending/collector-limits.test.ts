import { manualClock, MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { Epoch } from './epoch.ts'
import { add, make, turns } from './record-collector.fixture.ts'

/** A text that makes a record without a key so many bytes large. */
const ofBytes = (bytes: number): string => 'x'.repeat(bytes - 64)

test('the broker is asked for the partitions of a topic once, for whoever wants to know', async () => {
  const { producer, collector } = make()
  producer.topic('t').resolve(4)
  expect(await collector.partitions('t')).toBe(4)
  add(collector, 0, 'v')
  await turns()
  expect(producer.asked).toEqual(['t', 't'])
  expect([await collector.partitions('t'), await collector.partitions('t')]).toEqual([4, 4])
  add(collector, 1, 'v')
  expect(producer.asked).toEqual(['t', 't'])
  // While the answer is under way, nobody waits for the first one.
  add(collector, 0, 'v', undefined, 'u')
  const count = collector.partitions('u')
  producer.topic('u').resolve(3)
  expect([await count, producer.asked.filter((topic) => topic === 'u').length]).toEqual([3, 2])
})

test('a closed collector takes no record and counts none', async () => {
  const { collector, budget, producer } = make()
  producer.topic('t').resolve(1)
  collector.close(new Error('The disk is full.'))
  const record = add(collector, 0, 'v')
  await expect(record.metadata()).rejects.toMatchObject({ code: 'CLOSED', message: expect.stringContaining('disk') })
  await turns()
  expect([collector.pending, budget.bytes, producer.requests, producer.asked]).toEqual([0, 0, [], []])
})

test('records of lost tasks alone make no request', async () => {
  const { producer, collector } = make()
  producer.topic('t').resolve(2)
  const lost = new Epoch()
  for (let n = 0; n < 3; n++) add(collector, 0, 'lost', lost)
  lost.abandon(new Error('Lost.'))
  await turns()
  expect([producer.requests, collector.pending]).toEqual([[], 0])
})

test('a quarter of the budget may wait for one partition from outside of tasks, and any number of bytes of tasks', async () => {
  const { producer, collector, budget } = make(() => {}, { maxBytes: 4 * 3000 })
  producer.topic('t').resolve(2)
  add(collector, 0, ofBytes(1000))
  await turns()
  producer.delay(producer.requests[0], [0])
  await turns()
  // The first one counts, too; a sender may go beyond the share with its last record.
  const waiting = [add(collector, 0, ofBytes(1000)), add(collector, 0, ofBytes(1000)), add(collector, 0, ofBytes(1000))]
  const refused = add(collector, 0, ofBytes(100))
  await expect(refused.metadata()).rejects.toMatchObject({ code: 'PARTITION_UNAVAILABLE' })
  const ofTask = add(collector, 0, ofBytes(5000), new Epoch())
  await turns()
  expect([...waiting, ofTask].map(({ settled }) => settled)).toEqual([false, false, false, false])
  expect([collector.pending, budget.bytes]).toEqual([5, 0])
})

test('the sensor is told what the broker has answered, and nothing of a request that was not sent', async () => {
  const clock = manualClock()
  const { producer, collector, completed, lease } = make(() => {}, { clock })
  producer.topic('t').resolve(2)
  add(collector, 0, ofBytes(100))
  add(collector, 0, ofBytes(200))
  await turns()
  await clock.advance(7)
  producer.acknowledge(producer.requests[0])
  await turns()
  expect(completed).toEqual([[2, 300, 7]])
  lease.valid = false
  const { checks } = lease
  for (let n = 0; n < 2; n++) {
    add(collector, 0, ofBytes(100))
    await turns()
  }
  // The lease is not asked again until it is back.
  expect([completed.length, producer.requests.length, lease.checks]).toEqual([1, 1, checks + 1])
  lease.back()
  await turns()
  producer.acknowledge(producer.requests[1])
  await turns()
  expect(completed.slice(1)).toEqual([[2, 200, 0]])
})

test('a record that the broker refuses fails alone, and the owner of the collector is told', async () => {
  const { producer, collector, refused } = make()
  producer.topic('t').resolve(1)
  const [bad, good] = [add(collector, 0, 'bad'), add(collector, 0, 'good')]
  await turns()
  const error = new MillraceError('RECORD_REFUSED', 'No.')
  producer.requests[0]?.answer.resolve([
    { ok: false, error },
    { ok: true, offset: 5 },
  ])
  await turns()
  await expect(bad.metadata()).rejects.toBe(error)
  expect([refused, await good.metadata(), collector.pending]).toMatchObject([[bad], { offset: 5 }, 0])
})

test.each([
  { code: 'CLOSED', broken: 0 },
  { code: 'NOT_AUTHORIZED', broken: 1 },
] as const)(
  'a producer that ends with $code leaves nothing behind, and is broken unless it was closed',
  async (one) => {
    let broken = 0
    const { producer, collector, budget } = make(() => broken++)
    producer.topic('t').resolve(1)
    const record = add(collector, 0, 'v')
    await turns()
    producer.requests[0]?.answer.reject(new MillraceError(one.code, 'No.'))
    await turns()
    await expect(record.metadata()).rejects.toMatchObject({ code: one.code })
    expect([broken, collector.pending, budget.bytes]).toEqual([one.broken, 0, 0])
  },
)

test('the time of a delay begins anew once the partition has accepted something, and not when records are sent anew', async () => {
  const clock = manualClock()
  const { producer, collector, delays } = make(() => {}, { clock })
  producer.topic('t').resolve(1)
  const forMs = (): readonly number[] => delays.stats.map((one) => one.forMs)
  /** The partition takes nothing of the latest request. */
  const stick = async (): Promise<void> => {
    await turns()
    producer.delay(producer.requests.at(-1), [0])
    await turns()
  }
  add(collector, 0, 'v')
  await stick()
  await clock.advance(100)
  const [first] = producer.delays
  if (first !== undefined) producer.delays.delete(first)
  first?.answer.reject(new MillraceError('NOT_ASSIGNED', 'Gone.'))
  await stick()
  expect(forMs()).toEqual([100])
  add(collector, 0, 'w')
  producer.heal([...producer.delays][0])
  await stick()
  expect(forMs()).toEqual([0])
  delays.close()
})
