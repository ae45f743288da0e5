import { open, type Database, type RootDatabase } from 'lmdb'
import type { Durability } from './marker-file.ts'

/** The databases of a log, all in one environment, so that one transaction covers them. */
export interface LmdbTables {
  readonly root: RootDatabase<Buffer, string>
  /** Topic name → `StoredTopic` as JSON. */
  readonly topics: Database<Buffer, string>
  /** Topic number, partition → start and end. */
  readonly bounds: Database<Buffer, number[]>
  /** Topic number, partition, base offset → a batch row. */
  readonly records: Database<Buffer, number[]>
  /** Group → its state. */
  readonly groups: Database<Buffer, string>
  /** Group, member → heartbeats. */
  readonly beats: Database<Buffer, string[]>
  /** Group, topic, partition → `CommitOffset` as JSON. */
  readonly offsets: Database<Buffer, (string | number)[]>
  /** Transactional id → epoch. */
  readonly epochs: Database<Buffer, string>
  /** Single facts and the state of compaction. */
  readonly facts: Database<Buffer, (string | number)[]>
}

export function openTables(path: string, durability: Durability): LmdbTables {
  const root = open<Buffer, string>({
    path,
    noSubdir: true,
    maxDbs: 16,
    maxReaders: 512,
    encoding: 'binary',
    // Otherwise a commit that fails rejects a promise that nobody holds, and Node ends the process.
    eventTurnBatching: false,
    noSync: durability === 'process',
    overlappingSync: false,
  })
  const table = <K extends string | number[] | string[] | (string | number)[]>(name: string): Database<Buffer, K> =>
    root.openDB<Buffer, K>({ name, encoding: 'binary' })
  return {
    root,
    topics: table('topics'),
    bounds: table('bounds'),
    records: table('records'),
    groups: table('groups'),
    beats: table('beats'),
    offsets: table('offsets'),
    epochs: table('epochs'),
    facts: table('facts'),
  }
}
