import { partitionKey, type TopicPartition } from '@millrace/core'
import { assignmentChange, type PartitionChange } from '@millrace/core/driver'

const NOTHING: readonly TopicPartition[] = []

/** The partitions that a member owns over its generations, and since when without a break. */
export class OwnedPartitions {
  #partitions = NOTHING
  #epochs: ReadonlyMap<string, number> = new Map()
  /** The epoch of the last gain. */
  #epoch = 0
  #generation: number | undefined
  /** False when a generation may have passed without this member. */
  #continuous = true
  #isMember = false

  /** True from the first assignment until `drop`. */
  get isMember(): boolean {
    return this.#isMember
  }

  /**
   * Distinguishes periods of owning a partition: the number changes after each loss, even a short one. `undefined`
   * while the partition is not owned.
   */
  epochOf(partition: TopicPartition): number | undefined {
    return this.#epochs.get(partitionKey(partition))
  }

  /** Notes that a generation may have passed without this member: in the next one nothing counts as kept. */
  mayHaveMissed(): void {
    this.#continuous = false
  }

  /** Called when the member has joined. */
  assign(generation: number, partitions: readonly TopicPartition[]): PartitionChange {
    // A static member stays in a round that it misses, and another member may have had its partitions in between.
    if (this.#generation !== undefined && generation > this.#generation + 1) this.#continuous = false
    this.#generation = generation
    const change = this.#continuous
      ? assignmentChange(this.#partitions, partitions)
      : // Another member may have owned its partitions meanwhile: nothing counts as kept.
        { lost: this.#partitions, kept: [], gained: partitions }
    this.#continuous = true
    this.#isMember = true
    this.#hold(change)
    return change
  }

  /**
   * Called when the membership is gone: everything is lost, and the next assignment is that of a new member. Returns
   * what was owned.
   */
  drop(): readonly TopicPartition[] {
    const lost = this.#partitions
    this.#generation = undefined
    this.#continuous = true
    this.#isMember = false
    this.#hold({ kept: NOTHING, gained: NOTHING })
    return lost
  }

  #hold({ kept, gained }: Pick<PartitionChange, 'kept' | 'gained'>): void {
    const before = this.#epochs
    const epoch = ++this.#epoch
    this.#partitions = [...kept, ...gained]
    this.#epochs = new Map([
      ...kept.map(partitionKey).map((key) => [key, before.get(key) ?? epoch] as const),
      ...gained.map((partition) => [partitionKey(partition), epoch] as const),
    ])
  }
}
