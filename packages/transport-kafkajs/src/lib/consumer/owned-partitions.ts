import { assignmentChange, partitionKey, type PartitionChange, type TopicPartition } from '@millrace/core'

const NOTHING: readonly TopicPartition[] = []

/** What a member owns, over its generations, and whether it has been there all the time. */
export class OwnedPartitions {
  #partitions = NOTHING
  #keys: ReadonlySet<string> = new Set()
  #generation: number | undefined
  /** False when a generation may have passed without this member. */
  #continuous = true
  #breaks = 0
  #isMember = false

  /** From the first assignment until `drop`. */
  get isMember(): boolean {
    return this.#isMember
  }

  /** Counts breaks in ownership: a commit from before one must not reach the broker after it. */
  get breaks(): number {
    return this.#breaks
  }

  has(partition: TopicPartition): boolean {
    return this.#keys.has(partitionKey(partition))
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
    if (!this.#continuous) this.#breaks++
    this.#continuous = true
    this.#isMember = true
    this.#hold(partitions)
    return change
  }

  /** MemberGeneration is gone: everything is lost, and the next assignment is that of a new member. Gives what was owned. */
  drop(): readonly TopicPartition[] {
    const lost = this.#partitions
    this.#generation = undefined
    this.#continuous = true
    this.#breaks++
    this.#isMember = false
    this.#hold(NOTHING)
    return lost
  }

  #hold(partitions: readonly TopicPartition[]): void {
    this.#partitions = partitions
    this.#keys = new Set(partitions.map(partitionKey))
  }
}
