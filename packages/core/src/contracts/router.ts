import type { OpenPart } from './task.ts'

/** A table whose keys can be found from outside. */
export interface RoutedTable {
  readonly name: string
  /** Text of a path or query to the encoded key. Throws `KEY_INVALID`. */
  parseKey(text: string): Buffer
  /** Partition of an encoded key; `undefined` before the worker has started. */
  partitionOf(key: Buffer): number | undefined
  /** The state of a partition on this worker. */
  state(partition: number): OpenPart | undefined
}

/** Who owns a key. */
export interface Router {
  /** `undefined` when no worker is known to have it. */
  locate(table: RoutedTable, key: Buffer): { readonly partition: number; readonly address: string; readonly local: boolean } | undefined
}
