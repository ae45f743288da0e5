import type { RawRecord } from '@millrace/core'

/** What one pass of compaction knows. */
export interface CompactionRule {
  /** Last offset of each key (as latin1 text) among the records added since the pass before. */
  readonly last: ReadonlyMap<string, number>
  /** Where the pass before ended. */
  readonly cleanedTo: number
  /** Tombstones appended before this wall time may go. */
  readonly tombstonesBefore: number
}

/**
 * Whether compaction keeps a record. Records without a key stay. A tombstone goes only when an earlier pass has seen it,
 * so that whatever it deleted is gone before it, and when readers have had their time to see it.
 */
export function survives({ key, value, offset }: RawRecord, appendedAt: number, rule: CompactionRule): boolean {
  if (key === null) return true
  const last = rule.last.get(key.toString('latin1'))
  if (last !== undefined && last > offset) return false
  return value !== null || offset >= rule.cleanedTo || appendedAt >= rule.tombstonesBefore
}
