import { MillraceError, systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions, TransactionalProducer } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, type TestApp, testWorker, until } from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 4
const STUCK = 2

/** Questions about one task are answered with an error, or never. */
class OneUnanswered extends LeasedTransport {
  failure: Error | undefined
  /** The number of tasks in each question. */
  readonly asked: number[] = []

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return {
      ...inner,
      committed: async (partitions) => {
        this.asked.push(partitions.length)
        if (partitions.some(({ partition }) => partition === STUCK)) await this.#unanswered()
        return inner.committed(partitions)
      },
    }
  }

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    return {
      init: async () => {
        if (options.id.endsWith(`-${STUCK}`)) await this.#unanswered()
        await inner.init()
      },
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: (records, sending) => inner.send(records, sending),
      begin: () => inner.begin(),
      sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
      commit: () => inner.commit(),
      abort: () => inner.abort(),
      close: () => inner.close(),
    }
  }

  async #unanswered(): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    await new Promise(() => {})
  }
}

function appOf(exactlyOnce: boolean): TestApp {
  return {
    agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
    settings: { exactlyOnce, shutdownTimeoutMs: 100 },
  }
}

test.each([false, true])(
  'a task whose coordinator never answers stays unopened, and the tasks assigned with it run (exactly once: %s)',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    await outside.numbers('in', { count: 40, partitions: PARTITIONS })
    let transport: OneUnanswered | undefined
    const { worker } = testWorker(log, appOf(exactlyOnce), {
      wrap: (inner) => (transport = new OneUnanswered(inner, () => systemClock().monotonic())),
    })
    worker.start().catch(() => {})
    const isCommitted = (partition: number): boolean =>
      log.committed('app').some((offset) => offset.partition === partition && offset.offset === 10)
    await until('the others to be committed', () => [0, 1, 3].every(isCommitted))
    expect(worker.status).toBe('recovering')
    expect(worker.assignment().tasks.map(({ id, state }) => [id, state])).toContainEqual([`4-${STUCK}`, 'opening'])
    // They share questions until one fails.
    expect(transport?.asked[0]).toBe(exactlyOnce ? 3 : 4)
    await worker.stop()
  },
)

test('a question that fails for one task ends the worker with its error', async () => {
  const log = createMemoryLog()
  await new Outside(log).topic('in', PARTITIONS)
  const refusal = new MillraceError('NOT_AUTHORIZED', 'Offsets of the group may not be read.')
  const { worker } = testWorker(log, appOf(false), {
    wrap: (inner) => {
      const transport = new OneUnanswered(inner, () => systemClock().monotonic())
      transport.failure = refusal
      return transport
    },
  })
  await expect(worker.start()).rejects.toBe(refusal)
})
