import { MillraceError, partitionForKey, type SpreadPartitioner } from '@millrace/core'
import type { Delay } from './delays.ts'
import type { Lane } from './lane.ts'
import type { Outgoing } from './outgoing.ts'

/** What is under way to one partition. */
export interface PartitionEnd {
  /** The same while anything is under way. */
  lane: Lane
  pending: number
  /** It takes nothing just now: what is meant for it waits there, and not in the lane. */
  delay: Delay | undefined
}

/** What is known of a topic that is sent to, and what is under way to its partitions. */
export class Route {
  /** 0 until the broker has said. */
  partitions = 0
  /** Sends that came before that, in order. */
  readonly early: Outgoing[] = []
  readonly #ends: (PartitionEnd | undefined)[] = []

  /** Chooses the partition of a record that names none; an error when there is no such partition. */
  place(record: Outgoing, spread: SpreadPartitioner): MillraceError | undefined {
    const { topic, key } = record
    if (record.partition < 0)
      record.partition = key === null ? spread.next(topic, this.partitions) : partitionForKey(key, this.partitions)
    if (record.partition < this.partitions) return undefined
    return new MillraceError(
      'PARTITION_MISSING',
      `Topic ${topic} has ${this.partitions} partitions; a record was sent to partition ${record.partition}.`,
    )
  }

  /** Where a record is on its way from now until `left`. Its lane stays the same until then: no two requests hold one partition. */
  enter(record: Outgoing, laneNow: (record: Outgoing) => Lane): PartitionEnd {
    let end = this.#ends[record.partition]
    if (end === undefined) {
      end = { lane: laneNow(record), pending: 1, delay: undefined }
      this.#ends[record.partition] = end
      return end
    }
    if (end.pending === 0) end.lane = laneNow(record)
    end.pending++
    return end
  }

  /** `undefined` when nothing was ever sent there. */
  end(partition: number): PartitionEnd | undefined {
    return this.#ends[partition]
  }

  /** Its outcome is known. One that never entered changes nothing. */
  left(partition: number): void {
    const end = this.#ends[partition]
    if (end !== undefined) end.pending--
  }
}
