import { type Deferred, deferred, type RecordBatch, systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions, Isolation, Reader } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, outgoing, runWorker, type TestApp, testWorker, until } from '../fixtures/test-worker.fixture.ts'

const clock = systemClock()

/** Reads changelogs only when a test lets it, and exposes the group's listener. */
class SlowReading extends LeasedTransport {
  readonly open: Deferred<void> = deferred<void>()
  reading = 0
  lose: () => Promise<void> = async () => {}

  override consumer(options: ConsumerOptions): Consumer {
    this.lose = () => options.listener.onLost()
    return super.consumer(options)
  }

  override reader(options: { readonly isolation: Isolation }): Reader {
    const inner = super.reader(options)
    return {
      assign: (partition, offset) => {
        this.reading++
        inner.assign(partition, offset)
      },
      unassign: (partition) => inner.unassign(partition),
      batches: () => this.#slow(inner),
      offsets: (partitions) => inner.offsets(partitions),
      close: () => inner.close(),
    }
  }

  async *#slow(inner: Reader): AsyncGenerator<RecordBatch> {
    await this.open.promise
    yield* inner.batches()
  }
}

async function countedOnce(
  tables: readonly StateDefinition[],
  count: TestApp['agents'][number]['handler'],
): Promise<{
  readonly log: MemoryLog
  readonly app: TestApp
}> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send([outgoing('in', 0, 'k', '1')])
  const app: TestApp = { agents: [{ name: 'a', topics: ['in'], handler: count }], tables }
  const { worker } = await runWorker(log, app)
  await until('the first', () => worker.stats().agents['a']?.processed === 1)
  await worker.stop()
  await outside.send([outgoing('in', 0, 'k', '2')])
  return { log, app }
}

test('a task that is lost during the recovery of a table releases all its stores, and opens them when it returns', async () => {
  const [full, empty] = [countTable('full'), countTable('empty')]
  const { log, app } = await countedOnce([full, empty], (event) => addTo(full, event, 'k'))
  let slow: SlowReading | undefined
  const store = new HeapStore()
  const made = testWorker(log, app, {
    store,
    wrap: (inner) => (slow = new SlowReading(inner, () => clock.monotonic())),
  })
  const started = made.worker.start()
  await until('the recovery', () => slow?.reading === 1)
  expect([...store.partitions].map(([key, { isOpen }]) => [key, isOpen])).toEqual([
    ['full/0', true],
    ['empty/0', true],
  ])
  made.transport.expire()
  await until('the recovery after the return', () => slow?.reading === 2)
  slow?.open.resolve()
  await started
  await until('the second', () => countsOf(made.worker.context.openStates(full)).get('k') === 2)
  await made.worker.stop()
})

test('a task that is lost in the turn in which it was opened releases its stores', async () => {
  const counts = countTable('counts')
  let slow: SlowReading | undefined
  let expire: (() => void) | undefined
  const losing: StateDefinition = {
    ...counts,
    openState: (context) => {
      // The loss is reported now; the driver rejoins afterwards.
      void slow?.lose()
      expire?.()
      expire = undefined
      slow = undefined
      return counts.openState(context)
    },
  }
  const { log, app } = await countedOnce([losing], (event) => addTo(losing, event, 'k'))
  const made = testWorker(log, app, {
    wrap: (inner) => {
      slow = new SlowReading(inner, () => clock.monotonic())
      slow.open.resolve()
      return slow
    },
  })
  expire = () => made.transport.expire()
  await made.worker.start()
  await until('the second', () => countsOf(made.worker.context.openStates(losing)).get('k') === 2)
  await made.worker.stop()
})

/** Holds the first commit until a test lets it go, and notes where reading begins. */
class SlowCommit extends LeasedTransport {
  readonly go: Deferred<void> = deferred<void>()
  commits = 0
  readonly begun: number[] = []

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return {
      ...inner,
      commit: async (offsets) => {
        if (this.commits++ === 0) await this.go.promise
        await inner.commit(offsets)
      },
      seek: (partition, offset) => {
        this.begun.push(offset)
        inner.seek(partition, offset)
      },
    }
  }
}

test('a task that is lost during its first commit is opened no further, and only its successor begins to read', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send([outgoing('in', 0, 'k', '1'), outgoing('in', 0, 'k', '2')])
  const slow: SlowCommit[] = []
  const handled: number[] = []
  const made = testWorker(
    log,
    { agents: [{ name: 'a', topics: ['in'], handler: ({ offset }) => void handled.push(offset) }] },
    {
      wrap: (inner) => {
        const transport = new SlowCommit(inner, () => clock.monotonic())
        slow.push(transport)
        return transport
      },
    },
  )
  const started = made.worker.start()
  await until('the first commit', () => slow[0]?.commits === 1)
  made.transport.expire()
  await until('the return', () => made.worker.stats().rebalances === 2)
  slow[0]?.go.resolve()
  await started
  await until('all committed', () => log.committed('app')[0]?.offset === 2)
  expect(slow[0]?.begun).toEqual([0])
  expect(handled).toEqual([0, 1])
  await made.worker.stop()
})
