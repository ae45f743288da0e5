import { type Deferred, deferred, type ManualClock, partitionKey, type TopicPartition } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { SeededRandom } from './seeded-random.ts'

/** A partition takes no records for at most so long: longer than a transaction may be open. */
const LONGEST_MS = 25_000

/** Partitions that take no records for a while, as below their `min.insync.replicas`. */
export class StuckPartitions {
  readonly #log: MemoryLog
  readonly #clock: ManualClock
  readonly #random: SeededRandom
  readonly #stuck = new Map<string, { readonly sinceMs: number; readonly healed: Deferred<void> }>()

  constructor(log: MemoryLog, clock: ManualClock, random: SeededRandom) {
    this.#log = log
    this.#clock = clock
    this.#random = random
  }

  /** When the one that has been stuck longest was; `undefined` while none is. */
  get sinceMs(): number | undefined {
    return [...this.#stuck.values()][0]?.sinceMs
  }

  /** One partition that agents write to takes nothing from now on; what it did, if there was anything. */
  stick(inputs: readonly string[]): string | undefined {
    const topic = this.#random.pick(this.#log.topics().filter(({ name }) => !inputs.includes(name)))
    if (topic === undefined) return undefined
    const key = partitionKey({ topic: topic.name, partition: this.#random.between(0, topic.partitions - 1) })
    if (this.#stuck.has(key)) return undefined
    this.#stuck.set(key, { sinceMs: this.#clock.monotonic(), healed: deferred<void>() })
    this.#clock.schedule(this.#random.between(1000, LONGEST_MS), () => this.#heal(key))
    return key
  }

  /** Resolves when the partition takes records again; `undefined` when it does. */
  healed(partition: TopicPartition): Promise<void> | undefined {
    return this.#stuck.get(partitionKey(partition))?.healed.promise
  }

  /** All of them take records again. */
  end(): void {
    for (const key of this.#stuck.keys()) this.#heal(key)
  }

  #heal(key: string): void {
    this.#stuck.get(key)?.healed.resolve()
    this.#stuck.delete(key)
  }
}
