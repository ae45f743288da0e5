import { type Logger, MillraceError } from '@millrace/core'
import type { Reader, Transport } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, outgoing, runWorker, silentLog, until } from '../fixtures/test-worker.fixture.ts'

test('the next commit finds late rows of an earlier owner, writes its own again, and logs it', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const counts = countTable('counts')
  const warnings: string[] = []
  const logger: Logger = { ...silentLog, warn: (_fields, message) => warnings.push(message) }
  const agents = [
    { name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) },
  ] satisfies Parameters<typeof runWorker>[1]['agents']
  const { worker } = await runWorker(log, { agents, tables: [counts] }, { log: logger })
  await outside.numbers('in', { count: 20, partitions: 1, keys: 10 })
  await until('all counted', () => log.committed('app')[0]?.offset === 20)
  expect(last(log.records('counts-changelog')).get('k1')).toBe('2')

  const late = ['k1', 'k2', 'k3'].map((key) => outgoing('counts-changelog', 0, key, '1'))
  await outside.send(late)
  expect(last(log.records('counts-changelog')).get('k1')).toBe('1')
  // Writes one of the three anyway.
  await outside.send([outgoing('in', 0, 'k3', 'more')])
  await until('the rows to be right again', () => {
    const rows = last(log.records('counts-changelog'))
    return rows.get('k1') === '2' && rows.get('k2') === '2' && rows.get('k3') === '3'
  })
  expect(warnings).toEqual([
    'Older rows of 2 keys in counts-changelog/0 overwrote newer ones, from a delayed request of an earlier owner; the newer ones are written again.',
  ])
  await worker.stop()

  // The rows that a new worker recovers.
  const next = await runWorker(log, { agents, tables: [counts] }, { store: new HeapStore(), id: 'next' })
  expect(countsOf(next.worker.context.openStates(counts)).get('k1')).toBe(2)
  await next.worker.stop()
})

/** A transport whose next readers fail. */
class BrokenReaders extends LeasedTransport {
  broken = 0

  constructor(inner: Transport) {
    super(inner, () => 0)
  }

  override reader(options: Parameters<Transport['reader']>[0]): Reader {
    const inner = super.reader(options)
    if (this.broken === 0) return inner
    this.broken--
    return {
      assign: (partition, offset) => inner.assign(partition, offset),
      unassign: (partition) => inner.unassign(partition),
      batches: () => {
        throw new MillraceError('TIMEOUT', 'Nothing came.')
      },
      offsets: (partitions) => inner.offsets(partitions),
      close: () => inner.close(),
    }
  }
}

test('after a failed search the next commit searches the same range, and finds late rows all the same', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const counts = countTable('counts')
  const warnings: string[] = []
  const logger: Logger = { ...silentLog, warn: (_fields, message) => warnings.push(message) }
  let transport: BrokenReaders | undefined
  const { worker } = await runWorker(
    log,
    {
      agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) }],
      tables: [counts],
    },
    { log: logger, wrap: (inner) => (transport = new BrokenReaders(inner)) },
  )
  await outside.numbers('in', { count: 20, partitions: 1, keys: 10 })
  await until('all counted', () => log.committed('app')[0]?.offset === 20)
  await outside.send([outgoing('counts-changelog', 0, 'k1', 'late')])
  if (transport !== undefined) transport.broken = 1
  await outside.send([outgoing('in', 0, 'k3', 'one')])
  await until('a search that failed', () => warnings.length === 1)
  expect(warnings[0]).toContain('the next commit tries again')
  expect(last(log.records('counts-changelog')).get('k1')).toBe('late')
  await outside.send([outgoing('in', 0, 'k4', 'another')])
  await until('the row to be right again', () => last(log.records('counts-changelog')).get('k1') === '2', 10_000)
  await worker.stop()
})

function last(records: readonly { readonly key: Buffer | null; readonly value: Buffer | null }[]): Map<string, string> {
  return new Map(records.map(({ key, value }) => [String(key), String(value)]))
}
