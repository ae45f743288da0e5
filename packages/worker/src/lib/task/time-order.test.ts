import { NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outside, runWorker, type TestAgent, type TestApp, until } from '../fixtures/test-worker.fixture.ts'

interface Sent {
  readonly topic: string
  readonly at: number
}

function record({ topic, at }: Sent, nth: number): OutgoingRecord {
  const key = Buffer.from(`k${nth % 3}`)
  return { topic, partition: 0, key, value: Buffer.from(String(nth)), headers: NO_HEADERS, timestamp: at }
}

interface Handled extends Sent {
  readonly nth: string
}

/** Two agents, one a topic, whose handlers wait now and then, and fail once in a while. */
function appOf(
  handled: Handled[],
  { instances = 1, settings = {} }: Pick<TestAgent, 'instances'> & Pick<TestApp, 'settings'> = {},
): TestApp {
  let attempts = 0
  const agents = ['left', 'right'].map((topic): TestAgent => ({
    name: `read-${topic}`,
    topics: [topic],
    instances,
    handler: async (event) => {
      if (++attempts % 5 === 0) throw new Error('Once in a while.')
      if (attempts % 3 === 0) await Promise.resolve()
      handled.push({ topic, at: event.timestamp, nth: event.record.value?.toString() ?? '' })
    },
  }))
  return { agents, order: [['read-left', 'read-right']], topics: { left: 1, right: 1 }, settings }
}

/** A merge by hand: the front of both topics, the earlier one first; `left` first at equal times. */
function merged(sent: readonly Sent[]): readonly string[] {
  const numbered = sent.map((each, nth) => ({ ...each, nth: String(nth) }))
  const left = numbered.filter(({ topic }) => topic === 'left')
  const right = numbered.filter(({ topic }) => topic === 'right')
  const order: string[] = []
  for (;;) {
    const isLeft = right[0] === undefined || (left[0] !== undefined && left[0].at <= right[0].at)
    const next = isLeft ? left.shift() : right.shift()
    if (next === undefined) return order
    order.push(next.nth)
  }
}

const someRecords = fc.array(fc.record({ topic: fc.constantFrom('left', 'right'), at: fc.nat({ max: 12 }) }), {
  minLength: 1,
  maxLength: 30,
})

test('what two topics hold goes out as one merge by time, whatever fails', async () => {
  await fc.assert(
    fc.asyncProperty(someRecords, async (sent) => {
      const log = createMemoryLog()
      const outside = new Outside(log)
      for (const topic of ['left', 'right']) await outside.topic(topic, 1)
      await outside.send(sent.map(record))
      const handled: Handled[] = []
      const { worker } = await runWorker(log, appOf(handled))
      await until('all handled', () => handled.length === sent.length)
      await worker.stop()
      expect(handled.map(({ nth }) => nth)).toEqual(merged(sent))
    }),
    { numRuns: 15 },
  )
})

test('with several instances, an event of one topic waits for all earlier ones of the other', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  for (const topic of ['left', 'right']) await outside.topic(topic, 1)
  const sent = Array.from({ length: 60 }, (_, n) => ({ topic: n % 7 < 3 ? 'left' : 'right', at: Math.floor(n / 2) }))
  await outside.send(sent.map(record))
  const handled: Handled[] = []
  const { worker } = await runWorker(log, appOf(handled, { instances: 3 }))
  await until('all handled', () => handled.length === sent.length)
  await worker.stop()
  const order = new Map(handled.map(({ nth }, place) => [nth, place]))
  for (const [a, left] of sent.entries())
    for (const [b, right] of sent.entries())
      if (left.topic === 'left' && right.topic === 'right') {
        const isBefore = (order.get(String(a)) ?? 0) < (order.get(String(b)) ?? 0)
        expect(isBefore, `left at ${left.at}, right at ${right.at}`).toBe(left.at <= right.at)
      }
})

test('a topic whose end is known holds up nobody, and one that gets something earlier meanwhile goes first', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  for (const topic of ['left', 'right']) await outside.topic(topic, 1)
  const handled: Handled[] = []
  const { worker } = await runWorker(log, appOf(handled))
  await outside.send([record({ topic: 'right', at: 5 }, 0)])
  await until('the only one handled', () => handled.length === 1)
  // Both are on the broker before the first of them is fetched, whichever that is.
  await outside.send([record({ topic: 'right', at: 9 }, 1), record({ topic: 'left', at: 7 }, 2)])
  await until('all handled', () => handled.length === 3)
  await worker.stop()
  expect(handled.map(({ at }) => at)).toEqual([5, 7, 9])
})

test('alignWait gives what is not on the broker yet the time to come', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  for (const topic of ['left', 'right']) await outside.topic(topic, 1)
  const handled: Handled[] = []
  const { worker } = await runWorker(log, appOf(handled, { settings: { alignWaitMs: 60_000 } }))
  await outside.send([record({ topic: 'right', at: 5 }, 0)])
  await until('the record to be here', () => worker.quiet().positions.some(({ position }) => position === 1))
  expect(worker.stats().waitingFor.flatMap(({ reasons }) => reasons)).toEqual(['order'])
  await outside.send([record({ topic: 'left', at: 4 }, 1)])
  await until('the earlier one handled', () => handled.length === 1)
  await outside.send([record({ topic: 'left', at: 6 }, 2)])
  await until('the later one handled', () => handled.length === 2)
  await worker.stop({ hard: true })
  expect(handled.map(({ at }) => at)).toEqual([4, 5])
})

test('topics with different numbers of partitions end the worker at start', async () => {
  const log = createMemoryLog()
  const app = { ...appOf([]), topics: { left: 1, right: 2 } }
  await expect(runWorker(log, app)).rejects.toThrow(/NOT_COPARTITIONED.*read-right.*left.*1 partitions.*right.*2/)
})

test('subscriptions that wait for one another in a ring end the worker at start', async () => {
  const log = createMemoryLog()
  const app: TestApp = {
    ...appOf([]),
    order: [
      ['read-left', 'read-right'],
      ['read-right', 'read-left'],
    ],
  }
  await expect(runWorker(log, app)).rejects.toThrow(/JOIN_CYCLE.*read-left, read-right/)
})
