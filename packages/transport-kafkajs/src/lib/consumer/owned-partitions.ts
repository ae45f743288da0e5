import { partitionKey, type TopicPartition } from '@millrace/core'
import { assignmentChange, type PartitionChange } from '@millrace/core/driver'

const NOTHING: readonly TopicPartition[] = []

/** What a member owns, over its generations, and since when without a break. */
export class OwnedPartitions {
  #partitions = NOTHING
  #epochs: ReadonlyMap<string, number> = new Map()
  /** Of the last gain. */
  #epoch = 0
  #generation: number | undefined
  /** False when a generation may have passed without this member. */
  #continuous = true
  #isMember = false

  /** From the first assignment until `drop`. */
  get isMember(): boolean {
    return this.#isMember
  }

  /**
   * Tells one time of owning a partition from another: another number after each loss, however soon it is back.
   * `undefined` while it is not owned.
   */
  epochOf(partition: TopicPartition): number | undefined {
    return this.#epochs.get(partitionKey(partition))
  }

  /** A generation may have passed without this member: in the next one nothing counts as kept. */
  mayHaveMissed(): void {
    this.#continuous = false
  }

  /** The member has joined. */
  assign(generation: number, partitions: readonly TopicPartition[]): PartitionChange {
    // A static member is not thrown out of a round that it misses: another may have had its partitions in between.
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

  /** MemberGeneration is gone: everything is lost, and the next assignment is that of a new member. Gives what was owned. */
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
