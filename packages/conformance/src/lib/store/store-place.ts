import type { StoreDriver } from '@millrace/core/driver'

/** A location for a store. */
export interface StorePlace {
  /** Opens a driver on this location; the previous one has been closed. A durable driver finds what was committed. */
  open(): StoreDriver | Promise<StoreDriver>
  /** Removes everything at this location. */
  remove(): void | Promise<void>
}
