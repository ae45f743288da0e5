import type { Admin, Consumer, ConsumerOptions, Isolation, Reader, TransactionalProducer } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countTable } from '../fixtures/count-table.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, runWorker, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'

/** Records the order in which the questions of an opening are asked and answered. */
class AskedTransport extends LeasedTransport {
  readonly asked: string[] = []

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return { ...inner, committed: (partitions) => this.#ask('committed', () => inner.committed(partitions)) }
  }

  override reader(options: { readonly isolation: Isolation }): Reader {
    const inner = super.reader(options)
    return {
      assign: (partition, offset) => inner.assign(partition, offset),
      unassign: (partition) => inner.unassign(partition),
      batches: () => inner.batches(),
      offsets: (partitions) => inner.offsets(partitions),
      close: () => inner.close(),
    }
  }

  override admin(): Admin {
    const inner = super.admin()
    return {
      topics: (names) => inner.topics(names),
      topicSettings: (names) => inner.topicSettings(names),
      brokers: () => inner.brokers(),
      createTopics: (specs) => inner.createTopics(specs),
      deleteTopics: (names) => inner.deleteTopics(names),
      offsets: (partitions, isolation) =>
        this.#ask(partitions.some(({ topic }) => topic === 'in') ? 'bounds' : 'changelogs', () =>
          inner.offsets(partitions, isolation),
        ),
      offsetsAt: (partitions, timestampMs) => inner.offsetsAt(partitions, timestampMs),
      deleteRecords: (before, options) => inner.deleteRecords(before, options),
      committed: (groupId, partitions) => inner.committed(groupId, partitions),
      commit: (groupId, offsets) => inner.commit(groupId, offsets),
      members: (groupId) => inner.members(groupId),
      deleteGroup: (groupId) => inner.deleteGroup(groupId),
      close: () => inner.close(),
    }
  }

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    return {
      init: () => this.#ask('fenced', () => inner.init()),
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

  async #ask<T>(what: string, question: () => Promise<T>): Promise<T> {
    this.asked.push(`${what}?`)
    const answer = await question()
    this.asked.push(`${what}!`)
    return answer
  }
}

async function askedByAnOpening(
  purged: readonly string[],
  settings: Partial<WorkerSettings> = {},
): Promise<readonly string[]> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  const counts = countTable('counts')
  const app = {
    agents: [{ name: 'count', topics: ['in'], handler: (event) => addTo(counts, event, 'k') }],
    tables: [counts],
    purged,
    settings,
  } satisfies Parameters<typeof runWorker>[1]
  let transport: AskedTransport | undefined
  const { worker } = await runWorker(log, app, { wrap: (inner) => (transport = new AskedTransport(inner, () => 0)) })
  await worker.stop()
  return transport?.asked ?? []
}

test('asks for changelogs, then offsets, then bounds, so that a worker that is replaced meanwhile sees consistent answers', async () => {
  expect(await askedByAnOpening([])).toEqual([
    'changelogs?',
    'changelogs!',
    'committed?',
    'committed!',
    'bounds?',
    'bounds!',
  ])
})

test('exactly once: asks for nothing until all earlier owners are fenced, because an offset of theirs could still arrive', async () => {
  const asked = await askedByAnOpening([], { exactlyOnce: true })
  const fenced = Array.from({ length: 4 }, () => 'fenced?')
  expect(asked.slice(0, 8).toSorted()).toEqual([...fenced.map(() => 'fenced!'), ...fenced])
  expect(asked.slice(8)).toEqual(['changelogs?', 'changelogs!', 'committed?', 'committed!', 'bounds?', 'bounds!'])
})

test('asks for bounds of repartition topics before offsets too, because a successor deletes what it commits', async () => {
  expect((await askedByAnOpening(['in'])).filter((step) => step.endsWith('!'))).toEqual([
    'changelogs!',
    'bounds!',
    'committed!',
    'bounds!',
  ])
})

test('a repartition topic whose beginning moves during an opening counts as complete', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 10, partitions: 1 })
  const handled: number[] = []
  const app = {
    agents: [{ name: 'a', topics: ['in'], handler: ({ offset }) => void handled.push(offset) }],
    purged: ['in'],
  } satisfies Parameters<typeof runWorker>[1]
  const first = await runWorker(log, app)
  await until('all records', () => handled.length === 10)
  await first.worker.stop()
  await outside.numbers('in', { count: 10, partitions: 1 })
  // Reads, commits and deletes while the second worker is between two questions.
  class Overtaken extends AskedTransport {
    override consumer(options: ConsumerOptions): Consumer {
      const inner = super.consumer(options)
      const committed: Consumer['committed'] = async (partitions) => {
        const found = await inner.committed(partitions)
        if (log.records('in').length === 20) {
          await log.backend.write('groups', (writes) =>
            writes.putCommitted('app', { topic: 'in', partition: 0, offset: 15, metadata: '' }),
          )
          log.deleteRecords('in', 0, 15)
        }
        return found
      }
      return { ...inner, committed }
    }
  }
  const errors: string[] = []
  const { worker } = await runWorker(log, app, {
    wrap: (inner) => new Overtaken(inner, () => 0),
    log: { ...silentLog, error: (_fields, message) => void errors.push(message) },
  })
  await until('the rest', () => handled.at(-1) === 19)
  expect([handled.slice(10), errors]).toEqual([[15, 16, 17, 18, 19], []])
  await worker.stop()
})
