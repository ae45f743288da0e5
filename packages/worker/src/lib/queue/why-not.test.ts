import { manualClock, NO_HEADERS, type RawRecord } from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import { describe, expect, test } from 'vitest'
import { NOT_NOW, type Reason } from '../environment/not-now.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import { aCursor, aTask, TasksAlone } from '../fixtures/task.fixture.ts'
import { Outside, outgoing, runWorker, until } from '../fixtures/test-worker.fixture.ts'
import { SendBudget } from '../sending/send-budget.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import { RowBudget } from '../task/row-budget.ts'
import type { Task } from '../task/task.ts'
import type { Worker } from '../contracts/worker.ts'
import type { RecordQueue } from './record-queue.ts'
import { Subscription } from './subscription.ts'

const PARTITION = { topic: 'in', partition: 0 }
const RECORDS = 600

interface Setting {
  readonly worker: TasksAlone
  readonly task: Task
  readonly cursor: PartitionCursor
  readonly queue: RecordQueue
  readonly subscription: Subscription
}

/** A task with one partition, read by one instance. Its events are handed out, unless it `isOpening`. */
function setting(records: number, settings: Partial<WorkerSettings>, isOpening: boolean): Setting {
  const clock = manualClock()
  const worker = new TasksAlone(clock, settings)
  const { handOut } = worker
  const spec = { id: 'a', topics: ['in'], agent: 'a', instances: 1, ordering: 'key' } as const
  const subscription = new Subscription(spec, clock, { handOut, maxSorted: 8 })
  const task = aTask(worker, PARTITION, 1)
  const cursor = aCursor(task, worker, { subscription })
  task.recovered([{ source: cursor.source, cursors: [cursor] }], [])
  subscription.add([cursor])
  if (!isOpening) task.begin()
  const record = (offset: number): RawRecord => ({ offset, timestamp: 0, key: null, value: null, headers: NO_HEADERS })
  if (records > 0)
    cursor.source.push({
      ...PARTITION,
      position: 0,
      records: Array.from({ length: records }, (_, offset) => record(offset)),
      nextOffset: records,
      bytes: records,
      endOffset: records,
    })
  const [queue] = subscription.queues
  if (queue === undefined) throw new Error('There is no queue.')
  return { worker, task, cursor, queue, subscription }
}

interface Case {
  readonly records?: number
  readonly settings?: Partial<WorkerSettings>
  readonly isOpening?: true
  /** Brings the reason about. */
  readonly happen: (setting: Setting) => void
}

/**
 * `busy` and `key` have tests of their own, because they depend on the agent and not on the partition. So have `order`, which takes
 * two partitions (`task/time-order.test.ts`), and `codec`, which takes a batch (`task/codec-waits.test.ts`).
 */
const CASES: Readonly<Record<Exclude<Reason, 'busy' | 'key' | 'order' | 'codec'>, Case>> = {
  opening: { isOpening: true, happen: () => {} },
  rebalance: { happen: ({ worker }) => worker.handOut.block(NOT_NOW.rebalance) },
  stop: { happen: ({ worker }) => worker.handOut.block(NOT_NOW.stop) },
  lease: { happen: ({ worker }) => worker.lease.end() },
  collector: { happen: ({ worker }) => new SendBudget(100, worker.handOut).count(200) },
  rows: {
    happen: ({ worker }) => new RowBudget(100, worker.handOut, { commitLargest: () => {} }).count(200),
  },
  turn: {
    happen: ({ worker }) => {
      for (let chunk = 0; chunk < 100; chunk++) worker.handOut.refresh()
    },
  },
  spilled: { happen: ({ task }) => task.holdForCommit(true) },
  delayed: { happen: ({ task }) => task.delayed() },
  uncommitted: {
    settings: { maxUncommitted: 10 },
    happen: ({ queue }) => {
      while (queue.take() !== undefined);
    },
  },
  deferred: { happen: ({ queue }) => queue.take()?.retry(1000) },
  empty: { records: 0, happen: () => {} },
  paused: { happen: ({ subscription }) => subscription.hold(NOT_NOW.paused, true) },
  circuit: { happen: ({ subscription }) => subscription.hold(NOT_NOW.circuit, true) },
  closed: { happen: ({ task }) => void task.close('another worker has it now') },
}

describe('whyNot gives the reason, and nothing is handed out', () => {
  test.each(Object.entries(CASES))('%s', (reason, { records = RECORDS, settings = {}, isOpening, happen }) => {
    const made = setting(records, settings, isOpening === true)
    happen(made)
    expect(made.queue.take()).toBeUndefined()
    expect(made.task.whyNot(PARTITION, 'a')).toMatch(new RegExp(`^${reason}: \\w[^;]+$`))
  })

  test('whyNot gives no reason if nothing holds the event back', () => {
    const { task, queue } = setting(RECORDS, {}, false)
    expect(task.whyNot(PARTITION, 'a')).toBeUndefined()
    expect(queue.take()?.offset).toBe(0)
  })

  test('several reasons are given, the weightiest first', () => {
    const { worker, task } = setting(0, {}, true)
    worker.handOut.block(NOT_NOW.rebalance)
    expect(task.whyNot(PARTITION, 'a')).toMatch(/^opening: .+; rebalance: .+; empty: .+$/)
  })
})

test('a reason that is over is no longer given, whichever came first', () => {
  const { worker, task, queue } = setting(RECORDS, { maxUncommitted: 10 }, false)
  while (queue.take() !== undefined);
  worker.handOut.block(NOT_NOW.rebalance)
  task.holdForCommit(true)
  task.delayed()
  expect(task.whyNot(PARTITION, 'a')).toMatch(/^rebalance: .+; delayed: .+; spilled: .+; uncommitted: .+$/)
  task.delayOver()
  task.holdForCommit(false)
  worker.handOut.unblock(NOT_NOW.rebalance)
  expect(task.whyNot(PARTITION, 'a')).toMatch(/^uncommitted: [^;]+$/)
})

test('stats say for each agent why no event of a partition is handed out', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  await outside.numbers('in', { count: 10, partitions: 2, keys: 2 })
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'fails',
        topics: ['in'],
        retryMs: 60_000,
        handler: () => {
          throw new Error('Not today.')
        },
      },
      { name: 'works', topics: ['in'], handler: () => {} },
    ],
  })
  await until('the failing agent to wait for its next attempt', () => worker.stats().waitingFor.length === 2)
  expect(worker.stats().waitingFor).toEqual(
    [0, 1].map((partition) => ({
      topic: 'in',
      partition,
      task: `2-${partition}`,
      agent: 'fails',
      reasons: ['deferred'],
      why: 'deferred: an earlier event is to be handed out again first',
    })),
  )
  await worker.stop({ hard: true })
})

/** A worker with two partitions, and an agent that never finishes the event `stays`, or always fails on `fails`. */
async function stuckWorker(instances: number): Promise<{ readonly worker: Worker; readonly outside: Outside }> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances,
        retryMs: 60_000,
        handler: async (event) => {
          if (String(event.record.value) === 'stays') await new Promise(() => {})
          if (String(event.record.value) === 'fails') throw new Error('Not today.')
        },
      },
    ],
    settings: { shutdownTimeoutMs: 200 },
  })
  return { worker, outside }
}

test('statistics name the event of another partition on which an agent works while a partition waits for it', async () => {
  const { worker, outside } = await stuckWorker(1)
  await outside.send([outgoing('in', 0, 'k', 'stays')])
  await until('in flight', () => worker.stats().agents['a']?.active === 1)
  // The partition of the event itself has no other records.
  expect(worker.stats().waitingFor).toEqual([])
  await outside.send([outgoing('in', 1, 'k', 'quick')])
  await until('the other partition to wait', () => worker.stats().waitingFor.length > 0)
  expect(worker.stats().waitingFor).toEqual([
    {
      topic: 'in',
      partition: 1,
      task: '2-1',
      agent: 'a',
      reasons: ['busy'],
      why: 'busy: all instances of the agent that may take it are at work (concurrency); in flight: in/0@0 of agent a',
    },
  ])
  await worker.stop({ hard: true })
})

test('statistics say when events wait for the instance that has their key, and for earlier events of it', async () => {
  const { worker, outside } = await stuckWorker(2)
  await outside.send([outgoing('in', 0, 'k', 'stays')])
  await until('in flight', () => worker.stats().agents['a']?.active === 1)
  await outside.send([outgoing('in', 0, 'k', 'quick')])
  await until('one event to wait', () => worker.stats().waitingFor.length > 0)
  expect(worker.stats().waitingFor).toMatchObject([{ partition: 0, reasons: ['busy'] }])
  await worker.stop({ hard: true })

  const again = await stuckWorker(2)
  await again.outside.send([outgoing('in', 1, 'k', 'fails'), outgoing('in', 1, 'k', 'quick')])
  await until('the event to have failed', () => again.worker.stats().agents['a']?.retried === 1)
  await until('the event to wait', () => again.worker.stats().waitingFor.length > 0)
  expect(again.worker.stats().waitingFor).toMatchObject([
    {
      partition: 1,
      reasons: ['key'],
      why: 'key: some events wait for their next attempt, or for an earlier one of their key',
    },
  ])
  await again.worker.stop({ hard: true })
})
