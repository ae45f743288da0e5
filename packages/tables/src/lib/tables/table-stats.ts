/** Figures of a table in this process. */
export interface TableStats {
  /** Keys that have a value, in the partitions that are here. */
  readonly rows: number
  readonly reads: number
  readonly writes: number
  /** The same by agent. */
  readonly writers: Readonly<Record<string, number>>
  /** Late events dropped; only windows have any. */
  readonly late: number
  /** Rough size of decoded rows in memory, in bytes. */
  readonly cachedBytes: number
}
