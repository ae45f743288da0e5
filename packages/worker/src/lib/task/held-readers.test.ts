import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { Worker } from '../contracts/worker.ts'
import { Outside, runWorker, type TestAgent, testWorker, until } from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 2
const COUNT = 3000
/** A few hundred records fill the buffer. */
const SMALL_BUFFER = { maxBufferedBytes: 64 * 1024, maxPartitionBytes: 4096 }

/** An agent that notes the numbers of its events, by partition. */
function noting(name: string, more: Partial<TestAgent> = {}): { agent: TestAgent; seen: Map<number, number[]> } {
  const seen = new Map<number, number[]>()
  const handler = ({ partition, record }: HandedOutEvent): void => {
    const numbers = seen.get(partition) ?? []
    seen.set(partition, numbers)
    numbers.push(Number(record.value?.toString()))
  }
  return { agent: { name, topics: ['in'], handler, ...more }, seen }
}

function countOf(seen: ReadonlyMap<number, readonly number[]>): number {
  return [...seen.values()].reduce((sum, { length }) => sum + length, 0)
}

/** Each number once, those of a partition in their order. */
function expectAll(seen: ReadonlyMap<number, readonly number[]>, count: number): void {
  expect(countOf(seen)).toBe(count)
  for (const numbers of seen.values()) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  expect(new Set([...seen.values()].flat()).size).toBe(count)
}

/** A part learns what is paused after it has declared its agents, and before anything is handed out. */
async function startHeld(worker: Worker): Promise<void> {
  const started = worker.start()
  worker.context.hold('held', 'paused', true)
  await started
}

async function topicWith(count: number): Promise<{ log: ReturnType<typeof createMemoryLog>; outside: Outside }> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  await outside.numbers('in', { count, partitions: PARTITIONS })
  return { log, outside }
}

test('while an agent is held back, another one reads on beyond the buffer, and nothing is handled twice', async () => {
  const { log, outside } = await topicWith(COUNT)
  const [held, other] = [noting('held'), noting('other')]
  const { worker } = testWorker(log, { agents: [held.agent, other.agent], settings: SMALL_BUFFER })
  await startHeld(worker)
  await until('the other agent is through', () => countOf(other.seen) === COUNT)
  expect(countOf(held.seen)).toBe(0)
  await until('its position is committed', () => worker.stats().sources.every(({ committed }) => committed === 0))
  const { sources, agents, waitingFor } = worker.stats()
  for (const source of sources) {
    expect(source).toMatchObject({
      heldAgents: ['held'],
      position: COUNT / PARTITIONS,
      stalledMs: 0,
      paused: undefined,
    })
    expect(source.lags).toEqual({ held: COUNT / PARTITIONS, other: 0 })
  }
  expect(agents['held']?.lag).toBe(COUNT)
  expect(waitingFor.map(({ agent, reasons }) => [agent, reasons[0]])).toEqual([
    ['held', 'paused'],
    ['held', 'paused'],
  ])
  await until('nothing else is under way', () => worker.quiet().idle)
  await outside.numbers('in', { first: COUNT, count: 100, partitions: PARTITIONS })
  await until('the other agent goes on', () => countOf(other.seen) === COUNT + 100)
  worker.context.hold('held', 'paused', false)
  await until('the held one has caught up', () => countOf(held.seen) === COUNT + 100)
  await worker.stop()
  expectAll(held.seen, COUNT + 100)
  expectAll(other.seen, COUNT + 100)
})

test('the next owner keeps the positions of both, whether the agent is still held back or not', async () => {
  const { log, outside } = await topicWith(COUNT)
  const held = noting('held')
  const other = noting('other')
  const app = { agents: [held.agent, other.agent], settings: SMALL_BUFFER }
  const first = testWorker(log, app)
  await first.worker.start()
  await until('both are through', () => countOf(held.seen) + countOf(other.seen) === 2 * COUNT)
  first.worker.context.hold('held', 'paused', true)
  await outside.numbers('in', { first: COUNT, count: COUNT, partitions: PARTITIONS })
  await until('the other agent goes on', () => countOf(other.seen) === 2 * COUNT)
  await first.worker.stop()
  expect(countOf(held.seen)).toBe(COUNT)

  const second = testWorker(log, app)
  await startHeld(second.worker)
  await outside.numbers('in', { first: 2 * COUNT, count: 100, partitions: PARTITIONS })
  await until('the other agent goes on there', () => countOf(other.seen) === 2 * COUNT + 100)
  await second.worker.stop()
  expect(countOf(held.seen)).toBe(COUNT)

  const third = await runWorker(log, app)
  await until('the held one has caught up', () => countOf(held.seen) === 2 * COUNT + 100)
  await third.worker.stop()
  expectAll(held.seen, 2 * COUNT + 100)
  expectAll(other.seen, 2 * COUNT + 100)
})

test('agents that are held back and go on at random handle each event once, in order', async () => {
  const { log } = await topicWith(COUNT)
  const agents = [noting('a'), noting('b', { instances: 3 }), noting('c', { instances: 2, ordering: 'none' })] as const
  const { worker } = await runWorker(log, { agents: agents.map(({ agent }) => agent), settings: SMALL_BUFFER })
  let random = 7
  const next = (below: number): number => (random = (random * 48_271) % 2_147_483_647) % below
  for (let turn = 0; turn < 300; turn++) {
    const name = ['a', 'b', 'c'][next(3)] ?? 'a'
    worker.context.hold(name, next(2) === 0 ? 'paused' : 'circuit', next(2) === 0)
    for (let turns = next(3); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
  }
  for (const name of ['a', 'b', 'c'])
    for (const reason of ['paused', 'circuit'] as const) worker.context.hold(name, reason, false)
  await until('all is handled', () => agents.every(({ seen }) => countOf(seen) === COUNT))
  await worker.stop()
  expectAll(agents[0].seen, COUNT)
  for (const { seen } of agents) expect(new Set([...seen.values()].flat()).size).toBe(COUNT)
})

test('events that were taken before, and those that wait for their next attempt, wait with their agent', async () => {
  const { log, outside } = await topicWith(0)
  const attempts: number[] = []
  const handled: number[] = []
  const fails: TestAgent = {
    name: 'fails',
    topics: ['in'],
    instances: 2,
    handler: ({ record, attempts: before }) => {
      attempts.push(before)
      if (before < 3) throw new Error('Not yet.')
      handled.push(Number(record.value?.toString()))
    },
  }
  const { worker } = await runWorker(log, { agents: [fails] })
  await outside.numbers('in', { count: 1, partitions: PARTITIONS })
  await until('it has failed', () => attempts.length > 0)
  worker.context.hold('fails', 'paused', true)
  await until('nothing is in flight', () => worker.quiet().idle)
  const before = attempts.length
  await outside.numbers('in', { first: 1, count: 50, partitions: PARTITIONS })
  await until('the records are here', () => (worker.stats().agents['fails']?.lag ?? 0) >= 51)
  expect([attempts.length, handled.length]).toEqual([before, before > 3 ? 1 : 0])
  worker.context.hold('fails', 'paused', false)
  await until('all is handled', () => handled.length === 51)
  await worker.stop()
})

test('a rebalance and a stop do not wait for an agent that is held back', async () => {
  const { log } = await topicWith(COUNT)
  const [held, other] = [noting('held', { instances: 2 }), noting('other')]
  const app = { agents: [held.agent, other.agent], settings: SMALL_BUFFER }
  const one = await runWorker(log, app, { id: 'one' })
  await until('both have begun', () => countOf(held.seen) > 0 && countOf(other.seen) > 0)
  one.worker.context.hold('held', 'paused', true)
  const two = await runWorker(log, app, { id: 'two' })
  two.worker.context.hold('held', 'paused', true)
  await until('the other agent is through', () => countOf(other.seen) === COUNT)
  await one.worker.stop()
  two.worker.context.hold('held', 'paused', false)
  await until('the held one has caught up', () => new Set([...held.seen.values()].flat()).size === COUNT)
  await two.worker.stop()
  expect(countOf(other.seen)).toBe(COUNT)
})
