import type { WriteCounts } from './write-counts.ts'

/** Figures of a table in this process. */
export interface TableStats {
  /** Keys that have a value, in the partitions that are here. */
  readonly rows: number
  readonly reads: number
  readonly writes: number
  /** The same by agent. */
  readonly writers: Readonly<Record<string, number>>
  /** Rough size of decoded rows in memory, in bytes. */
  readonly cachedBytes: number
}

interface CountedRows {
  readonly rows: number
  readonly cachedBytes: number
}

/** Rows of several partitions. */
export function countRows(partitions: readonly Pick<CountedRows, 'rows'>[]): number {
  return partitions.reduce((sum, { rows }) => sum + rows, 0)
}

/** The figures of a table with these partitions here. */
export function tableStats(
  partitions: readonly CountedRows[],
  { reads, writes }: { readonly reads: number; readonly writes: WriteCounts },
): TableStats {
  return {
    rows: countRows(partitions),
    reads,
    writes: writes.total,
    writers: writes.writers,
    cachedBytes: partitions.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0),
  }
}
