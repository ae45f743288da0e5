/** What is known of an event before it is handed out: what it had sent was refused by the broker for good, or it may have blocked the event loop. */
export interface Refusal {
  /** How often the event had failed before. */
  readonly attempts: number
  /** Why it has failed already, this time. */
  readonly error: Error | undefined
}

/** By offset. */
export type PartitionRefusals = ReadonlyMap<number, Refusal>
