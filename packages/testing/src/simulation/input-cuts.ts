import { partitionKey, type TopicPartition } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { InputFeed } from './input-feed.ts'
import { endOf } from './invariants.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Deletes the oldest records of input partitions, as a retention does under a slow consumer. */
export class InputCuts {
  readonly #log: MemoryLog
  readonly #groupId: string
  /** By partition: offsets that were not committed when they were deleted. */
  readonly #lost = new Map<string, { from: number; to: number }[]>()

  constructor(log: MemoryLog, groupId: string) {
    this.#log = log
    this.#groupId = groupId
  }

  /** Deletes some records of one partition, also such as are not committed yet; what it did, if there was anything. */
  cut(input: Pick<InputFeed, 'sent'>, random: SeededRandom): string | undefined {
    const partitions = new Map(input.sent.map((record) => [partitionKey(record), record]))
    const chosen = random.pick([...partitions.values()])
    if (chosen === undefined) return undefined
    const { topic, partition } = chosen
    const committed = this.#log
      .committed(this.#groupId)
      .find((one) => one.topic === topic && one.partition === partition)?.offset
    const end = endOf(this.#log, topic, partition)
    const from = committed ?? 0
    // Without a committed offset the beginning is where reading begins, and no loss to anybody.
    if (committed === undefined || from >= end) return undefined
    const before = random.between(from + 1, Math.min(from + 4, end))
    this.#log.deleteRecords(topic, partition, before)
    const key = partitionKey(chosen)
    this.#lost.set(key, [...(this.#lost.get(key) ?? []), { from, to: before }])
    return `${topic}-${partition} begins at ${before}`
  }

  /** Whether a record was deleted before its offset was committed. */
  has(at: TopicPartition & { readonly offset: number }): boolean {
    return (this.#lost.get(partitionKey(at)) ?? []).some(({ from, to }) => at.offset >= from && at.offset < to)
  }
}
