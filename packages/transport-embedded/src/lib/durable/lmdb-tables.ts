import { chmodSync, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { PRIVATE_FILE } from '@millrace/core'
import { CheckedTable, type CheckedTableOptions, type TableKey } from './checked-table.ts'
import type { Durability } from './marker-file.ts'

/**
 * The databases of a log, all in one environment, so that one transaction covers them. Every row is checked before use:
 * those of `records` by their own frame, all others by `CheckedTable`.
 */
export interface LmdbTables {
  readonly directory: string
  readonly root: RootDatabase<Buffer, string>
  /** Topic name → `StoredTopic` as JSON. */
  readonly topics: CheckedTable<string>
  /** Topic number, partition → start and end; from the creation of the topic on. */
  readonly bounds: CheckedTable<number[]>
  /** Topic number, partition, base offset → a batch row. */
  readonly records: Database<Buffer, number[]>
  /** Group → its state. */
  readonly groups: CheckedTable<string>
  /** Group, member → heartbeats. */
  readonly beats: CheckedTable<string[]>
  /** Group, topic, partition → `CommitOffset` as JSON. */
  readonly offsets: CheckedTable<(string | number)[]>
  /** Transactional id → epoch. */
  readonly epochs: CheckedTable<string>
  /** Single facts and the state of compaction. */
  readonly facts: CheckedTable<(string | number)[]>
}

export function openTables(path: string, durability: Durability): LmdbTables {
  const isNew = !existsSync(path)
  const root = open<Buffer, string>({
    path,
    noSubdir: true,
    maxDbs: 16,
    maxReaders: 512,
    encoding: 'binary',
    // Otherwise a failing commit rejects a promise that no caller has, and Node ends the process.
    eventTurnBatching: false,
    noSync: durability === 'process',
    overlappingSync: false,
  })
  if (isNew) for (const file of [path, `${path}-lock`]) chmodSync(file, PRIVATE_FILE)
  const directory = dirname(path)
  const table = <K extends TableKey>(name: string, describe: CheckedTableOptions['describe']): CheckedTable<K> =>
    new CheckedTable(root.openDB<Buffer, K>({ name, encoding: 'binary' }), { name, describe, directory })
  return {
    directory,
    root,
    topics: table('topics', (name) => `the description of topic "${name}"`),
    bounds: table(
      'bounds',
      (number, partition) => `where partition ${partition} of topic number ${number} begins and ends`,
    ),
    records: root.openDB<Buffer, number[]>({ name: 'records', encoding: 'binary' }),
    groups: table('groups', (id) => `the state of group "${id}"`),
    beats: table('beats', (group, member) => `the heartbeat count of member "${member}" of group "${group}"`),
    offsets: table(
      'offsets',
      (group, topic, partition) => `what group "${group}" has committed of topic "${topic}" partition ${partition}`,
    ),
    epochs: table('epochs', (id) => `the epoch of transactional id "${id}"`),
    facts: table('facts', (...name) => `the fact "${name.join(' ')}"`),
  }
}

/** Checks every row except the records, which are checked when they are read. Throws `LOG_CORRUPT`. */
export function checkTables({ topics, bounds, groups, beats, offsets, epochs, facts }: LmdbTables): void {
  for (const table of [topics, bounds, groups, beats, offsets, epochs, facts]) table.checkAll()
}
