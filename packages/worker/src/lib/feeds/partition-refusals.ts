/**
 * What is known of an event before it is handed out: what it had sent was refused by the broker for good, its task was
 * opened again because it had failed, or it may have blocked the event loop.
 */
export interface Refusal {
  /** How often the event had failed before. */
  readonly attempts: number
  /** Why the attempt of this number has failed already; `undefined` when it is still to be made. */
  readonly error: Error | undefined
}

/** By offset. */
export type PartitionRefusals = ReadonlyMap<number, Refusal>
