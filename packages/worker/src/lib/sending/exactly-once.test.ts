import { deferred, systemClock } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { Lease } from '../environment/lease.ts'
import { testEnvironment } from '../fixtures/task.fixture.ts'
import { outgoing, Outside, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Delays } from './delays.ts'
import { Outgoing } from './outgoing.ts'
import { SendBudget } from './send-budget.ts'
import { TransactionOutput } from './exactly-once.ts'

test('closing an output waits until its transaction is committed, if that is under way', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.topic('out', 1)
  const clock = systemClock()
  const transport = createMemoryTransport(log, { clock, log: silentLog })
  const inner = transport.transactionalProducer({ id: 'app-1-0', timeoutMs: 10_000 })
  const [asked, answered] = [deferred<void>(), deferred<void>()]
  const producer: TransactionalProducer = {
    init: () => inner.init(),
    partitions: (topic) => inner.partitions(topic),
    brokerOf: (partition) => inner.brokerOf(partition),
    send: (records, options) => inner.send(records, options),
    begin: () => inner.begin(),
    sendOffsets: async (groupId, offsets) => {
      asked.resolve()
      await answered.promise
      await inner.sendOffsets(groupId, offsets)
    },
    commit: () => inner.commit(),
    abort: () => inner.abort(),
    close: () => inner.close(),
  }
  const lease = new Lease(clock, { sessionTimeoutMs: undefined, heartbeatIntervalMs: 10 })
  const sending = {
    ...{ clock, lease, sensor: { sendCompleted: () => {} }, budget: new SendBudget(1_000_000, undefined) },
    delays: new Delays({ clock, log: silentLog, deliveryTimeoutMs: 60_000 }),
    transactions: { aborted: 0 },
  }
  const { signal } = new AbortController()
  const quiet = {
    delayed: () => {},
    holdForSends: () => {},
    delayOver: () => {},
    refused: () => {},
    reopen: () => {},
    fail: () => {},
  }
  const output = new TransactionOutput(
    { ...testEnvironment(clock), transport: { transactionalProducer: () => producer } },
    sending,
    { task: { id: '1-0', signal, ...quiet }, failures: 0 },
  )
  await output.fence(-Infinity)
  output.add(new Outgoing(outgoing('out', 0, 'k', 'v'), undefined))
  await output.seal()
  const committed = output.commit([{ topic: 'in', partition: 0, offset: 7, metadata: '' }])
  await asked.promise
  const closed = output.close()
  await new Promise((resolve) => setImmediate(resolve))
  answered.resolve()
  expect(await committed).toBe(true)
  await closed
  expect(log.committed('app')).toMatchObject([{ topic: 'in', partition: 0, offset: 7 }])
  expect(log.records('out').map(({ value }) => String(value))).toEqual(['v'])
})
