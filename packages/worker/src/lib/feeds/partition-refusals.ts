/** That the broker refused, for good, what an event had sent. */
export interface Refusal {
  /** How often the event had failed before. */
  readonly attempts: number
  readonly error: Error
}

/** By offset. */
export type PartitionRefusals = ReadonlyMap<number, Refusal>
