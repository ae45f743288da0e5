import type { Admin, Consumer, ConsumerOptions, Isolation, Reader } from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countTable } from '../fixtures/count-table.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, runWorker } from '../fixtures/test-worker.fixture.ts'

/** Tells in which order the questions of an opening are asked and answered. */
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
      offsets: (partitions) => this.#ask('changelogs', () => inner.offsets(partitions)),
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
      offsets: (partitions, isolation) => this.#ask('bounds', () => inner.offsets(partitions, isolation)),
      offsetsAt: (partitions, timestampMs) => inner.offsetsAt(partitions, timestampMs),
      deleteRecords: (before, options) => inner.deleteRecords(before, options),
      committed: (groupId, partitions) => inner.committed(groupId, partitions),
      commit: (groupId, offsets) => inner.commit(groupId, offsets),
      members: (groupId) => inner.members(groupId),
      deleteGroup: (groupId) => inner.deleteGroup(groupId),
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

test('asks for changelogs, then offsets, then bounds: a worker that is replaced meanwhile sees nothing that makes no sense', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  const counts = countTable('counts')
  const app = {
    agents: [{ name: 'count', topics: ['in'], handler: (event) => addTo(counts, event, 'k') }],
    tables: [counts],
  } satisfies Parameters<typeof runWorker>[1]
  let transport: AskedTransport | undefined
  const { worker } = await runWorker(log, app, { wrap: (inner) => (transport = new AskedTransport(inner, () => 0)) })
  expect(transport?.asked).toEqual(['changelogs?', 'changelogs!', 'committed?', 'committed!', 'bounds?', 'bounds!'])
  await worker.stop()
})
