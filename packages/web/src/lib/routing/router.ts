import type { RoutedTable, StateDefinition } from '@millrace/worker'

/** Where a key lives, according to the group's last assignment. */
export interface KeyLocation {
  readonly partition: number
  /** The owner's name in the group: the instance id of a static member, or the member id of a dynamic one. */
  readonly member: string
  /** The address of its site; `undefined` if it serves none. */
  readonly address: string | undefined
  /** Whether the owner is this worker; its state may still be recovering. */
  readonly local: boolean
}

/** Who owns a key. */
export interface Router {
  /** `undefined` if no worker is known to have it. */
  locate(table: RoutedTable & StateDefinition, key: Buffer): KeyLocation | undefined
}
