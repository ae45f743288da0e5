import { MillraceError, NO_HEADERS, partitionKey, partitionsOf } from '@millrace/core'
import { partitionForKey, type Transport } from '@millrace/core/driver'
import { KeyedPartition, type EncodedRow } from '@millrace/tables'
import type { MemoryLog } from '@millrace/transport-embedded'

/** A table of any kind; of a set table the values are the elements. */
export interface SeedableTable<K, V> {
  readonly name: string
  encodeRow(key: K, value: V): EncodedRow
}

/** Where a table's rows are stored: the changelog of a table, the topic of a global table. */
export interface KeptTable {
  readonly changelog?: { readonly topic: string }
  readonly source?: { readonly name: string }
  state?(partition: number): unknown
}

/** Rows that a table has before the app starts. Made by `seed`. */
export interface Seed {
  readonly topic: string
  readonly rows: readonly EncodedRow[]
}

/**
 * Rows that a table has when the app starts, as its changelog would contain them.
 *
 * @throws `ENCODE_FAILED`, `SCHEMA_MISMATCH` for a row that the table would refuse
 * @example
 * const t = await testApp(app, { seeds: [seed(counts, [['milk', 2]]), seed(visitors, [['/', 'ann'], ['/', 'bob']])] })
 */
export function seed<K, V>(
  table: SeedableTable<K, V> & KeptTable,
  entries: Iterable<readonly [key: NoInfer<K>, value: NoInfer<V>]>,
): Seed {
  const topic = table.changelog?.topic ?? table.source?.name
  if (topic === undefined)
    throw new MillraceError('DEFINITION_INVALID', `Table "${table.name}" keeps its rows in no topic.`)
  return { topic, rows: Array.from(entries, ([key, value]) => table.encodeRow(key, value)) }
}

/**
 * Puts the rows into a running table. Returns false if they must be written to its topic, from which all workers read.
 */
export function putRows(table: KeptTable & { readonly name: string }, seed: Seed, partitions: number): boolean {
  if (table.state === undefined) return false
  for (const row of seed.rows) {
    const partition = partitionForKey(row.partitionedBy, partitions)
    const state = table.state(partition)
    if (!(state instanceof KeyedPartition))
      throw new MillraceError(
        'PARTITION_NOT_LOCAL',
        `Partition ${partition} of table "${table.name}" is on no worker of the test, so it cannot be seeded.`,
      )
    state.put(row)
  }
  return true
}

/** Writes rows to the end of a topic. */
export async function writeRows({ topic, rows }: Seed, transport: Transport, timestamp: number): Promise<void> {
  const [info] = await transport.admin().topics([topic])
  if (info === undefined) throw new MillraceError('TOPIC_MISSING', `There is no topic "${topic}" to seed.`)
  const { partitions } = info
  const records = rows.map(({ key, value, partitionedBy }) => ({
    topic,
    partition: partitionForKey(partitionedBy, partitions),
    key,
    value,
    headers: NO_HEADERS,
    timestamp,
  }))
  if (records.length === 0) return
  for (const outcome of await transport.producer().send(records, { guard: () => {} }))
    if (!outcome.ok) throw outcome.error
}

/** What is needed to write seeds before a worker starts. */
export interface SeedGround {
  readonly log: MemoryLog
  readonly transport: Transport
  readonly settings: { readonly id: string; readonly offsetReset: string }
  /** Timestamp of the rows. */
  readonly now: number
}

/** Writes the seeds whose topics exist, for the worker to read; returns the others. */
export async function plantSeeds(seeds: readonly Seed[], ground: SeedGround): Promise<readonly Seed[]> {
  const there = new Set(ground.log.topics().map(({ name }) => name))
  const ready = seeds.filter(({ topic }) => there.has(topic))
  for (const each of ready) await writeRows(each, ground.transport, ground.now)
  if (ready.length > 0) await commitStart(ground)
  return seeds.filter(({ topic }) => !there.has(topic))
}

/** Commits an offset, because a worker refuses rows without committed events. */
async function commitStart({ log, transport, settings }: SeedGround): Promise<void> {
  const admin = transport.admin()
  const places = log.topics().flatMap(({ name: topic, partitions }) => partitionsOf(topic, partitions))
  const known = new Set((await admin.committed(settings.id)).map(partitionKey))
  const bounds = await admin.offsets(places, 'read-committed')
  const offsets = bounds
    .filter((place) => !known.has(partitionKey(place)))
    .map(({ topic, partition, beginning, end }) => ({
      topic,
      partition,
      offset: settings.offsetReset === 'latest' ? end : beginning,
      metadata: '',
    }))
  await admin.commit(settings.id, offsets)
}

/** Writes seeds to their topics as soon as the worker has created these, before it reads them. */
export function seedingTransport(inner: Transport, seeded: () => Promise<void>): Transport {
  return {
    capabilities: inner.capabilities,
    connect: (options) => inner.connect(options),
    consumer: (options) => inner.consumer(options),
    producer: () => inner.producer(),
    transactionalProducer: (options) => inner.transactionalProducer(options),
    reader: (options) => inner.reader(options),
    brokers: () => inner.brokers(),
    close: () => inner.close(),
    admin: () => {
      const admin = inner.admin()
      return {
        topics: (names) => admin.topics(names),
        topicSettings: (names) => admin.topicSettings(names),
        brokers: () => admin.brokers(),
        createTopics: async (specs) => {
          await admin.createTopics(specs)
          await seeded()
        },
        deleteTopics: (names) => admin.deleteTopics(names),
        offsets: (partitions, isolation) => admin.offsets(partitions, isolation),
        offsetsAt: (partitions, timestampMs) => admin.offsetsAt(partitions, timestampMs),
        deleteRecords: (before, options) => admin.deleteRecords(before, options),
        committed: (groupId, partitions, options) => admin.committed(groupId, partitions, options),
        commit: (groupId, offsets) => admin.commit(groupId, offsets),
        members: (groupId) => admin.members(groupId),
        deleteGroup: (groupId) => admin.deleteGroup(groupId),
        close: () => admin.close(),
      }
    },
  }
}
