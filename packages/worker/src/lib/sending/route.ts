import type { Lane } from './lane.ts'
import type { Outgoing } from './outgoing.ts'

interface PartitionEnd {
  lane: Lane
  pending: number
}

/** What is known of a topic that is sent to, and what is under way to its partitions. */
export class Route {
  /** 0 until the broker has said. */
  partitions = 0
  /** Sends that came before that, in order. */
  readonly early: Outgoing[] = []
  readonly #ends: (PartitionEnd | undefined)[] = []

  /** The lane of a record from now until `left`. Stays the same while anything is under way: no two requests hold one partition. */
  enter(record: Outgoing, laneNow: (record: Outgoing) => Lane): Lane {
    const end = this.#ends[record.partition]
    if (end === undefined) {
      const lane = laneNow(record)
      this.#ends[record.partition] = { lane, pending: 1 }
      return lane
    }
    if (end.pending === 0) end.lane = laneNow(record)
    end.pending++
    return end.lane
  }

  /** Its outcome is known. One that never entered changes nothing. */
  left(partition: number): void {
    const end = this.#ends[partition]
    if (end !== undefined) end.pending--
  }
}
