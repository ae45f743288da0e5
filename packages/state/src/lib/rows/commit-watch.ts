import type { Row } from '@millrace/core/driver'

/** Follows the commits of one partition. */
export interface CommitWatch {
  /** These rows are in the store, and will not be taken back. */
  stored(rows: readonly Pick<Row, 'key'>[]): void
  /** The partition has left the worker. */
  closed(): void
}
