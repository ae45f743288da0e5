import type { EpochOwner } from './epoch.ts'
import type { Outgoing } from './outgoing.ts'

/** Where the sends and changelog rows of one task go. What both guarantees share; they differ in what makes them count. */
export interface TaskOutput extends EpochOwner {
  /** A send of a finished event, or a changelog row. */
  add(record: Outgoing): void
  /** Resolves when everything added so far is acknowledged by the broker; rejects when some of it never will be. */
  seal(): Promise<void>
  /** Sends and rows since the last seal that the broker has not acknowledged. */
  readonly pending: number
  /** The task is lost: what has not gone out is dropped. */
  abandon(error: Error): void
}
