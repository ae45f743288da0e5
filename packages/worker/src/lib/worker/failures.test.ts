import { type Logger, manualClock, MillraceError, systemClock } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { OpenState, StateDefinition } from '../contracts/task.ts'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import {
  Outside,
  outgoing,
  runWorker,
  silentLog,
  type TestApp,
  testWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'

async function filled(
  count: number,
  partitions = 1,
): Promise<{ log: ReturnType<typeof createMemoryLog>; outside: Outside }> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', partitions)
  await outside.numbers('in', { count, partitions })
  return { log, outside }
}

const key = (event: HandedOutEvent): string => String(event.record.key)

test('a refused record stops the worker, and nothing from its event on is committed', async () => {
  const { log } = await filled(100)
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          if (event.offset === 42) event.send(outgoing('nowhere', 0, 'k', 'v'))
        },
      },
    ],
  })
  await expect(worker.finished).rejects.toMatchObject({
    code: 'RECORD_REFUSED',
    message: expect.stringMatching(/nowhere.*in\/0@42 of agent a/),
  })
  expect(log.committed('app')[0]?.offset ?? 0).toBeLessThanOrEqual(42)
  expect(worker.status).toBe('failed')
})

test('a record too large is refused in the handler', async () => {
  const { log } = await filled(1)
  const thrown: unknown[] = []
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          try {
            event.send(outgoing('out', 0, 'k', 'x'.repeat(100_001)))
          } catch (error) {
            thrown.push(error)
          }
        },
      },
    ],
    topics: { out: 1 },
  })
  await until('handled', () => worker.stats().agents['a']?.processed === 1)
  expect(thrown).toMatchObject([{ code: 'RECORD_TOO_LARGE' }])
  await worker.stop()
})

test('rows in a changelog whose source has no committed offsets stop the worker', async () => {
  const { log, outside } = await filled(10)
  await outside.topic('counts-changelog', 1, { 'cleanup.policy': 'compact' })
  await outside.send([outgoing('counts-changelog', 0, 'k1', '5')])
  const counts = countTable('counts')
  const { worker } = testWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, key(event)) }],
    tables: [counts],
  })
  await expect(worker.start()).rejects.toMatchObject({
    code: 'OFFSETS_MISSING',
    message: expect.stringMatching(/counts has 1 rows in partition 0.*in\/0/),
  })
  expect(log.committed('app')).toEqual([])
})

test('a crash before the very first commit does not look like missing offsets', async () => {
  const { log } = await filled(10)
  const counts = countTable('counts')
  const app: TestApp = {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, key(event)) }],
    tables: [counts],
  }
  const first = await runWorker(log, app)
  await until('rows to be sent', () => log.records('counts-changelog').length > 0)
  first.kill()
  const second = await runWorker(log, app)
  await until('committed', () => log.committed('app')[0]?.offset === 10)
  await second.worker.stop()
})

test('rows wait for the very first commit, even if it fails at first', async () => {
  const { log } = await filled(10)
  const counts = countTable('counts')
  const early: number[] = []
  let transport: LeasedTransport | undefined
  const { worker } = await runWorker(
    log,
    {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: (event) => {
            if (log.committed('app').length === 0) early.push(event.offset)
            addTo(counts, event, key(event))
          },
        },
      ],
      tables: [counts],
    },
    {
      wrap: (inner) => {
        transport = new LeasedTransport(inner, () => systemClock().monotonic())
        transport.lateCommits = 2
        return transport
      },
    },
  )
  await until('committed', () => log.committed('app')[0]?.offset === 10)
  expect(early).toEqual([])
  expect(transport?.lateCommits).toBeLessThan(0)
  await worker.stop()
})

test('a store of another changelog, or ahead of its changelog, is rebuilt, and the log says so', async () => {
  const { log } = await filled(100)
  const counts = countTable('counts')
  const app: TestApp = {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, key(event)) }],
    tables: [counts],
  }
  const first = await runWorker(log, app)
  await until('committed', () => log.committed('app')[0]?.offset === 100)
  await first.worker.stop()
  const store = new HeapStore()
  const partition = await store.open('counts', 0)
  await store.commit([
    {
      partition,
      rows: [{ key: Buffer.from('ghost'), value: Buffer.from('1') }],
      checkpoint: { topicId: 'other', offset: 1, wallTimeMs: 0 },
    },
  ])
  await partition.close()
  const warnings: string[] = []
  const logger: Logger = { ...silentLog, warn: (_, message) => void warnings.push(message) }
  const second = await runWorker(log, app, { store, log: logger })
  expect(warnings).toEqual([expect.stringMatching(/counts is rebuilt from its changelog/)])
  expect(countsOf(second.worker.context.openStates(counts)).has('ghost')).toBe(false)
  expect(countsOf(second.worker.context.openStates(counts)).size).toBe(100)
  await second.worker.stop()
})

test('a broker that cannot be reached fails the worker after connectTimeout', async () => {
  const log = createMemoryLog()
  const made = testWorker(log, { agents: [{ name: 'a', topics: ['in'], handler: () => {} }] })
  await made.transport.close()
  await expect(made.worker.start()).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(made.worker.finished).rejects.toMatchObject({ code: 'CLOSED' })
  expect(made.worker.status).toBe('failed')
})

test('a missing topic that is not declared fails the start', async () => {
  const log = createMemoryLog()
  const { worker } = testWorker(log, { agents: [{ name: 'a', topics: ['in'], handler: () => {} }] })
  await expect(worker.start()).rejects.toMatchObject({
    code: 'TOPIC_MISSING',
    message: expect.stringMatching(/in, which agent a reads/),
  })
})

test('fail ends the worker: finished events are committed, events in flight are not', async () => {
  const { log } = await filled(10)
  const handled: number[] = []
  const made = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: async (event) => {
          if (event.offset === 5) {
            made.worker.context.fail(new MillraceError('AGENT_FAILED', 'Agent a failed on in/0@5.'))
            await new Promise((resolve) => event.signal.addEventListener('abort', resolve))
          }
          handled.push(event.offset)
        },
      },
    ],
  })
  await expect(made.worker.finished).rejects.toMatchObject({ code: 'AGENT_FAILED' })
  expect(log.committed('app')[0]?.offset).toBe(5)
  expect(log.group('app').members.size).toBe(0)
})

test('a hard stop commits nothing more and waits for nothing', async () => {
  const { log } = await filled(10)
  const { worker } = await runWorker(log, {
    agents: [
      { name: 'a', topics: ['in'], handler: (event) => (event.offset === 5 ? new Promise(() => {}) : undefined) },
    ],
    settings: { commitIntervalMs: 60_000 },
  })
  await until('stuck', () => worker.stats().agents['a']?.processed === 5)
  const stopping = worker.stop()
  const stopped = worker.stop({ hard: true })
  const aborted = worker.context.signal.aborted
  expect(aborted).toBe(true)
  await until('left', () => log.group('app').members.size === 0)
  expect(log.committed('app')[0]?.offset ?? 0).toBe(0)
  // The agent never returns: parts get the shutdown time, and then the worker stops without it.
  void stopping
  void stopped
})

test('a topic that is recreated while the worker runs stops it', async () => {
  const clock = manualClock()
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const app: TestApp = { agents: [{ name: 'a', topics: ['in'], handler: () => {} }], tables: [countTable('counts')] }
  const { worker } = await runWorker(log, app, { clock })
  await createMemoryTransport(log, { clock, log: silentLog }).admin().deleteTopics(['counts-changelog'])
  await outside.topic('counts-changelog', 3, { 'cleanup.policy': 'compact' })
  await clock.advance(31_000)
  // The check is repeated before it counts.
  for (let i = 0; i < 10; i++) await clock.advance(500)
  await expect(worker.finished).rejects.toMatchObject({
    code: 'PARTITIONS_CHANGED',
    message: expect.stringMatching(/counts-changelog had 2 partitions and now has 3/),
  })
})

test('quiet says whether any work is under way that does not wait for the clock', async () => {
  const clock = manualClock()
  const { log } = await filled(10)
  let fail = true
  const { worker } = await runWorker(
    log,
    {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          retryMs: 1000,
          handler: (event) => {
            if (event.offset === 3 && fail) throw new Error('later')
          },
        },
      ],
    },
    { clock },
  )
  await until('quiet', () => worker.quiet().idle && worker.stats().agents['a']?.processed === 3)
  expect(worker.quiet().positions).toEqual([{ topic: 'in', partition: 0, position: 10 }])
  fail = false
  await clock.advance(1000)
  await until('all', () => worker.stats().agents['a']?.processed === 10)
  await clock.advance(100)
  await until('committed', () => log.committed('app')[0]?.offset === 10)
  expect(worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  await worker.stop()
})

test('offsetReset latest begins at the end, and stays with that choice', async () => {
  const { log, outside } = await filled(10)
  const seen: number[] = []
  const app: TestApp = {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => void seen.push(event.offset) }],
    settings: { offsetReset: 'latest' },
  }
  const first = await runWorker(log, app)
  first.kill()
  await outside.numbers('in', { first: 10, count: 5, partitions: 1 })
  const second = await runWorker(log, app)
  await until('five', () => seen.length === 5)
  expect(seen).toEqual([10, 11, 12, 13, 14])
  await second.worker.stop()
})

test('a row that is too large for the changelog stops the worker with the key', async () => {
  const { log, outside } = await filled(2)
  await outside.topic('counts-changelog', 1, { 'cleanup.policy': 'compact', 'max.message.bytes': '100' })
  const counts = countTable('counts')
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, 'k'.repeat(200)) }],
    tables: [counts],
  })
  await expect(worker.finished).rejects.toMatchObject({
    code: 'ROW_TOO_LARGE',
    message: expect.stringMatching(/key "kkk.* in counts.*counts-changelog\/0/),
  })
  expect(log.committed('app')[0]?.offset ?? 0).toBe(0)
})

test('if the records that report a refusal are refused too, the worker stops', async () => {
  const { log, outside } = await filled(10)
  await outside.topic('small', 1, { 'max.message.bytes': '1000' })
  const refusals: unknown[] = []
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          if (event.refused !== undefined) refusals.push(event.refused)
          if (event.offset === 4) event.send(outgoing('small', 0, 'k', 'x'.repeat(2000)))
        },
      },
    ],
  })
  await expect(worker.finished).rejects.toMatchObject({
    code: 'RECORD_REFUSED',
    message: expect.stringMatching(/small.*in\/0@4 of agent a/),
  })
  expect(refusals).toMatchObject([{ code: 'RECORD_REFUSED' }])
  expect(log.committed('app')[0]?.offset ?? 0).toBeLessThanOrEqual(4)
})

test('a refused row stops the worker with the key', async () => {
  const { log } = await filled(1)
  const part: StateDefinition = {
    name: 'big',
    changelog: { topic: 'big-changelog', config: { 'cleanup.policy': 'compact' } },
    partitions: undefined,
    openState: (): OpenState => ({
      takeRows: () => [{ key: Buffer.from('k'), value: Buffer.from('v') }],
      rowsStored: () => {},
      rowsReturned: () => {},
      dirtyBytes: 0,
      close: () => {},
    }),
  }
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
    tables: [{ ...part, changelog: { topic: 'gone', config: { 'cleanup.policy': 'compact' } } }],
  })
  await until('committed', () => log.committed('app')[0]?.offset === 1)
  await createMemoryTransport(log, { clock: manualClock(), log: silentLog }).admin().deleteTopics(['gone'])
  await new Outside(log).numbers('in', { count: 1, partitions: 1 })
  await expect(worker.finished).rejects.toMatchObject({
    code: 'CHANGELOG_MISSING',
    message: expect.stringMatching(/key "k" in big/),
  })
})
