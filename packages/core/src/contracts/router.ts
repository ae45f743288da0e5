import type { OpenState, StateDefinition } from './task.ts'

/** A table whose keys can be found from outside. */
export interface RoutedTable {
  readonly name: string
  /** Text of a path or query to the encoded key. Throws `KEY_INVALID`. */
  parseKey(text: string): Buffer
  /** Partition of an encoded key; `undefined` before the worker has started. */
  partitionOf(key: Buffer): number | undefined
  /** The state of a partition on this worker. */
  state(partition: number): OpenState | undefined
}

/** Where a key lives, as the group's last assignment has it. */
export interface KeyLocation {
  readonly partition: number
  /** The owner's name in the group: the instance id of a static member, the member id of others. */
  readonly member: string
  /** Where its site is; `undefined` when it serves none. */
  readonly address: string | undefined
  /** The owner is this worker; its state may still be recovering. */
  readonly local: boolean
}

/** Who owns a key. */
export interface Router {
  /** `undefined` when no worker is known to have it. */
  locate(table: RoutedTable & StateDefinition, key: Buffer): KeyLocation | undefined
}
