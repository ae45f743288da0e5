import type { StoreDriver } from '@millrace/core/driver'

/** One place where a store lives. */
export interface StorePlace {
  /** A driver on this place; the one before has been closed. A durable one finds what was committed. */
  open(): StoreDriver | Promise<StoreDriver>
  /** Removes what is left of it. */
  remove(): void | Promise<void>
}
