import type { RoutedTable, StateDefinition } from '@millrace/worker'

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
